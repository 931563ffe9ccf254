import { statfs } from 'node:fs/promises';
import type { StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { emptyTrash } from './trash.ts';

const reserve = 1.3;

/**
 * Makes sure that there is room for a set as large as the last one, and 30 %: expired trash is removed first, then the rest of it, the oldest
 * first. Throws `BACKUP_NO_SPACE`.
 */
export async function ensureSpace(context: StoreContext, expectedBytes: number): Promise<void> {
  const { directory } = context;
  const neededBytes = Math.ceil(expectedBytes * reserve);
  if ((await freeBytes(directory)) >= neededBytes) return;
  await emptyTrash(context, { until: async () => (await freeBytes(directory)) >= neededBytes });
  const free = await freeBytes(directory);
  if (free >= neededBytes) return;
  throw storeError(
    BackupStoreErrorCode.noSpace,
    `${directory} has ${mebibytes(free)} free, and the backup may need ${mebibytes(neededBytes)} (the last one's size, and 30 %).`,
    'Free some space, rotate old backups, or choose another folder. Nothing was written.',
    { directory, freeBytes: free, neededBytes },
  );
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
