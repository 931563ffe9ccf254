import { run } from '@devstack-core/command-runner';
import { DevstackError } from '@devstack-core/errors';
import { secret } from '@devstack-core/redaction';
import { ServiceInitErrorCode } from './errors.ts';
import { findProgram } from './find-program.ts';
import type { SqlBatch } from './postgres-sql.ts';
import type { ServiceInitContext } from './service-init.ts';

// Statements hold passwords: nothing of them may be logged, whatever postgresql.conf says. The state is all that an error shows.
const quiet = [
  '-c',
  'log_statement=none',
  '-c',
  'log_min_error_statement=panic',
  '-c',
  'log_line_prefix=%e ',
  '-c',
  'log_min_messages=error',
  '-c',
  'logging_collector=off',
  '-c',
  'log_destination=stderr',
];

/** Creates the files of a cluster, whose own pg_hba.conf lets nobody in (ours is in the configuration folder), without waiting for the disk: `synchronize` does that once, at the end. */
export async function initialize(context: ServiceInitContext, directory: string, superuser: string): Promise<void> {
  const initdb = await findProgram(context, 'initdb');
  const result = await run(
    [
      initdb,
      '--pgdata',
      directory,
      '--username',
      superuser,
      '--encoding',
      'UTF8',
      '--locale',
      'C.UTF-8',
      '--data-checksums',
      '--auth',
      'reject',
      '--no-sync',
      '--no-instructions',
    ],
    { check: false, ...signalOf(context) },
  );
  if (result.exitCode !== 0) throw firstStartFailed('initdb', result.exitCode, result.stderr);
}

/** Brings every file of the cluster to the disk. */
export async function synchronize(context: ServiceInitContext, directory: string): Promise<void> {
  const initdb = await findProgram(context, 'initdb');
  const result = await run([initdb, '--sync-only', '--pgdata', directory], { check: false, ...signalOf(context) });
  if (result.exitCode !== 0) throw firstStartFailed('initdb --sync-only', result.exitCode, result.stderr);
}

/** Runs the statements with the server in single-user mode: no socket, no other session, nothing in the server's log. */
export async function applyBatches(
  context: ServiceInitContext,
  server: string,
  directory: string,
  batches: readonly SqlBatch[],
): Promise<void> {
  for (const batch of batches) await single(context, server, directory, batch);
}

/** The databases of a stopped cluster. */
export async function listDatabases(
  context: ServiceInitContext,
  server: string,
  directory: string,
): Promise<readonly string[]> {
  const output = await single(context, server, directory, {
    database: 'postgres',
    statements: ['SELECT datname FROM pg_database'],
  });
  return [...output.matchAll(/^\t 1: datname = "(.*)"\t\(/gm)].map((match) => match[1] ?? '');
}

async function single(
  context: ServiceInitContext,
  server: string,
  directory: string,
  batch: SqlBatch,
): Promise<string> {
  const result = await run(
    [server, '--single', '-j', '-D', directory, '-c', 'exit_on_error=on', ...quiet, batch.database],
    {
      // With -j a statement ends at a semicolon followed by an empty line; quoted text never holds one, as newlines are escaped.
      stdin: secret(batch.statements.map((statement) => `${statement};\n\n`).join('')),
      check: false,
      ...signalOf(context),
    },
  );
  const state = /^([0-9A-Z]{5}) (?:ERROR|FATAL|PANIC):/m.exec(result.stderr)?.[1];
  if (result.exitCode !== 0 || state !== undefined) {
    throw new DevstackError({
      code: ServiceInitErrorCode.applyFailed,
      message: `PostgreSQL refused a change of users or databases in "${batch.database}" (SQLSTATE ${state ?? 'unknown'}, exit code ${String(result.exitCode)}).`,
      hint:
        state === undefined
          ? 'Look at the free disk space and at the owner of the data volume.'
          : 'https://www.postgresql.org/docs/current/errcodes-appendix.html explains the state.',
      details: { sqlState: state ?? null, database: batch.database, exitCode: result.exitCode },
    });
  }
  return result.stdout;
}

function firstStartFailed(program: string, exitCode: number | undefined, stderr: string): DevstackError {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  // initdb tells the cause first and its clean-up last.
  const causes = lines.filter((line) => /FATAL|PANIC|ERROR|error:/.test(line));
  const said = (causes.length > 0 ? causes : lines).slice(-3).join(' ');
  return new DevstackError({
    code: ServiceInitErrorCode.firstStartFailed,
    message: `${program} failed with exit code ${String(exitCode)}: ${said}`,
    hint: 'Look at the free disk space ("docker system df"). The next start begins anew.',
    details: { program, exitCode: exitCode ?? null },
  });
}

function signalOf(context: ServiceInitContext): { signal?: AbortSignal } {
  return context.signal === undefined ? {} : { signal: context.signal };
}
