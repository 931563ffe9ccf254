import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { NeedleStream } from '../searcher.ts';
import { systemCode, type AuditLimits } from './context.ts';

/** A file or folder that was met. */
export interface WalkedEntry {
  /** On this machine. */
  readonly path: string;
  /** Below the folder that the walk began in; empty for that itself. */
  readonly name: string;
  readonly isFolder: boolean;
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** Whether any user could read it: its own bits, and those of the folders above it up to where the walk began. */
  readonly isReadableByOthers: boolean;
}

/** What a walk left out, in words. */
export type OnCut = (what: string) => void;

/**
 * Files and folders below a path, which may be a file itself. Links, devices, sockets and pipes are left out. Folders that others cannot
 * enter are told but not entered. What vanishes on the way is left out; other errors go to `onError`.
 */
export async function* walk(
  root: string,
  options: { readonly limits: AuditLimits; readonly onCut: OnCut; readonly onError: (error: unknown) => void },
): AsyncGenerator<WalkedEntry, void, undefined> {
  const pending = [''];
  let left = options.limits.entries;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (left <= 0) {
      options.onCut(`after ${String(options.limits.entries)} files and folders`);
      return;
    }
    left -= 1;
    const path = name === '' ? root : join(root, name);
    try {
      const info = await lstat(path);
      if (!info.isFile() && !info.isDirectory()) continue;
      const mode = info.mode & 0o7777;
      const isFolder = info.isDirectory();
      yield { path, name, isFolder, mode, sizeBytes: info.size, isReadableByOthers: (mode & 0o004) !== 0 };
      // Whoever may enter a folder may open what he can guess in it, listed or not.
      if (isFolder && (mode & 0o001) !== 0)
        pending.push(...(await readdir(path)).map((child) => (name === '' ? child : `${name}/${child}`)));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') options.onError(error);
    }
  }
}

/** Gives the content of a file to a search, at most so many bytes. Gives how many bytes were read; what vanished is empty. */
export async function readInto(path: string, stream: NeedleStream, limitBytes: number): Promise<number> {
  let done = 0;
  try {
    // Neither a link nor a pipe that was put in its place is followed or waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const buffer = Buffer.allocUnsafe(256 * 1024);
    while (done < limitBytes) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, limitBytes - done));
      if (bytesRead === 0) break;
      stream.write(buffer.subarray(0, bytesRead));
      done += bytesRead;
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  stream.end();
  return done;
}
