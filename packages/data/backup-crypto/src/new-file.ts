import { open, unlink, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError } from './errors.ts';

const fileMode = 0o600;

/**
 * Writes a new file of mode 0600 and syncs it with its folder; on any failure nothing of it is left. A piece is done with when the next one is
 * asked for; `written` is told of it before. Throws `BACKUP_DISK_FULL`, `BACKUP_FILE_FAILED` and whatever the source throws.
 */
export async function writeNewFile(
  path: string,
  source: AsyncIterable<Uint8Array>,
  written: (chunk: Uint8Array) => void = () => undefined,
): Promise<void> {
  const handle = await attempt('create', path, () => open(path, 'wx', fileMode));
  try {
    try {
      for await (const chunk of source) {
        await attempt('write', path, () => writeAll(handle, chunk));
        written(chunk);
      }
      await attempt('write', path, () => handle.sync());
    } finally {
      await attempt('write', path, () => handle.close());
    }
    await attempt('write', path, () => syncFolder(dirname(path)));
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

/** Makes a folder's entries durable; see fsync(2). */
export async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length;) at += (await handle.write(chunk, at)).bytesWritten;
}

async function attempt<T>(doing: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, doing, path);
  }
}
