import { DevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { RestoreOptions } from '../types.ts';
import type { PostgresPlace } from './place.ts';

export interface PostgresRestoreOptions extends RestoreOptions {
  /** Asked with the new database's temporary name before it takes the old one's place; what it throws leaves the old one. */
  readonly prove?: (temporaryName: string) => Promise<void>;
}

/**
 * Restores a dump under a temporary name and lets it take the place of what is there in one transaction, which ends the sessions of that
 * database. Whatever fails leaves the database as it was. Throws RESTORE_FAILED, ENGINE_MISMATCH.
 */
export function restorePostgresDatabase(
  place: PostgresPlace,
  database: string,
  content: AsyncIterable<Uint8Array>,
  options: PostgresRestoreOptions = {},
): Promise<void> {
  return Promise.reject(notYet(place, database, content, options));
}

function notYet(..._all: readonly unknown[]): DevstackError {
  return new DevstackError({ code: DatabaseBackupErrorCode.restoreFailed, message: 'not yet' });
}
