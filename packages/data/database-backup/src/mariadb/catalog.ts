import { createHash } from 'node:crypto';
import type { FingerprintItem } from '../types.ts';
import type { Table } from './checksum-sql.ts';
import { inDependencyOrder, quotedNames } from './dependency-order.ts';
import { identifier, literal, qualified } from './quote.ts';
import type { MariadbSession } from './session.ts';

/** What a database consists of besides rows. */
export interface Catalog {
  readonly database: string;
  readonly characterSet: string;
  readonly collation: string;
  readonly comment: string;
  readonly tables: readonly Table[];
  readonly sequences: readonly string[];
  /** Each after those that it reads. */
  readonly views: readonly string[];
  /** All names in the views' definitions, those of other databases among them. */
  readonly mentions: ReadonlySet<string>;
  readonly triggers: readonly string[];
  readonly routines: readonly { readonly type: string; readonly name: string }[];
  readonly events: readonly string[];
}

/** Engines that keep no rows of their own: their content is elsewhere, and not in a dump either. */
const foreignEngines = new Set(['MRG_MYISAM', 'MRG_MyISAM', 'CONNECT', 'OQGRAPH', 'SPIDER', 'FEDERATED', 'BLACKHOLE']);

/** Whether the table's rows are in the database. */
export function hasOwnRows({ engine }: Table): boolean {
  return !foreignEngines.has(engine);
}

/** Reads the names of everything in a database; undefined where there is none. */
export async function readCatalog(session: MariadbSession, database: string): Promise<Catalog | undefined> {
  const here = literal(database);
  const [schema] = await session.query(
    `SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, /*M!100500 SCHEMA_COMMENT, */ '' FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${here}`,
  );
  if (schema === undefined) return undefined;
  const [characterSet = '', collation = '', comment = ''] = schema;
  const rows = await session.query(
    `SELECT TABLE_NAME, TABLE_TYPE, IFNULL(ENGINE, '') FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${here} ORDER BY TABLE_NAME`,
  );
  const columns = await session.query(
    `SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, IFNULL(GENERATION_EXPRESSION, '') FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${here} ORDER BY TABLE_NAME, ORDINAL_POSITION`,
  );
  const byTable = Map.groupBy(columns, ([table = '']) => table);
  const named = (...types: readonly string[]): readonly (readonly string[])[] =>
    rows.filter(([, type = '']) => types.includes(type));
  const list = async (what: string, from: string, where: string): Promise<readonly string[]> =>
    (await session.query(`SELECT ${what} FROM information_schema.${from} WHERE ${where} = ${here} ORDER BY 1`)).map(
      ([name = '']) => name,
    );
  const views = await session.query(
    `SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ${here} ORDER BY 1`,
  );
  return {
    database,
    characterSet,
    collation,
    comment,
    tables: named('BASE TABLE', 'SYSTEM VERSIONED').map(([name = '', type = '', engine = '']) =>
      tableOf(name, engine, type === 'SYSTEM VERSIONED', byTable.get(name) ?? []),
    ),
    sequences: named('SEQUENCE').map(([name = '']) => name),
    views: inDependencyOrder(new Map(views.map(([name = '', definition = '']) => [name, definition]))),
    mentions: new Set(views.flatMap(([, definition = '']) => quotedNames(definition))),
    triggers: await list('TRIGGER_NAME', 'TRIGGERS', 'TRIGGER_SCHEMA'),
    routines: (
      await session.query(
        `SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${here} ORDER BY 1, 2`,
      )
    ).map(([type = '', name = '']) => ({ type, name })),
    events: await list('EVENT_NAME', 'EVENTS', 'EVENT_SCHEMA'),
  };
}

function tableOf(name: string, engine: string, isVersioned: boolean, rows: readonly (readonly string[])[]): Table {
  const columns = rows.map(([, column = '', type = '', generated = '']) => ({
    name: column,
    type: type.toLowerCase(),
    isGenerated: generated !== '',
  }));
  // The period's own columns are listed only where the table names them.
  const isImplicit = isVersioned && !rows.some(([, , , generated]) => generated === 'ROW START');
  const period = ['row_start', 'row_end'].map((column) => ({ name: column, type: 'timestamp', isGenerated: true }));
  return { name, engine, isVersioned, columns: isImplicit ? [...columns, ...period] : columns };
}

/** The definition of everything, as items: one for each table, sequence, view, trigger, routine and event, and the database itself. */
export async function readDefinitions(session: MariadbSession, catalog: Catalog): Promise<readonly FingerprintItem[]> {
  const { database } = catalog;
  await session.query(`USE ${identifier(database)}`);
  const items = [item('database', database, [catalog.characterSet, catalog.collation, catalog.comment])];
  const show = async (kind: string, name: string, what: string, columns: readonly number[]): Promise<void> => {
    const [row = []] = await session.query(`SHOW CREATE ${what} ${qualified(database, name)}`);
    items.push(
      item(
        kind,
        name,
        columns.map((column) => withoutCounter(row[column] ?? '')),
      ),
    );
  };
  for (const { name } of catalog.tables) await show('schema', name, 'TABLE', [1]);
  for (const name of catalog.sequences) await show('sequence', name, 'SEQUENCE', [1]);
  for (const name of catalog.views) await show('view', name, 'VIEW', [1, 2, 3]);
  // Without the last column, the time of its making.
  for (const name of catalog.triggers) await show('trigger', name, 'TRIGGER', [1, 2, 3, 4, 5]);
  for (const { type, name } of catalog.routines) await show(type.toLowerCase(), name, type, [1, 2, 3, 4, 5]);
  for (const name of catalog.events) await show('event', name, 'EVENT', [1, 2, 3, 4, 5, 6]);
  return items;
}

// The counter is an item of its own, as it moves without any change of the definition.
function withoutCounter(definition: string): string {
  const options = definition.lastIndexOf('\n) ENGINE=');
  if (options < 0) return definition;
  return definition.slice(0, options) + definition.slice(options).replace(/ AUTO_INCREMENT=\d+/, '');
}

function item(kind: string, name: string, values: readonly string[]): FingerprintItem {
  return { kind, name, count: 1, checksum: digest(values) };
}

/** Of texts that cannot run into each other. */
export function digest(values: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(values)).digest('hex');
}
