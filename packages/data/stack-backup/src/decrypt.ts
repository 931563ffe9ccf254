import { createWriteStream } from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ArtifactRecord, BackupStore } from '@devstack-core/backup-store';
import { ensurePrivateDirectory, removeDurable } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import type { OnEvent } from '@devstack-core/stack-lifecycle';
import { StackBackupErrorCode } from './errors.ts';

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
 * Writes the plain content of a set into a folder, 0600 each, named as in the set without `.zst.gpg`. Gives the paths.
 * Throws TARGET_EXISTS, what the store throws; a file that could not be finished is removed.
 */
export async function decryptBackup(store: BackupStore, options: DecryptBackupOptions): Promise<readonly string[]> {
  const { id, only, directory, signal } = options;
  const manifest = await store.read(id);
  await ensurePrivateDirectory(directory);
  const written: string[] = [];
  const pathOf = ({ file }: ArtifactRecord): string => join(directory, file.replace(/\.zst(\.gpg)?$/, ''));
  // Plain text that a killed run has left: of all that the set has, whatever is wanted now, and whatever fails next.
  for (const artifact of manifest.artifacts) await rm(partialOf(pathOf(artifact)), { force: true });
  for (const artifact of manifest.artifacts) {
    if (only !== undefined && !only.includes(artifact.service)) continue;
    const path = pathOf(artifact);
    options.onEvent?.({ type: 'progress', step: 'decrypt', text: path });
    const content = store.open(id, artifact, signal === undefined ? {} : { signal });
    await writeNew(path, content);
    written.push(path);
  }
  return written;
}

// Under its own name only when it is whole: cut off, no half of it is taken for it.
async function writeNew(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const partial = partialOf(path);
  try {
    await pipeline(content, createWriteStream(partial, { flags: 'wx', mode: 0o600, flush: true }));
    await link(partial, path);
  } catch (error) {
    throw isTaken(error) ? taken(path) : error;
  } finally {
    await removeDurable(partial);
  }
}

function partialOf(path: string): string {
  return `${path}.partial`;
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}

function taken(path: string): DevstackError {
  return new DevstackError({
    code: StackBackupErrorCode.targetExists,
    message: `${path} is there already.`,
    hint: 'Decrypt into an empty folder.',
  });
}
