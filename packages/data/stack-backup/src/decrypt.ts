import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BackupStore } from '@devstack-core/backup-store';
import { ensurePrivateDirectory, removeDurable } from '@devstack-core/durable-files';
import type { OnEvent } from '@devstack-core/stack-lifecycle';

/** What to decrypt, and where to. */
export interface DecryptBackupOptions {
  readonly id: string;
  readonly only?: readonly string[] | undefined;
  /** Private, made where it is not there. */
  readonly directory: string;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the plain content of a set into a folder, 0600 each, named as in the set without `.zst.gpg`. Gives the paths. A file that is there
 * already is an error; one that could not be finished is removed.
 */
export async function decryptBackup(store: BackupStore, options: DecryptBackupOptions): Promise<readonly string[]> {
  const { id, only, directory, signal } = options;
  const manifest = await store.read(id);
  await ensurePrivateDirectory(directory);
  const written: string[] = [];
  for (const artifact of manifest.artifacts) {
    if (only !== undefined && !only.includes(artifact.service)) continue;
    const path = join(directory, artifact.file.replace(/\.zst(\.gpg)?$/, ''));
    options.onEvent?.({ type: 'progress', step: 'decrypt', text: path });
    const content = store.open(id, artifact, signal === undefined ? {} : { signal });
    const target = createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true });
    try {
      await pipeline(content, target);
    } catch (error) {
      if (!isTaken(error)) await removeDurable(path);
      throw error;
    }
    written.push(path);
  }
  return written;
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}
