import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { abortReason, DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { CredentialFilesErrorCode } from './errors.ts';

/** A file to write: a name without a folder, and what a `render…` function made. */
export interface CredentialFile {
  readonly name: string;
  readonly content: Secret;
  /** 0600 by default. */
  readonly mode?: number;
}

/** Where and what to write. */
export interface WriteCredentialFilesOptions {
  /** Made with mode 0700 where it is missing. In a container: a tmpfs. */
  readonly directory: string;
  readonly files: readonly CredentialFile[];
  /** On abort the files are removed at once, synchronously: hand in a signal that is tied to SIGINT and SIGTERM. */
  readonly signal?: AbortSignal;
}

/** Files that exist until they are disposed of, or the signal is aborted. */
export interface WrittenCredentialFiles extends AsyncDisposable {
  /** The absolute path of each file, by its name. */
  readonly paths: Readonly<Record<string, string>>;
  /** Removes the files now; the same as disposing. */
  remove(): void;
  /** Leaves the files where they are: neither disposing nor the signal removes them any more. */
  keep(): void;
}

/**
 * Writes credential files: each exists with its final mode before its first byte, and appears under its name only when it is
 * whole. On an error none is left behind. Throws `CREDENTIAL_WRITE_FAILED`, or `INTERRUPTED` when the signal is aborted.
 */
export async function writeCredentialFiles({
  directory,
  files,
  signal,
}: WriteCredentialFilesOptions): Promise<WrittenCredentialFiles> {
  const left = new Set<string>();
  const remove = (): void => {
    signal?.removeEventListener('abort', remove);
    for (const path of left) rmSync(path, { force: true });
    left.clear();
  };
  signal?.addEventListener('abort', remove);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const paths: Record<string, string> = {};
    for (const file of files) {
      const path = join(directory, plainName(file.name));
      await writeOne({ path, file, left, assertWanted: () => throwIfAborted(signal) });
      paths[file.name] = path;
    }
    return {
      paths,
      remove,
      keep: () => {
        left.clear();
        remove();
      },
      [Symbol.asyncDispose]: () => {
        remove();
        return Promise.resolve();
      },
    };
  } catch (error) {
    remove();
    throwIfAborted(signal);
    throw writeFailed(directory, error);
  }
}

async function writeOne({
  path,
  file,
  left,
  assertWanted,
}: {
  path: string;
  file: CredentialFile;
  left: Set<string>;
  assertWanted: () => void;
}): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  const mode = file.mode ?? 0o600;
  assertWanted();
  const handle = await open(temporary, 'wx', mode);
  left.add(temporary);
  try {
    // The umask may have taken bits from the mode that was asked for.
    await handle.chmod(mode);
    assertWanted();
    await handle.writeFile(file.content.reveal());
    await handle.sync();
  } finally {
    await handle.close();
  }
  assertWanted();
  await rename(temporary, path);
  left.delete(temporary);
  left.add(path);
  try {
    assertWanted();
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  const reason = abortReason(signal, 'Writing credential files');
  if (reason !== undefined) throw reason;
}

function plainName(name: string): string {
  if (name !== basename(name) || name === '' || name === '.' || name === '..')
    throw new TypeError(`"${name}" is not a plain file name`);
  return name;
}

function writeFailed(directory: string, error: unknown): DevstackError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new DevstackError({
    code: CredentialFilesErrorCode.writeFailed,
    message: `Credential files could not be written to ${directory}: ${code ?? message}.`,
    hint:
      code === 'ENOSPC'
        ? 'Free some space there.'
        : 'Check that the directory exists, is writable, and belongs to this user.',
    details: { directory, ...(code === undefined ? {} : { systemCode: code }) },
  });
}
