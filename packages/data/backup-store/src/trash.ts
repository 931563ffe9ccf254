import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePrivateDirectory, removeDurable, writeFileDurable } from '@devstack-core/durable-files';
import { layout, type StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { folderBytes, isFolder, namesIn, readSmall, removeFolder, syncFolder } from './files.ts';

/** A removed set that can still be had back. */
export interface TrashedSet {
  readonly id: string;
  readonly removedAt: string;
  readonly expiresAt: string;
  readonly why: string;
  readonly bytes: number;
  /** The name of its folder in the trash. */
  readonly name: string;
}

const tombstoneEnd = '.tombstone.json';
const condemnedEnd = '.condemned';

/**
 * Under the store's lock: takes a set out of the store. First a tombstone is written, then the folder moved, so that a kill in between leaves the
 * set where it was, and a tombstone that the next sweep takes away.
 */
export async function moveToTrash(context: StoreContext, id: string, why: string): Promise<TrashedSet> {
  const { directory, undoWindowMs } = context;
  const trash = layout.trash(directory);
  await ensurePrivateDirectory(trash);
  const now = context.now();
  const trashed: TrashedSet = {
    id,
    removedAt: now.toISOString(),
    expiresAt: new Date(now.getTime() + undoWindowMs).toISOString(),
    why,
    bytes: await folderBytes(layout.set(directory, id)),
    name: `${id}.${String(now.getTime())}`,
  };
  await writeFileDurable(join(trash, `${trashed.name}${tombstoneEnd}`), `${JSON.stringify(trashed, undefined, 2)}\n`);
  await context.step('rotate:tombstone', id);
  await rename(layout.set(directory, id), join(trash, trashed.name));
  await syncFolder(trash);
  await syncFolder(directory);
  await context.step('rotate:moved', id);
  return trashed;
}

/** What is in the trash, the oldest first. */
export async function listTrash({ directory }: StoreContext): Promise<readonly TrashedSet[]> {
  const trash = layout.trash(directory);
  const found: TrashedSet[] = [];
  for (const file of await namesIn(trash)) {
    if (!file.endsWith(tombstoneEnd)) continue;
    const trashed = parsed(await readSmall(join(trash, file)), file.slice(0, -tombstoneEnd.length));
    if (trashed !== undefined && (await isFolder(join(trash, trashed.name)))) found.push(trashed);
  }
  return found.toSorted((a, b) => (a.removedAt < b.removedAt ? -1 : 1));
}

/** Under the store's lock: brings a set back. Throws `BACKUP_NOT_FOUND`, `BACKUP_EXISTS`. */
export async function restoreFromTrash(context: StoreContext, id: string): Promise<void> {
  const { directory } = context;
  const trash = layout.trash(directory);
  const trashed = (await listTrash(context)).findLast((one) => one.id === id);
  if (trashed === undefined)
    throw storeError(
      BackupStoreErrorCode.notFound,
      `The backup '${id}' is not in the trash.`,
      'What was removed can be had back until it expires, or until its space is needed.',
      { id, directory },
    );
  if (await isFolder(layout.set(directory, id)))
    throw storeError(BackupStoreErrorCode.exists, `The backup ${id} is there already.`, 'Nothing is to be done.', {
      id,
    });
  await rename(join(trash, trashed.name), layout.set(directory, id));
  await syncFolder(directory);
  await syncFolder(trash);
  await removeDurable(join(trash, `${trashed.name}${tombstoneEnd}`));
}

/** How to empty the trash. */
export interface EmptyTrashOptions {
  /** Goes on with what has not expired, the oldest first, until this says that it is enough; only what has expired without it. */
  readonly until?: () => Promise<boolean>;
}

/** Under the store's lock: removes what has expired, and leftovers of removals that were cut short. Gives the names and the bytes of what is gone. */
export async function emptyTrash(
  context: StoreContext,
  { until }: EmptyTrashOptions = {},
): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }> {
  const trash = layout.trash(context.directory);
  const removed: string[] = [];
  let freedBytes = 0;
  const drop = async (name: string): Promise<void> => {
    freedBytes += await folderBytes(join(trash, name));
    await removeFolder(join(trash, name));
    removed.push(name);
  };
  for (const name of await namesIn(trash)) if (name.endsWith(condemnedEnd)) await drop(name);
  for (const trashed of await listTrash(context)) {
    const isExpired = Date.parse(trashed.expiresAt) <= context.now().getTime();
    if (!isExpired && (until === undefined || (await until()))) continue;
    // Half a set must not be had back: from here on it is none.
    await rename(join(trash, trashed.name), join(trash, `${trashed.name}${condemnedEnd}`));
    await syncFolder(trash);
    await context.step('purge:condemned', trashed.id);
    await drop(`${trashed.name}${condemnedEnd}`);
    await context.step('purge:removed', trashed.id);
  }
  for (const name of await namesIn(trash))
    if (name.endsWith(tombstoneEnd) && !(await isFolder(join(trash, name.slice(0, -tombstoneEnd.length)))))
      await removeDurable(join(trash, name));
  return { removed, freedBytes };
}

function parsed(text: string | undefined, name: string): TrashedSet | undefined {
  try {
    const value = JSON.parse(text ?? '') as TrashedSet;
    return typeof value.id === 'string' && !Number.isNaN(Date.parse(value.expiresAt)) ? { ...value, name } : undefined;
  } catch {
    return undefined;
  }
}
