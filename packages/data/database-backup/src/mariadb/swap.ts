import { createHash } from 'node:crypto';
import type { Catalog } from './catalog.ts';
import { workPrefix } from './place.ts';
import { identifier, literal, qualified } from './quote.ts';
import type { MariadbSession } from './session.ts';

/** The two databases that a restore works in: found again by the next one, should this one be killed. */
export interface WorkDatabases {
  /** Takes what is being loaded. */
  readonly fresh: string;
  /** Takes what was there, with how it was, until the new is complete. */
  readonly aside: string;
}

export function workDatabases(database: string): WorkDatabases {
  const id = createHash('sha256').update(database).digest('hex').slice(0, 16);
  return { fresh: `${workPrefix}new_${id}`, aside: `${workPrefix}old_${id}` };
}

// In the database that keeps the old content; a database's own table of this name is moved like any other, under another one.
const journal = 'devstack restore journal';

/** How far a restore has come: rows of the journal, `ready` once tables may be moved, `done` once the old content is not wanted any more. */
export type RestorePhase = 'none' | 'ready' | 'done';

/** What a killed restore left of a database. */
export async function phaseOf(session: MariadbSession, { aside }: WorkDatabases): Promise<RestorePhase> {
  const rows = await session.query(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${literal(aside)}`,
  );
  if (rows.length === 0) return 'none';
  if (!rows.some(([name]) => name === journal)) return 'done';
  const phases = await session.query(`SELECT kind FROM ${qualified(aside, journal)} WHERE kind IN ('ready', 'done')`);
  if (phases.some(([kind]) => kind === 'done')) return 'done';
  return phases.length > 0 ? 'ready' : 'none';
}

/** What there was besides tables. */
export interface OldState {
  /** How many tables and sequences there were. */
  readonly tables: number;
  readonly characterSet: string;
  readonly collation: string;
  readonly comment: string;
  /** Views, routines, triggers and events, as SQL. */
  readonly objects: Buffer;
}

/** Writes the old state where a later run finds it. */
export async function writeJournal(
  session: MariadbSession,
  { aside }: WorkDatabases,
  { objects, ...about }: OldState,
): Promise<void> {
  const table = qualified(aside, journal);
  await session.query(
    `CREATE TABLE ${table} (seq INT NOT NULL PRIMARY KEY AUTO_INCREMENT, kind VARCHAR(16) NOT NULL, content LONGBLOB NOT NULL) ENGINE=InnoDB`,
  );
  const insert = (kind: string, content: Buffer): string =>
    `INSERT INTO ${table} (kind, content) VALUES ('${kind}', ${content.length === 0 ? "''" : `0x${content.toString('hex')}`})`;
  await session.query(insert('about', Buffer.from(JSON.stringify(about))));
  const step = 256 * 1024;
  for (let at = 0; at < objects.length; at += step)
    await session.query(insert('objects', objects.subarray(at, at + step)));
  await session.query(insert('ready', Buffer.alloc(0)));
}

export async function readJournal(session: MariadbSession, { aside }: WorkDatabases): Promise<OldState> {
  const rows = await session.query(
    `SELECT kind, HEX(content) FROM ${qualified(aside, journal)} WHERE kind IN ('about', 'objects') ORDER BY seq`,
  );
  const of = (wanted: string): Buffer =>
    Buffer.concat(rows.filter(([kind]) => kind === wanted).map(([, hex = '']) => Buffer.from(hex, 'hex')));
  const about = JSON.parse(of('about').toString('utf8')) as Omit<OldState, 'objects'>;
  return { ...about, objects: of('objects') };
}

export async function markDone(session: MariadbSession, { aside }: WorkDatabases): Promise<void> {
  await session.query(`INSERT INTO ${qualified(aside, journal)} (kind, content) VALUES ('done', '')`);
}

/** Drops what a database has besides tables; tables with triggers cannot be moved. */
export async function dropObjects(session: MariadbSession, catalog: Catalog): Promise<void> {
  const { database } = catalog;
  const drop = (type: string, name: string): string => `DROP ${type} IF EXISTS ${qualified(database, name)}`;
  const statements = [
    ...catalog.triggers.map((name) => drop('TRIGGER', name)),
    ...catalog.events.map((name) => drop('EVENT', name)),
    ...catalog.views.map((name) => drop('VIEW', name)),
    // A package's body before the package.
    ...catalog.routines.toReversed().map(({ type, name }) => drop(type, name)),
  ];
  for (const statement of statements) await session.query(statement);
}

/** Moves tables and sequences, all in one statement that happens whole or not at all. */
export async function moveTables(
  session: MariadbSession,
  moves: readonly { readonly from: string; readonly to: string; readonly names: readonly string[] }[],
): Promise<void> {
  const list = moves.flatMap(({ from, to, names }) =>
    names.map((name) => `${qualified(from, name)} TO ${qualified(to, name)}`),
  );
  if (list.length > 0) await session.query(`SET SESSION foreign_key_checks=0;\nRENAME TABLE ${list.join(', ')}`);
}

/** Tables and sequences, without the journal. */
export async function movableNames(session: MariadbSession, database: string): Promise<readonly string[]> {
  const rows = await session.query(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${literal(database)} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') ORDER BY 1`,
  );
  return rows.map(([name = '']) => name).filter((name) => name !== journal);
}

/** A foreign key of another database's table that leads into this one. */
export interface Referrer {
  readonly drop: string;
  readonly add: string;
}

/** They follow a table that is moved aside; these statements lead them back to the table that has its name. */
export async function readReferrers(session: MariadbSession, database: string): Promise<readonly Referrer[]> {
  const rows = await session.query(
    `SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE
     FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
       ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
     WHERE k.REFERENCED_TABLE_SCHEMA = ${literal(database)} AND k.TABLE_SCHEMA <> ${literal(database)}
     ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION`,
  );
  const keys = Map.groupBy(rows, ([schema = '', table = '', name = '']) => JSON.stringify([schema, table, name]));
  return [...keys.values()].map((columns) => {
    const [schema = '', table = '', name = '', , target = '', , onUpdate = '', onDelete = ''] = columns[0] ?? [];
    const list = (index: number): string => columns.map((column) => identifier(column[index] ?? '')).join(', ');
    const child = qualified(schema, table);
    return {
      drop: `ALTER TABLE ${child} DROP FOREIGN KEY ${identifier(name)}`,
      add: `ALTER TABLE ${child} ADD CONSTRAINT ${identifier(name)} FOREIGN KEY (${list(3)}) REFERENCES ${qualified(database, target)} (${list(5)}) ON UPDATE ${onUpdate} ON DELETE ${onDelete}`,
    };
  });
}

export async function redirect(session: MariadbSession, referrers: readonly Referrer[]): Promise<void> {
  for (const { drop, add } of referrers) await session.query(`SET SESSION foreign_key_checks=0;\n${drop};\n${add}`);
}
