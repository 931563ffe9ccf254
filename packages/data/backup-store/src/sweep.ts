import { lstat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { sweepStaging } from '@devstack-core/backup-crypto';
import { isDevstackError } from '@devstack-core/errors';
import { layout, setFiles, type StoreContext } from './context.ts';
import { folderBytes, isFolder, namesIn, removeFolder, syncFolder } from './files.ts';
import { ownArtifacts } from './manifest.ts';
import { isArtifactFile, isSetId, unfinishedOf } from './names.ts';
import { readSet } from './read.ts';
import { emptyTrash } from './trash.ts';

/** What a sweep took away. */
export interface Swept {
  /** Relative to the store's folder. */
  readonly removed: readonly string[];
  readonly freedBytes: number;
}

const fetchKeptMs = 24 * 3_600_000;

/** Under the store's lock: everything that killed runs left, and what has expired in the trash, or all of it where `emptyAll`. */
export async function sweepStore(
  context: StoreContext,
  { emptyAll = false }: { readonly emptyAll?: boolean } = {},
): Promise<Swept> {
  const unfinished = await sweepUnfinished(context);
  const trash = await emptyTrash(context, emptyAll ? { until: () => Promise.resolve(false) } : {});
  return {
    removed: [...unfinished.removed, ...trash.removed.map((name) => join('.trash', name))],
    freedBytes: unfinished.freedBytes + trash.freedBytes,
  };
}

/**
 * Under the store's lock, so that nobody is making one: unfinished sets, staging files, and what a change of the passphrase left of the old files.
 * What a copy from off-site had fetched stays for a day, as the next one goes on with it.
 */
export async function sweepUnfinished(context: StoreContext): Promise<Swept> {
  const { directory } = context;
  const removed: string[] = [];
  let freedBytes = 0;
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    const unfinished = unfinishedOf(name);
    if (!(await isFolder(path))) continue;
    if (unfinished !== undefined && (unfinished.origin === 'partial' || (await ageOf(path)) > fetchKeptMs)) {
      freedBytes += await folderBytes(path);
      await removeFolder(path);
      removed.push(name);
    } else if (unfinished !== undefined || isSetId(name)) {
      const swept = await sweepSet(context, name);
      freedBytes += swept.freedBytes;
      removed.push(...swept.removed);
    }
  }
  for (const staged of await sweepStaging(directory)) removed.push(staged);
  return { removed, freedBytes };
}

/** Under the store's lock: what killed runs left in one set's folder. */
export async function sweepSet(context: StoreContext, name: string): Promise<Swept> {
  const path = join(context.directory, name);
  const removed = (await sweepStaging(path)).map((staged) => join(name, staged));
  let freedBytes = 0;
  for (const stray of await straysOf(context, name)) {
    freedBytes += (await lstat(join(path, stray))).size;
    await unlink(join(path, stray));
    removed.push(join(name, stray));
  }
  if (removed.length > 0) await syncFolder(path);
  return { removed, freedBytes };
}

// Only of a set whose manifest is believed: of any other nothing is known, so nothing is removed.
async function straysOf(context: StoreContext, id: string): Promise<readonly string[]> {
  if (!isSetId(id)) return [];
  try {
    const { manifest, trust } = await readSet(context, id);
    if (trust === 'unchecked') return [];
    const own = new Set(ownArtifacts(manifest).map(({ file }) => file));
    return (await namesIn(layout.set(context.directory, id))).filter(
      (name) => !own.has(name) && (isArtifactFile(name) || isLeftover(name)),
    );
  } catch (error) {
    if (isDevstackError(error)) return [];
    throw error;
  }
}

// What a durable write of one of our own files leaves when it is killed.
function isLeftover(name: string): boolean {
  return Object.values(setFiles).some(
    (file) => name.startsWith(`.${file}.`) && /^\d+-[0-9a-f]{12}\.tmp$/.test(name.slice(file.length + 2)),
  );
}

async function ageOf(path: string): Promise<number> {
  return Date.now() - (await lstat(path)).mtimeMs;
}
