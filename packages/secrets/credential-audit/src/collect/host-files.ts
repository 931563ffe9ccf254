import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSecret, type Secret } from '@devstack-core/redaction';
import type { Surface } from '../surfaces.ts';
import { cannotCheck, systemCode, throwIfAborted, type CollectContext } from './context.ts';
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

async function search(
  context: CollectContext,
  { surface, path, name }: { readonly surface: Surface; readonly path: string; readonly name: string },
): Promise<void> {
  throwIfAborted(context.signal);
  const info = await stat(path);
  if (info.isDirectory()) {
    for (const child of (await readdir(path)).toSorted())
      await search(context, { surface, path: join(path, child), name: `${name}/${child}` });
    return;
  }
  if (!info.isFile()) return;
  if (info.size <= smallBytes) {
    searchText(context, surface, name, await readFile(path));
    return;
  }
  const place = { surface, subject: name, at: 'text', location: { file: name } };
  const { ledger, limits } = context;
  const read = await searchFile({ ledger, place, limitBytes: limits.volumeBytes }, path);
  if (read < info.size) cannotCheck(context, surface, name, `cut after ${String(read)} of ${String(info.size)} bytes`);
}

// Up to here a file is read as a whole, so that a finding can name its line.
const smallBytes = 4 * 2 ** 20;

function searchText(context: CollectContext, surface: Surface, name: string, bytes: Uint8Array): void {
  const lineAt = (offset: number): number =>
    bytes.subarray(0, offset).reduce((lines, byte) => lines + Number(byte === 0x0a), 1);
  context.ledger.text({ surface, subject: name, at: 'text', location: { file: name }, lineAt }, bytes);
}
