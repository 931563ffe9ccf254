import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isGone, ownIdentity, type ProcessIdentity } from '@devstack-core/durable-files';
import { errnoOf, fileError } from './errors.ts';
import { syncFolder } from './new-file.ts';

const prefix = '.backup-staging-';

/** A private folder for a file whose content is not proven yet. */
export interface Staging extends AsyncDisposable {
  readonly path: string;
  /** Gives the file its name, durably, unless something has that name. */
  promote(target: string): Promise<void>;
}

/** Makes a staging folder (0700) on the file system of its destination; it is removed with all that is in it. Throws `BACKUP_FILE_FAILED`. */
export async function stageFor(destination: string): Promise<Staging> {
  const folder = join(dirname(destination), `${prefix}${String(process.pid)}-${randomBytes(6).toString('hex')}`);
  try {
    if (await exists(destination)) throw Object.assign(new Error('exists'), { code: 'EEXIST', syscall: 'link' });
    await mkdir(folder, { mode: 0o700 });
    await writeFile(join(folder, 'owner'), JSON.stringify(ownIdentity()), { mode: 0o600 });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw fileError(error, 'create', destination);
  }
  const path = join(folder, 'content');
  return {
    path,
    async promote(target: string): Promise<void> {
      try {
        await linkOrRename(path, target);
        await syncFolder(dirname(target));
      } catch (error) {
        throw fileError(error, 'create', target);
      }
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Removes the staging folders that killed runs left in a folder, with the plain text in them; those of running processes stay. Gives the paths of
 * what it removed; none where the folder is not there. Throws `BACKUP_FILE_FAILED`.
 */
export async function sweepStaging(directory: string): Promise<readonly string[]> {
  const removed: string[] = [];
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    for (const entry of entries.filter(({ name }) => name.startsWith(prefix))) {
      const path = join(directory, entry.name);
      if (!entry.isDirectory() || !(await isAbandoned(path, entry.name))) continue;
      await rm(path, { recursive: true, force: true });
      removed.push(path);
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fileError(error, 'sweep', directory);
  }
  return removed;
}

// A run may be killed before its owner is written, or while it is: then the name tells.
async function isAbandoned(path: string, name: string): Promise<boolean> {
  try {
    return isGone(JSON.parse(await readFile(join(path, 'owner'), 'utf8')) as ProcessIdentity);
  } catch {
    return isGone({ ...ownIdentity(), pid: Number.parseInt(name.slice(prefix.length), 10), startTime: null });
  }
}

// A link never replaces what is there, a rename does. Where the file system has no links, one look before must do.
async function linkOrRename(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
    await unlink(from);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errnoOf(error) ?? '')) throw error;
    await rename(from, to);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
}
