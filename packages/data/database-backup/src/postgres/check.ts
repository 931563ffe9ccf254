import { execSupervised } from '../supervised-program.ts';
import { collect } from './collect.ts';
import { failure } from './failure.ts';
import { login } from './login.ts';
import type { PostgresPlace } from './place.ts';
import { openSession, runOnce, type SessionOptions } from './session.ts';
import { systemSchemas } from './system-schemas.ts';

/**
 * Every heap and B-tree of a database by pg_amcheck (all rows against their indexes, uniqueness included), and every foreign key and check
 * constraint against all rows. Each problem is one sentence. Throws PLACE_UNUSABLE.
 */
export async function checkPostgresDatabase(
  place: PostgresPlace,
  database: string,
  options: Omit<SessionOptions, 'purpose'> = {},
): Promise<readonly string[]> {
  return [
    ...(await checkRelations(place, database, { purpose: 'restore', ...options })),
    ...(await checkConstraints(place, database, { purpose: 'restore', ...options })),
  ];
}

const amcheckSchema = 'devstack_backup_amcheck';

async function checkRelations(
  place: PostgresPlace,
  database: string,
  options: SessionOptions,
): Promise<readonly string[]> {
  const wasThere = await hasExtension(place, database, options);
  if (!wasThere)
    await runOnce(
      place,
      database,
      `CREATE SCHEMA IF NOT EXISTS ${amcheckSchema}; CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA ${amcheckSchema}`,
      options,
    );
  try {
    await using access = await login(place);
    const program = await execSupervised(
      place,
      ['pg_amcheck', '--no-password', '--heapallindexed', '--checkunique', access.connection(database)],
      { signal: options.signal },
    );
    const output = (await collect(program.stdout)).toString('utf8');
    const { exitCode, stderr } = await program.ended;
    const said = output.split('\n').filter((line) => line.trim() !== '');
    // 2: it looked, and found something.
    if (exitCode === 2) return problems(said, database);
    if (exitCode !== 0) throw failure('restore', `The check of database "${database}"`, exitCode, stderr);
    return [];
  } finally {
    if (!wasThere) await runOnce(place, database, `DROP SCHEMA IF EXISTS ${amcheckSchema} CASCADE`, options);
  }
}

// A problem is a line that names what it is about, and indented lines of explanation that may show what is in a row.
function problems(lines: readonly string[], database: string): readonly string[] {
  const heads = lines.filter((line) => !/^\s/.test(line)).map((line) => line.replace(/:$/, ''));
  const all = heads.length > 0 ? heads : ['pg_amcheck found something and did not say what'];
  return [
    ...all.slice(0, 20).map((line) => `In database "${database}": ${line}.`),
    ...(all.length > 20 ? [`In database "${database}": ${String(all.length - 20)} more.`] : []),
  ];
}

async function hasExtension(place: PostgresPlace, database: string, options: SessionOptions): Promise<boolean> {
  await using session = await openSession(place, database, options);
  const rows = await session.query(
    `SELECT n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'`,
  );
  return rows.some((row) => row['schema'] !== amcheckSchema);
}

// Of a foreign key to a partitioned table there are further copies for each partition, which do not hold one by one.
const constraints = `SELECT k.oid::text AS id, k.conrelid::regclass::text AS "table", quote_ident(k.conname) AS name
FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid LEFT JOIN pg_constraint p ON p.oid = k.conparentid
WHERE k.contype IN ('f', 'c') AND k.convalidated AND r.relkind = 'r' AND r.relpersistence <> 't' AND (r.oid >= 16384 OR r.relnamespace NOT IN (${systemSchemas})) AND p.conrelid IS DISTINCT FROM k.conrelid`;

// The server validates a constraint once only: it is told, in a transaction that is rolled back, that this one never was.
async function checkConstraints(
  place: PostgresPlace,
  database: string,
  options: SessionOptions,
): Promise<readonly string[]> {
  await using session = await openSession(place, database, options);
  const all = await session.query(constraints);
  await session.run(`BEGIN; CREATE TEMPORARY TABLE devstack_backup_found (id oid, state text) ON COMMIT DROP`);
  for (const row of all)
    await session.run(
      `DO $check$ BEGIN UPDATE pg_constraint SET convalidated = false WHERE oid = ${String(row['id'])}; ALTER TABLE ${String(row['table'])} VALIDATE CONSTRAINT ${String(row['name'])}; EXCEPTION WHEN OTHERS THEN INSERT INTO pg_temp.devstack_backup_found VALUES (${String(row['id'])}, SQLSTATE); END $check$`,
    );
  const found = await session.query(`SELECT id::text AS id, state FROM pg_temp.devstack_backup_found`);
  await session.run('ROLLBACK');
  const byId = new Map(all.map((row) => [row['id'], row]));
  return found.map(({ id, state }) => {
    const row = byId.get(id);
    return `In database "${database}": table ${String(row?.['table'])} breaks its constraint ${String(row?.['name'])} (SQLSTATE ${String(state)}).`;
  });
}
