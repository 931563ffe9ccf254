import { lstat, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSecret, type Secret } from '@devstack-core/redaction';
import type { Surface } from '../surfaces.ts';
import { cannotCheck, systemCode, throwIfAborted, type CollectContext } from './context.ts';
import { namesIn } from './names-in.ts';
import { searchFile } from './walk.ts';

/** A text or file that the caller adds: what compose resolves to, `.env`, a shell's history, own logs and reports. */
export interface HostFile {
  readonly kind: 'compose-config' | 'env-file' | 'shell-history' | 'project-logs' | 'reports' | 'files';
  /** How findings name it, relative to the repository where it is in one; the path unless given. */
  readonly name?: string;
  /** A file, or a folder with everything below it. */
  readonly path?: string;
  /** In place of a path. */
  readonly text?: string | Uint8Array | Secret;
  /** One that is missing is fine. */
  readonly optional?: boolean;
}

/** Searches one of them. */
export async function collectHostFile(context: CollectContext, file: HostFile): Promise<void> {
  const { kind, path, text } = file;
  const name = file.name ?? path ?? kind;
  if (!context.wants(kind)) return;
  if (text !== undefined) {
    const value: unknown = isSecret(text) ? text.reveal() : text;
    const bytes = value instanceof Uint8Array ? value : Buffer.from(String(value), 'utf8');
    searchText(context, kind, name, bytes);
    context.ledger.checked(kind, name);
    return;
  }
  if (path === undefined) {
    cannotCheck(context, kind, name, 'neither a path nor a text was given');
    return;
  }
  try {
    await search(context, { surface: kind, path, name });
    context.ledger.checked(kind, name);
  } catch (error) {
    throwIfAborted(context.signal);
    if (systemCode(error) !== 'ENOENT' || file.optional !== true) cannotCheck(context, kind, name, error);
  }
}

interface Found {
  readonly surface: Surface;
  readonly path: string;
  readonly name: string;
}

async function search(context: CollectContext, { surface, path, name }: Found): Promise<void> {
  throwIfAborted(context.signal);
  const info = await stat(path);
  if (info.isDirectory()) await searchFolder(context, { surface, path, name });
  else if (info.isFile()) await searchOne(context, { surface, path, name, sizeBytes: info.size });
}

/** What is below it, each on its own: one that vanishes, or may not be read, does not keep the others from being looked at. */
async function searchFolder(context: CollectContext, { surface, path, name }: Found): Promise<void> {
  for (const child of namesIn(await readdir(path), (fault) => {
    cannotCheck(context, surface, name, fault);
  })) {
    throwIfAborted(context.signal);
    const below = { surface, path: join(path, child), name: `${name}/${child}` };
    try {
      // A link is not followed: it may lead around in a circle, or to what is not the project's.
      const info = await lstat(below.path);
      if (info.isDirectory()) await searchFolder(context, below);
      else if (info.isFile()) await searchOne(context, { ...below, sizeBytes: info.size });
    } catch (error) {
      throwIfAborted(context.signal);
      if (systemCode(error) !== 'ENOENT') cannotCheck(context, surface, below.name, error);
    }
  }
}

async function searchOne(
  context: CollectContext,
  { surface, path, name, sizeBytes }: Found & { readonly sizeBytes: number },
): Promise<void> {
  if (sizeBytes <= smallBytes) {
    searchText(context, surface, name, await readFile(path));
    return;
  }
  const place = { surface, subject: name, at: 'text', location: { file: name } };
  const { ledger, limits } = context;
  const read = await searchFile({ ledger, place, limitBytes: limits.volumeBytes }, path);
  if (read < sizeBytes) cannotCheck(context, surface, name, `cut after ${String(read)} of ${String(sizeBytes)} bytes`);
}

// Up to here a file is read as a whole, so that a finding can name its line.
const smallBytes = 4 * 2 ** 20;

function searchText(context: CollectContext, surface: Surface, name: string, bytes: Uint8Array): void {
  const lineAt = (offset: number): number =>
    bytes.subarray(0, offset).reduce((lines, byte) => lines + Number(byte === 0x0a), 1);
  context.ledger.text({ surface, subject: name, at: 'text', location: { file: name }, lineAt }, bytes);
}
