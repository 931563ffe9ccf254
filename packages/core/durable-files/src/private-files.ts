import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import process from 'node:process';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { DurableFilesErrorCode, fileError, hasErrno } from './errors.ts';
import { syncDirectory } from './synced-directory.ts';

/**
 * Makes sure that a directory exists, belongs to this user and is closed to all others (0700, also when it was wider). Missing parents are
 * made, 0700, too. Throws `NOT_A_DIRECTORY` for anything else of that name, a symbolic link included, and `FILE_FOREIGN` for another user's.
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  try {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if ((await lstat(path)).isSymbolicLink()) throw notADirectory(path, 'a symbolic link');
    await using handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const stats = await handle.stat();
    refuseForeign(path, stats);
    if ((stats.mode & 0o777) !== 0o700) await handle.chmod(0o700);
    if (first !== undefined) await syncDirectory(dirname(first));
  } catch (error) {
    if (error instanceof DevstackError) throw error;
    if (hasErrno(error, 'EEXIST')) throw notADirectory(path, 'something else');
    throw fileError(error, 'make the private folder', path);
  }
}

/** How to read a private file. */
export interface ReadPrivateFileOptions {
  /** Whether a file that others may read or write is refused; true unless given. */
  readonly requireMode?: boolean;
}

/**
 * The content of a file that only its owner may read. Throws `FILE_TOO_OPEN` (the hint names the chmod), `FILE_FOREIGN` when it is neither
 * this user's nor root's, `FILE_MISSING`, `FILE_NOT_PERMITTED`.
 */
export async function readPrivateFile(
  path: string,
  { requireMode = true }: ReadPrivateFileOptions = {},
): Promise<Secret> {
  try {
    // The mode is that of the file which is read, not of one that was at the path before.
    await using handle = await open(path, 'r');
    if (requireMode) {
      const stats = await handle.stat();
      refuseForeign(path, stats);
      refuseOpen(path, stats);
    }
    return new Secret(await handle.readFile('utf8'));
  } catch (error) {
    throw error instanceof DevstackError ? error : fileError(error, 'read', path);
  }
}

/** Removes a file; when the promise resolves it stays removed, also after a crash. A file that is not there is fine. */
export async function removeDurable(path: string): Promise<void> {
  try {
    await unlink(path);
    await syncDirectory(dirname(path));
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw fileError(error, 'remove', path);
  }
}

function refuseForeign(path: string, stats: Stats): void {
  const own = process.getuid?.();
  if (own === undefined || stats.uid === own || (stats.isFile() && stats.uid === 0)) return;
  throw new DevstackError({
    code: DurableFilesErrorCode.fileForeign,
    message: `${path} belongs to user ${String(stats.uid)}, not to user ${String(own)}, who runs this.`,
    hint: `If it is yours: chown ${String(own)} '${path}'`,
    details: { path, uid: stats.uid, expectedUid: own },
  });
}

function refuseOpen(path: string, stats: Stats): void {
  const mode = stats.mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new DevstackError({
    code: DurableFilesErrorCode.fileTooOpen,
    message: `${path} holds secrets, but others than its owner may open it (mode ${mode.toString(8).padStart(4, '0')}).`,
    hint: `Close it: chmod 600 '${path}'; change what is in it if someone may have read it.`,
    details: { path, mode: mode.toString(8).padStart(4, '0') },
  });
}

function notADirectory(path: string, what: string): DevstackError {
  return new DevstackError({
    code: DurableFilesErrorCode.notADirectory,
    message: `${path} is ${what}, not a folder.`,
    hint: 'Move it away, or choose another path.',
    details: { path },
  });
}
