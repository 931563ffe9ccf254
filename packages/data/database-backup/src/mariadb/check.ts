import { DatabaseBackupErrorCode } from '../errors.ts';
import { mariadbFailure } from './failure.ts';
import { identifier, literal, qualified } from './quote.ts';
import type { MariadbSession, SessionOptions } from './session.ts';
import { phaseOf, workDatabases } from './swap.ts';

/** `mariadb-check`, rows whose parent is missing, views that refer to nothing, and what a killed restore left. One sentence each. */
export async function checkDatabase(
  options: Omit<SessionOptions, 'code'>,
  session: MariadbSession,
  database: string,
): Promise<readonly string[]> {
  return [
    ...(await checkTables(options, database)),
    ...(await findOrphans(session, database)),
    ...(await findBrokenViews(session, database)),
    ...((await phaseOf(session, workDatabases(database))) === 'ready'
      ? [`A restore of database "${database}" was interrupted; restoring again puts back what was there.`]
      : []),
  ];
}

async function checkTables(
  { place, programs, login, signal }: Omit<SessionOptions, 'code'>,
  database: string,
): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await place.docker.exec(
    place.container,
    [
      programs.check,
      `--defaults-extra-file=${login}`,
      '--default-character-set=utf8mb4',
      '--check',
      '--databases',
      '--',
      database,
    ],
    signal === undefined ? {} : { signal },
  );
  if (exitCode !== 0 && !/^(error|status)\s*:/im.test(stdout))
    throw mariadbFailure(DatabaseBackupErrorCode.placeUnusable, `Database "${database}" could not be checked`, stderr);
  return problemsOf(stdout);
}

/** What `mariadb-check` writes, as sentences: a table's name and OK on one line, or the name and then a line for each thing found. */
export function problemsOf(output: string): readonly string[] {
  const problems: { readonly table: string; readonly text: string }[] = [];
  let table = '';
  for (const line of output.split('\n')) {
    const [, kind = '', text = ''] = /^(note|info|warning|error|status)\s*: (.*)$/i.exec(line.trim()) ?? [];
    if (kind === '') table = line.trim().replace(/\s+OK$/, '');
    else if (/warning|error/i.test(kind) || (/status/i.test(kind) && text !== 'OK'))
      problems.push({ table, text: text.trim().replace(/\.$/, '') });
  }
  // The last word on a damaged table, which says nothing more.
  return problems
    .filter(({ table, text }, index) => text !== 'Corrupt' || problems[index - 1]?.table !== table)
    .map(({ table, text }) => `Table ${table}: ${text}.`);
}

// Loading a dump does not check foreign keys, and nothing does so afterwards.
async function findOrphans(session: MariadbSession, database: string): Promise<readonly string[]> {
  const rows = await session.query(
    `SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
     FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = ${literal(database)} AND REFERENCED_TABLE_NAME IS NOT NULL
     ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION`,
  );
  const keys = Map.groupBy(rows, ([table = '', name = '']) => JSON.stringify([table, name]));
  const problems: string[] = [];
  for (const columns of keys.values()) {
    const [table = '', name = '', , schema = '', parent = ''] = columns[0] ?? [];
    const present = await session.query(
      `SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${literal(schema)} AND TABLE_NAME = ${literal(parent)}`,
    );
    if (present.length === 0) {
      problems.push(`Foreign key ${name} of table ${table}: its table ${schema}.${parent} is missing.`);
      continue;
    }
    const pairs = columns.map(([, , column = '', , , referenced = '']) => [identifier(column), identifier(referenced)]);
    const [count] = await session.query(
      `SELECT COUNT(*) FROM ${qualified(database, table)} c WHERE ${pairs.map(([column = '']) => `c.${column} IS NOT NULL`).join(' AND ')}
       AND NOT EXISTS (SELECT 1 FROM ${qualified(schema, parent)} p WHERE ${pairs.map(([column = '', referenced = '']) => `p.${referenced} = c.${column}`).join(' AND ')})`,
    );
    if (count?.[0] !== '0')
      problems.push(
        `Foreign key ${name} of table ${table}: ${count?.[0] ?? '?'} rows have no row in ${schema}.${parent}.`,
      );
  }
  return problems;
}

async function findBrokenViews(session: MariadbSession, database: string): Promise<readonly string[]> {
  const views = await session.query(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${literal(database)} AND TABLE_TYPE = 'VIEW' ORDER BY 1`,
  );
  const problems: string[] = [];
  for (const [name = ''] of views) {
    const messages = await session.query(`CHECK TABLE ${qualified(database, name)}`);
    const error = messages.find(([, , type = '']) => type.toLowerCase() === 'error')?.[3];
    if (error !== undefined) problems.push(`View ${name}: ${error.replace(/\.$/, '')}.`);
  }
  return problems;
}
