import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Ledger, Place } from '../ledger.ts';
import { systemCode, type AuditLimits } from './context.ts';
import { namesIn } from './names-in.ts';

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
        for (const child of namesIn(await readdir(path), options.onError))
          pending.push(name === '' ? child : `${name}/${child}`);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') options.onError(error);
    }
  }
}

/** Searches the content of a file, at most so many bytes of it. Gives how many were read; what vanished is empty. */
export async function searchFile(
  { ledger, place, limitBytes }: { readonly ledger: Ledger; readonly place: Place; readonly limitBytes: number },
  path: string,
): Promise<number> {
  try {
    // Neither a link nor a pipe that was put in its place is followed or waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { size } = await file.stat();
    const buffer = Buffer.allocUnsafe(Math.min(size + 1, pieceBytes));
    const first = await file.read(buffer, 0, Math.min(buffer.length, limitBytes));
    // Most files are small: these need no stream.
    if (first.bytesRead < buffer.length) {
      ledger.text(place, buffer.subarray(0, first.bytesRead));
      return first.bytesRead;
    }
    const stream = ledger.stream(place);
    let done = 0;
    for (let { bytesRead } = first; bytesRead > 0;) {
      stream.write(buffer.subarray(0, bytesRead));
      done += bytesRead;
      ({ bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, limitBytes - done)));
    }
    stream.end();
    return done;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return 0;
  }
}

const pieceBytes = 256 * 1024;
