import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BackupStoreErrorCode, hasErrno, storeError } from './errors.ts';
import { isFolder, measureFile, namesIn, readPieces, refuseAborted, regularSize, syncFolder } from './files.ts';
import { isSetId } from './names.ts';
import { setFiles } from './context.ts';
import type { OffsiteTarget } from './target.ts';

/** A folder on another disk. It must be there: a mount point of a drive that is not mounted is no place for a backup. */
export function directoryTarget({ path }: { readonly path: string }): OffsiteTarget {
  const place = (name: string): string => join(path, name);
  return {
    label: path,
    async measure(name) {
      return (await regularSize(place(name))) === undefined ? undefined : measureFile(place(name));
    },
    async put(name, source, _measure, signal) {
      if (!(await isFolder(path))) throw unreachable(path);
      const temporary = `${place(name)}.${randomBytes(6).toString('hex')}.tmp`;
      try {
        await mkdir(dirname(place(name)), { recursive: true, mode: 0o700 });
        refuseAborted(signal, `Copying ${name}`);
        await removeLeftovers(place(name));
        await copyFile(source, temporary, constants.COPYFILE_EXCL);
        await using handle = await open(temporary, 'r+');
        await handle.chmod(0o600).catch(() => undefined);
        await handle.sync();
        await rename(temporary, place(name));
        await syncFolder(dirname(place(name)));
        await syncFolder(path);
      } catch (error) {
        await unlink(temporary).catch(() => undefined);
        throw signal?.aborted === true ? error : failed(path, error);
      }
    },
    async *get(name, signal) {
      if ((await regularSize(place(name))) === undefined) throw missing(path, name);
      yield* readPieces(place(name), signal);
    },
    async sets() {
      if (!(await isFolder(path))) throw unreachable(path);
      const found: string[] = [];
      for (const name of await namesIn(path))
        if (isSetId(name) && (await regularSize(join(path, name, setFiles.manifest))) !== undefined) found.push(name);
      return found;
    },
  };
}

// Of copies of the same file that were killed.
async function removeLeftovers(path: string): Promise<void> {
  for (const name of await namesIn(dirname(path)))
    if (name.startsWith(`${basename(path)}.`) && /\.[0-9a-f]{12}\.tmp$/.test(name))
      await unlink(join(dirname(path), name));
}

function unreachable(path: string): Error {
  return storeError(
    BackupStoreErrorCode.targetFailed,
    `${path} is no folder that is there.`,
    'Plug in and mount the drive, or make the folder.',
    { path },
  );
}

function missing(path: string, name: string): Error {
  return storeError(BackupStoreErrorCode.notFound, `${path} has no ${name}.`, 'List the sets that are there.', {
    path,
    name,
  });
}

function failed(path: string, error: unknown): Error {
  const isFull = hasErrno(error, 'ENOSPC', 'EDQUOT');
  return storeError(
    BackupStoreErrorCode.targetFailed,
    isFull ? `${path} is full.` : `${path} could not be written.`,
    isFull
      ? 'Free some space there, then run it again: it goes on where it stopped.'
      : 'Look at the drive: mount, permissions, dmesg.',
    { path },
    error,
  );
}
