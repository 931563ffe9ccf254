import { acquireLease, DurableFilesErrorCode, type Lease } from '@devstack-core/durable-files';
import { isDevstackError } from '@devstack-core/errors';
import { layout, type StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';

/**
 * The one lock of a store, for whatever writes to it. It falls to the next one when its process is gone. Throws `BACKUP_LOCKED`, which names the
 * holder. Reading needs none: sets are made and removed by a rename.
 */
export async function lockStore({ directory }: StoreContext, owner: string): Promise<Lease> {
  try {
    return await acquireLease({ path: layout.lease(directory), owner });
  } catch (error) {
    if (!isDevstackError(error, DurableFilesErrorCode.leaseHeld)) throw error;
    const { owner: holder, pid, since, hostname } = error.details;
    throw storeError(
      BackupStoreErrorCode.locked,
      `Another run is at the backups in ${directory}: ${String(holder)} (pid ${String(pid)} on ${String(hostname)}) since ${String(since)}.`,
      'Wait for it to end, then run it again. A run that was killed holds nothing.',
      { directory, holder, pid, since, hostname },
      error,
    );
  }
}
