import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { abortReason } from '@devstack-core/errors';
import { BackupStoreErrorCode, hasErrno, storeError } from './errors.ts';
import type { FileMeasure } from './manifest.ts';

/** Makes the entries of a folder durable; see fsync(2). */
export async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

/** A regular file's size; undefined where there is none, or something else: a link is never followed. */
export async function regularSize(path: string): Promise<number | undefined> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? stats.size : undefined;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Whether a path is a folder itself, no link to one. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** The names in a folder; none where there is no folder. */
export async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).toSorted();
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** The text of a regular file of a sane size; undefined where there is none. Links are not followed. */
export async function readSmall(path: string, longest: number = 64 * 1024 * 1024): Promise<string | undefined> {
  try {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await handle.stat();
    return stats.isFile() && stats.size <= longest ? await handle.readFile('utf8') : undefined;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR', 'ENXIO')) return undefined;
    throw error;
  }
}

/** Size and SHA-256 of a regular file. Throws `BACKUP_INCOMPLETE` where there is none, `INTERRUPTED`. */
export async function measureFile(path: string, signal?: AbortSignal): Promise<FileMeasure> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of readPieces(path, signal)) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** The bytes of a regular file. Throws as `measureFile` does. */
export async function* readPieces(path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  await using handle = await openRegular(path);
  for (;;) {
    refuseAborted(signal, `Reading ${path}`);
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.allocUnsafe(1024 * 1024) });
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Throws the reason of a signal that is aborted; `INTERRUPTED` where that is none of ours. */
export function refuseAborted(signal: AbortSignal | undefined, what: string): void {
  const reason = abortReason(signal, what);
  if (reason !== undefined) throw reason;
}

async function openRegular(path: string): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((error: unknown) => {
    throw hasErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR', 'ENXIO') ? missingFile(path, error) : error;
  });
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw missingFile(path);
}

/** Bytes of all files below a folder. */
export async function folderBytes(path: string): Promise<number> {
  let bytes = 0;
  for (const name of await namesIn(path)) {
    const member = join(path, name);
    bytes += (await isFolder(member)) ? await folderBytes(member) : ((await regularSize(member)) ?? 0);
  }
  return bytes;
}

/** Removes a folder and all below it, for good. */
export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await syncFolder(dirname(path));
}

function missingFile(path: string, cause?: unknown): Error {
  return storeError(
    BackupStoreErrorCode.incomplete,
    `${path} is not there, or is no regular file.`,
    'Use another set, or fetch this one from off-site.',
    { path },
    cause,
  );
}
