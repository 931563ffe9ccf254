import { isDevstackError } from '@devstack-core/errors';
import type { Fingerprint } from '../types.ts';
import { failureAt, refusal } from './failure.ts';
import { fingerprintDatabase, type SequenceState } from './fingerprint-database.ts';
import type { PostgresPlace } from './place.ts';
import { openSession, type PsqlSession, type Row } from './session.ts';
import { systemSchemas } from './system-schemas.ts';

export interface HoldSnapshotOptions {
  /**
   * What others may still do with the database's tables. `access share` (the default) lets them read and write, but not change the
   * tables' structure; `share` keeps writers waiting as well: for as short as it can be.
   */
  readonly lock?: 'access share' | 'share';
  /** How long to wait for whoever has a table locked; 30 s unless given. */
  readonly lockTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** One moment of one database, kept open until the end of the scope. */
export interface PostgresSnapshot extends AsyncDisposable {
  readonly database: string;
  /** For other sessions: `SET TRANSACTION SNAPSHOT`, `pg_dump --snapshot`. */
  readonly id: string;
  /** The moment, UTC, by the server's clock. */
  readonly takenAt: string;
  /** The rows of one SELECT in the snapshot, each as `row_to_json` makes it. Throws DUMP_FAILED. */
  query(sql: string): Promise<readonly Row[]>;
  /** Of the whole database at that moment; sequences, which no snapshot holds, as they are now unless their state is given. Throws DUMP_FAILED. */
  fingerprint(sequences?: ReadonlyMap<string, SequenceState>): Promise<Fingerprint>;
}

/** Holds one moment of a database, with all its tables locked against what the option says. Throws DUMP_FAILED, PLACE_UNUSABLE. */
export async function holdSnapshot(
  place: PostgresPlace,
  database: string,
  options: HoldSnapshotOptions = {},
): Promise<PostgresSnapshot> {
  for (let attempt = 1; ; attempt += 1) {
    const session = await openSession(place, database, { purpose: 'dump', signal: options.signal });
    try {
      const { id, takenAt } = await begin(session, database, options);
      return {
        database,
        id,
        takenAt,
        query: (sql) => session.query(sql),
        fingerprint: (sequences) => fingerprintDatabase(session, sequences === undefined ? {} : { sequences }),
        [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
      };
    } catch (error) {
      await session[Symbol.asyncDispose]();
      // A table that was dropped after it was listed ends the session.
      if (attempt < 5 && isDevstackError(error) && error.details['sqlState'] === '42P01') continue;
      throw failureAt(error, `Database "${database}" could not be held still`);
    }
  }
}

const tables = `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND (c.oid >= 16384 OR c.relnamespace NOT IN (${systemSchemas}))`;

// Locks come first and the snapshot after them: LOCK TABLE takes none, so that nothing that changes a table's structure can come between.
async function begin(
  session: PsqlSession,
  database: string,
  { lock = 'access share', lockTimeoutMs = 30_000 }: HoldSnapshotOptions,
): Promise<{ readonly id: string; readonly takenAt: string }> {
  await session.run(`SET lock_timeout = ${String(lockTimeoutMs)}`);
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const wanted = namesOf(await session.query(tables));
    await session.run(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`);
    for (let at = 0; at < wanted.length; at += 200) {
      const list = wanted.slice(at, at + 200).map((name) => `ONLY ${name}`);
      await session.run(`LOCK TABLE ${list.join(', ')} IN ${lock.toUpperCase()} MODE`);
    }
    const [row] = await session.query(
      `SELECT pg_export_snapshot() AS id, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS taken_at`,
    );
    const locked = new Set(wanted);
    if (namesOf(await session.query(tables)).every((name) => locked.has(name)))
      return { id: String(row?.['id']), takenAt: String(row?.['taken_at']) };
    await session.run('ROLLBACK');
  }
  throw refusal(
    'dump',
    `New tables appeared in database "${database}" again and again while its tables were being locked.`,
  );
}

function namesOf(rows: readonly Row[]): readonly string[] {
  return rows.map((row) => String(row['name']));
}
