import { DevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { BackupPart } from '../types.ts';
import type { PostgresPlace } from './place.ts';
import type { PostgresSnapshot } from './snapshot.ts';

export interface PostgresDumpOptions {
  /** The moment to dump; a new one unless given. */
  readonly snapshot?: Pick<PostgresSnapshot, 'id'>;
  readonly signal?: AbortSignal;
}

/** `pg_dump --format=custom --compress=0` of one database. Throws DUMP_FAILED whenever what came is not the whole dump. */
export async function* dumpPostgresDatabase(
  place: PostgresPlace,
  database: string,
  options: PostgresDumpOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve([place, database, options]);
  yield Buffer.alloc(0);
  throw notYet();
}

/** The database of a held snapshot as a part of a set, of kind `postgresql-database`. */
export function postgresDatabasePart(
  place: PostgresPlace,
  snapshot: PostgresSnapshot,
  options: Pick<PostgresDumpOptions, 'signal'> = {},
): Promise<BackupPart> {
  return Promise.reject(notYet(place, snapshot, options));
}

function notYet(..._all: readonly unknown[]): DevstackError {
  return new DevstackError({ code: DatabaseBackupErrorCode.dumpFailed, message: 'not yet' });
}
