import { randomBytes } from 'node:crypto';
import { rename, symlink, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { fileError } from './errors.ts';
import { syncDirectory } from './synced-directory.ts';

/**
 * Points a symbolic link at another target, or makes it: at every moment the path leads to the old or the new target, and when the
 * promise resolves the new one is on the disk. A relative target is relative to the link. Throws `FILE_NOT_PERMITTED`, `FILE_FAILED`
 * (something that is no file is in the way), `DISK_FULL`.
 */
export async function replaceLinkDurable(path: string, target: string): Promise<void> {
  const temporary = join(
    dirname(path),
    `.${basename(path)}.${String(process.pid)}-${randomBytes(6).toString('hex')}.tmp`,
  );
  try {
    await symlink(target, temporary);
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw fileError(error, 'switch the link', path);
  }
}
