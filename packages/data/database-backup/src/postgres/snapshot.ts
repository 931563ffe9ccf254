import { DevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { Fingerprint } from '../types.ts';
import type { PostgresPlace } from './place.ts';

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
  /** The rows of one statement in the snapshot, each as the object that `row_to_json` makes of it. Throws DUMP_FAILED. */
  query(sql: string): Promise<readonly Record<string, unknown>[]>;
  /** Of the whole database at that moment; sequences, which no snapshot holds, as they are now. Throws DUMP_FAILED. */
  fingerprint(): Promise<Fingerprint>;
}

/** Holds one moment of a database, with all its tables locked against what the option says. Throws DUMP_FAILED, PLACE_UNUSABLE. */
export function holdSnapshot(
  place: PostgresPlace,
  database: string,
  options: HoldSnapshotOptions = {},
): Promise<PostgresSnapshot> {
  return Promise.reject(notYet(place, database, options));
}

function notYet(..._all: readonly unknown[]): DevstackError {
  return new DevstackError({ code: DatabaseBackupErrorCode.dumpFailed, message: 'not yet' });
}
