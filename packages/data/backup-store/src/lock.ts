import { statfs, unlink, writeFile } from 'node:fs/promises';
import { acquireLease, DurableFilesErrorCode, type Lease } from '@devstack-core/durable-files';
import { isDevstackError } from '@devstack-core/errors';
import { layout, type StoreContext } from './context.ts';
import { BackupStoreErrorCode, hasErrno, storeError } from './errors.ts';

/**
 * The one lock of a store, for whatever writes to it. It falls to the next one when its process is gone. Throws `BACKUP_LOCKED`, which names the
 * holder. Reading needs none: sets are made and removed by a rename.
 */
export async function lockStore(context: StoreContext, owner: string): Promise<Lease> {
  const lease = await acquire(context, owner).catch(async (error: unknown) => {
    if (!isDevstackError(error, DurableFilesErrorCode.diskFull) || !(await openReserve(context))) throw error;
    return acquire(context, owner);
  });
  await keepReserve(context);
  // On a full disk it cannot be given back in writing; it ends with this process then, and must not hide what went wrong before.
  const release = (): Promise<void> => lease.release().catch(() => undefined);
  return {
    token: lease.token,
    owner: lease.owner,
    assertHeld: () => lease.assertHeld(),
    release,
    [Symbol.asyncDispose]: release,
  };
}

async function acquire({ directory }: StoreContext, owner: string): Promise<Lease> {
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

const reserveBytes = 256 * 1024;

// A disk without a free byte has no place for a lock either, and what would make room could not run: so some is set aside for that.
async function keepReserve({ directory }: Pick<StoreContext, 'directory'>): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < 4 * reserveBytes) return;
  await writeFile(layout.reserve(directory), Buffer.alloc(reserveBytes, 1), { flag: 'wx', mode: 0o600 }).catch(
    async (error: unknown) => {
      if (!hasErrno(error, 'EEXIST')) await openReserve({ directory });
    },
  );
}

async function openReserve({ directory }: Pick<StoreContext, 'directory'>): Promise<boolean> {
  return unlink(layout.reserve(directory)).then(
    () => true,
    () => false,
  );
}
