import { isDevstackError } from '@devstack-core/errors';
import type { BackupPart, Fingerprint } from '../types.ts';
import { compareFingerprints } from '../fingerprint.ts';
import { execSupervised } from '../supervised-program.ts';
import { collect } from './collect.ts';
import { failure, refusal } from './failure.ts';
import { fingerprintGlobals } from './fingerprint-globals.ts';
import { planGlobals } from './globals-plan.ts';
import { maintenanceDatabase, type ServerFacts } from './identity.ts';
import { login } from './login.ts';
import type { PostgresPlace } from './place.ts';
import { openSession, type SessionOptions } from './session.ts';

export const globalsKind = 'postgresql-globals';

/** Roles with their verifiers, memberships, settings and privileges on parameters. */
export function globalsPart(
  place: PostgresPlace,
  server: ServerFacts,
  {
    signal,
    now = () => new Date(),
  }: { readonly signal?: AbortSignal | undefined; readonly now?: (() => Date) | undefined },
): BackupPart {
  let dumped: Promise<Globals> | undefined;
  const dump = (): Promise<Globals> => (dumped ??= dumpGlobals(place, signal));
  return {
    name: 'globals',
    kind: globalsKind,
    extension: 'sql',
    engine: server.engine,
    consistency: 'exact',
    snapshotAt: now().toISOString(),
    isSecret: true,
    metadata: { superuser: server.superuser },
    restoreHint: [
      'psql --dbname=postgres --file=FILE   # first of all; it complains of roles that are there already and keeps them',
    ],
    fingerprint: async () => (await dump()).fingerprint,
    content: async function* () {
      yield (await dump()).script;
    },
  };
}

interface Globals {
  readonly script: Uint8Array;
  readonly fingerprint: Fingerprint;
}

// pg_dumpall takes no snapshot: what was the same before and after it is what it saw.
async function dumpGlobals(place: PostgresPlace, signal: AbortSignal | undefined): Promise<Globals> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const before = await fingerprintOf(place, { purpose: 'dump', signal });
    const script = await runDump(place, signal);
    const fingerprint = await fingerprintOf(place, { purpose: 'dump', signal });
    if (compareFingerprints(before, fingerprint).length === 0) return { script, fingerprint };
  }
  throw refusal('dump', 'Roles changed again and again while they were being dumped.');
}

/** What the place's roles are now. */
export async function fingerprintOf(place: PostgresPlace, options: SessionOptions): Promise<Fingerprint> {
  await using session = await openSession(place, maintenanceDatabase, options);
  return await fingerprintGlobals(session);
}

const endMark = '-- PostgreSQL database cluster dump complete';

async function runDump(place: PostgresPlace, signal: AbortSignal | undefined): Promise<Uint8Array> {
  await using access = await login(place);
  const program = await execSupervised(
    place,
    [
      'pg_dumpall',
      '--no-password',
      '--globals-only',
      '--no-tablespaces',
      `--database=${maintenanceDatabase}`,
      `--dbname=${access.connection(maintenanceDatabase)}`,
    ],
    { signal },
  );
  const script = await collect(program.stdout);
  const { exitCode, stderr } = await program.ended;
  if (exitCode !== 0) throw failure('dump', 'The dump of the roles', exitCode, stderr);
  if (!script.subarray(-200).includes(endMark))
    throw refusal('dump', 'The dump of the roles does not come to its end.');
  return script;
}

/**
 * Brings roles into the place in one transaction. Those that are there keep their passwords, which belong to whoever made them (Vault, for
 * the stack's own); those that are missing come with the verifiers of the dump. Roles that the dump does not know stay.
 */
export async function restoreGlobals(
  place: PostgresPlace,
  content: AsyncIterable<Uint8Array>,
  { superuser, signal }: { readonly superuser: string | undefined; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const script = (await collect(content)).toString('utf8');
  if (!script.slice(-200).includes(endMark))
    throw refusal('restore', 'The dump of the roles does not come to its end.');
  await using session = await openSession(place, maintenanceDatabase, { purpose: 'restore', signal });
  const [own] = await session.query(`SELECT pg_get_userbyid(10) AS superuser`);
  const roles = await session.query(`SELECT rolname AS name FROM pg_roles`);
  const plan = planGlobals(script, {
    existing: roles.map((row) => String(row['name'])),
    superuser: { there: superuser, here: String(own?.['superuser']) },
  });
  if (plan === undefined) throw refusal('restore', 'The dump of the roles is damaged.');
  // Statements hold verifiers: neither the log nor the statistics may keep them.
  await session.run(quiet);
  try {
    for (const statement of ['BEGIN', ...plan, 'COMMIT']) await session.run(statement);
  } catch (error) {
    if (isDevstackError(error))
      throw refusal('restore', `The roles could not be restored: ${error.message}`, error.hint);
    throw error;
  }
}

const quiet = `SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1; SET log_min_duration_sample = -1; SET log_duration = off; SET log_transaction_sample_rate = 0; SET pg_stat_statements.track = 'none'; SET pg_stat_statements.track_utility = off; SET search_path = pg_catalog`;
