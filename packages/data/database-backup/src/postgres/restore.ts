import { randomBytes } from 'node:crypto';
import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { RestoreOptions } from '../types.ts';
import type { ArchiveHead } from './archive-reader.ts';
import { openArchive } from './archive-stream.ts';
import { collect } from './collect.ts';
import { failure, refusal } from './failure.ts';
import { maintenanceDatabase, temporaryPrefix } from './identity.ts';
import { login } from './login.ts';
import type { PostgresPlace } from './place.ts';
import { quoteName, quoteText } from './quote.ts';
import { openSession, type PsqlSession } from './session.ts';
import { swapIn } from './swap.ts';

export interface PostgresRestoreOptions extends RestoreOptions {
  /** Asked with the new database's temporary name before it takes the old one's place; what it throws leaves the old one. */
  readonly prove?: (temporaryName: string) => Promise<void>;
  /** The dumped database had no schema `public`, which a new one has. */
  readonly dropPublicSchema?: boolean;
}

/**
 * Restores a dump under a temporary name and lets it take the place of what is there in one transaction, which ends the sessions of that
 * database. Whatever fails leaves the database as it was. Roles must be there. Throws RESTORE_FAILED, ENGINE_MISMATCH.
 */
export async function restorePostgresDatabase(
  place: PostgresPlace,
  database: string,
  content: AsyncIterable<Uint8Array>,
  options: PostgresRestoreOptions = {},
): Promise<void> {
  const { signal } = options;
  const what = `The restore of database "${database}"`;
  await using archive = await openArchive(content, (problem) => refusal('restore', `${what} cannot be: ${problem}.`));
  // No session may be in a database that is renamed.
  const maintenance = database === maintenanceDatabase ? 'template1' : maintenanceDatabase;
  await using session = await openSession(place, maintenance, { purpose: 'restore', signal });
  await refuseNewer(session, archive.head, what);
  await sweepTemporaryDatabases(session);
  const temporary = `${temporaryPrefix}new-${randomBytes(6).toString('hex')}`;
  // As long as this session lives nobody sweeps it.
  await session.run(`SELECT pg_advisory_lock(${lockOf(quoteText(temporary))})`);
  await session.run(creation(archive.head, temporary, what));
  try {
    if (options.dropPublicSchema === true) {
      await using inside = await openSession(place, temporary, { purpose: 'restore', signal });
      await inside.run('DROP SCHEMA IF EXISTS public');
    }
    await fill(place, temporary, archive.bytes(), what, signal);
    await options.prove?.(temporary);
    const aborted = abortReason(signal, what);
    if (aborted !== undefined) throw aborted;
  } catch (error) {
    await dropQuietly(place, maintenance, temporary);
    throw error;
  }
  await swapIn(place, { maintenance, database, temporary, head: archive.head, signal });
}

/** Removes the databases of restores whose process is gone. */
async function sweepTemporaryDatabases(session: PsqlSession): Promise<void> {
  const rows = await session.query(
    `SELECT datname AS name FROM pg_database WHERE starts_with(datname, '${temporaryPrefix}') AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = ${String(lockClass)} AND objsubid = 2 AND objid = (hashtext(datname)::bigint & 4294967295)::oid)`,
  );
  for (const row of rows) await dropDatabase(session, String(row['name']));
}

export async function dropDatabase(session: PsqlSession, name: string): Promise<void> {
  await session.run(`ALTER DATABASE ${quoteName(name)} IS_TEMPLATE false`);
  await session.run(`DROP DATABASE IF EXISTS ${quoteName(name)} WITH (FORCE)`);
}

const lockClass = 25_715;

function lockOf(name: string): string {
  return `${String(lockClass)}, hashtext(${name})`;
}

// The first failure is the one to tell; a database that stays is swept by the next restore.
async function dropQuietly(place: PostgresPlace, maintenance: string, name: string): Promise<void> {
  try {
    await using session = await openSession(place, maintenance, { purpose: 'restore' });
    await dropDatabase(session, name);
  } catch (error) {
    if (!isDevstackError(error)) throw error;
  }
}

async function refuseNewer(session: PsqlSession, { serverVersion }: ArchiveHead, what: string): Promise<void> {
  const [row] = await session.query(`SELECT current_setting('server_version') AS version`);
  const own = String(row?.['version']);
  if (Number.parseInt(own, 10) >= Number.parseInt(serverVersion, 10)) return;
  throw new DevstackError({
    code: DatabaseBackupErrorCode.engineMismatch,
    message: `${what} cannot be: the dump is of PostgreSQL ${serverVersion}, and the server is ${own}.`,
    hint: 'A dump is restored by the same or a newer version: set the image that made it.',
  });
}

// As the archive says, but under another name and where this server keeps its databases.
function creation({ entries }: ArchiveHead, name: string, what: string): string {
  const entry = entries.find(({ description }) => description === 'DATABASE');
  const statement = /^\s*CREATE DATABASE (?:"(?:[^"]|"")*"|\S+)( WITH TEMPLATE = template0[^;]*);\s*$/.exec(
    entry?.definition ?? '',
  )?.[1];
  if (statement === undefined)
    throw refusal('restore', `${what} cannot be: the archive does not say how to make the database.`);
  return `CREATE DATABASE ${quoteName(name)}${statement.replace(/ TABLESPACE = (?:"(?:[^"]|"")*"|\S+)/, '')}`;
}

async function fill(
  place: PostgresPlace,
  database: string,
  content: AsyncIterable<Uint8Array>,
  what: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using access = await login(place);
  const program = await place.docker.execStream(
    place.container,
    [
      'pg_restore',
      '--no-password',
      '--exit-on-error',
      '--no-tablespaces',
      // Nobody uses it yet, and it is thrown away unless it comes to its end.
      `--dbname=${access.connection(database, '-c synchronous_commit=off -c maintenance_work_mem=256MB')}`,
    ],
    { stdin: content, ...(signal === undefined ? {} : { signal }) },
  );
  await collect(program.stdout);
  const { exitCode, stderr } = await program.ended;
  if (exitCode !== 0) throw failure('restore', what, exitCode, stderr);
}
