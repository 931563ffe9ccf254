import { DevstackError } from '@devstack-core/errors';
import { sweepCredentialFiles } from '../credential-file.ts';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { BackupPart, EngineAdapter, Fingerprint, RestoreOptions, SourceOptions, StoredPart } from '../types.ts';
import { checkPostgresDatabase } from './check.ts';
import { databaseKind, databasePart } from './database-part.ts';
import { fingerprintDatabase } from './fingerprint-database.ts';
import { fingerprintOf, globalsKind, globalsPart, restoreGlobals } from './globals.ts';
import { describeServer } from './identity.ts';
import type { PostgresPlace } from './place.ts';
import { restorePostgresDatabase } from './restore.ts';
import { openSession } from './session.ts';
import { holdSnapshot } from './snapshot.ts';
import { throwawayPostgres } from './throwaway.ts';

/** PostgreSQL, logically: roles first, then each database in a snapshot of its own. */
export const postgresAdapter: EngineAdapter<PostgresPlace> = {
  engines: ['postgresql'],
  kinds: [globalsKind, databaseKind],
  open,
  restore,
  fingerprint,
  check: async (place, part, { signal } = {}) =>
    part.kind === databaseKind ? checkPostgresDatabase(place, part.name, { signal }) : [],
  throwaway: throwawayPostgres,
};

async function* open(place: PostgresPlace, options: SourceOptions = {}): AsyncGenerator<BackupPart, void, undefined> {
  const { signal, now } = options;
  await sweepCredentialFiles(place);
  const server = await describeServer(place, { purpose: 'dump', signal });
  const missing = (place.databases ?? []).filter(
    (name) => !(place.excludeDatabases ?? []).includes(name) && server.databases.every((found) => found.name !== name),
  );
  if (missing.length > 0)
    throw new DevstackError({
      code: DatabaseBackupErrorCode.dumpFailed,
      message: `PostgreSQL has no database ${missing.map((name) => `"${name}"`).join(', ')} that accepts connections.`,
    });
  yield globalsPart(place, server, { signal, now });
  for (const facts of server.databases) {
    await using snapshot = await holdSnapshot(place, facts.name, signal === undefined ? {} : { signal });
    await using part = await databasePart(place, snapshot, server, facts, { signal });
    yield part;
  }
}

async function restore(
  place: PostgresPlace,
  part: StoredPart,
  content: AsyncIterable<Uint8Array>,
  { signal }: RestoreOptions = {},
): Promise<void> {
  refuseOthers(part);
  await sweepCredentialFiles(place);
  if (part.kind === globalsKind) {
    const superuser = part.metadata?.['superuser'];
    await restoreGlobals(place, content, { superuser: typeof superuser === 'string' ? superuser : undefined, signal });
    return;
  }
  await restorePostgresDatabase(place, part.name, content, {
    ...(signal === undefined ? {} : { signal }),
    dropPublicSchema: part.metadata?.['hasPublicSchema'] === false,
  });
}

async function fingerprint(
  place: PostgresPlace,
  part: StoredPart,
  { signal }: RestoreOptions = {},
): Promise<Fingerprint> {
  refuseOthers(part);
  if (part.kind === globalsKind) return fingerprintOf(place, { purpose: 'restore', signal });
  await using session = await openSession(place, part.name, { purpose: 'restore', signal });
  await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  return await fingerprintDatabase(session);
}

function refuseOthers({ engine, kind, name }: StoredPart): void {
  if (engine.name === 'postgresql' && (kind === globalsKind || kind === databaseKind)) return;
  throw new DevstackError({
    code: DatabaseBackupErrorCode.engineMismatch,
    message: `"${name}" is a part of kind ${kind} of ${engine.name}, which PostgreSQL cannot restore.`,
  });
}
