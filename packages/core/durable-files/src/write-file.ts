import { randomBytes } from 'node:crypto';
import { open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { isSecret, type Secret } from '@devstack-core/redaction';
import { fileError, hasErrno } from './errors.ts';
import { isProcessAlive } from './process-identity.ts';
import { syncDirectory } from './synced-directory.ts';

/** What may be written. */
export type FileContent = string | Uint8Array | Secret | Secret<Uint8Array>;

/** The steps of a durable write, in their order. */
export type WriteStep = 'opened' | 'written' | 'synced' | 'renamed' | 'directory-synced';

/** How to write a file. */
export interface WriteFileDurableOptions {
  /** 0600 unless given; set before the first byte is written, whatever the umask. */
  readonly mode?: number;
  /** Called after each step: for tests that interrupt a write, and for progress. */
  readonly onStep?: (step: WriteStep) => void | Promise<void>;
}

/**
 * Replaces a file as a whole: at every moment, also after a power cut, it holds either the old or the new content, and when the promise
 * resolves the new one is on the disk. A failed write leaves the old file and no temporary one. A symbolic link is replaced, not followed.
 * Throws `DISK_FULL`, `FILE_NOT_PERMITTED`, `FILE_MISSING` (no such folder), `FILE_FAILED`.
 */
export async function writeFileDurable(
  path: string,
  data: FileContent,
  options: WriteFileDurableOptions = {},
): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${String(process.pid)}-${randomBytes(6).toString('hex')}.tmp`);
  const step = async (name: WriteStep): Promise<void> => {
    await options.onStep?.(name);
  };
  try {
    await removeAbandoned(path);
    await writeSynced(temporary, data, options.mode ?? 0o600, step);
    await rename(temporary, path);
    await step('renamed');
    await syncDirectory(directory);
    await step('directory-synced');
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error instanceof Error && 'errno' in error ? fileError(error, 'write', path) : error;
  }
}

async function writeSynced(
  path: string,
  data: FileContent,
  mode: number,
  step: (name: WriteStep) => Promise<void>,
): Promise<void> {
  // O_EXCL: nobody can have put a link there. 0600 until the wanted mode is set, which the umask cannot narrow.
  await using handle: FileHandle = await open(path, 'wx', 0o600);
  await handle.chmod(mode);
  await step('opened');
  await handle.writeFile(isSecret(data) ? data.reveal() : data);
  await step('written');
  await handle.sync();
  await step('synced');
}

// A writer that was killed leaves a temporary file, which may hold a secret. It goes when its process is gone for a minute
// (a living one in another pid namespace does not need that long).
async function removeAbandoned(path: string): Promise<void> {
  const directory = dirname(path);
  const prefix = `.${basename(path)}.`;
  for (const name of await readdir(directory)) {
    const pid = name.startsWith(prefix) ? /^(\d+)-[0-9a-f]{12}\.tmp$/.exec(name.slice(prefix.length))?.[1] : undefined;
    if (pid === undefined || isProcessAlive(Number(pid))) continue;
    const candidate = join(directory, name);
    try {
      if (Date.now() - (await stat(candidate)).mtimeMs > 60_000) await unlink(candidate);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error;
    }
  }
}
