import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, rename, rm, symlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { abortReason } from '@devstack-core/errors';
import { ArchiveGuard } from './safe-path.ts';
import { TarScanner, type TarEntry } from './tar-scanner.ts';

export interface UnpackOptions {
  /** The topmost name that every member must lie under. */
  readonly name: string;
  /** Where it shall be; nothing may be there. Its folder is made. */
  readonly target: string;
  /** More than these is refused. */
  readonly limits?: { readonly entries: number; readonly bytes: number };
  readonly signal?: AbortSignal | undefined;
}

/**
 * Restores an archive of `packRoot`: into a private folder beside the target first, and by one rename to its name when all of it was there,
 * synced. Whatever fails leaves nothing. Files belong to the user who restores; modes are kept. Throws `Error`.
 */
export async function unpackRoot(content: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<void> {
  const { name, target } = options;
  const parent = dirname(target);
  await mkdir(parent, { recursive: true, mode: 0o700 });
  if (await exists(target)) throw new Error(`${target} is there already`);
  const staging = join(parent, `.${basename(target)}.restore-${randomBytes(6).toString('hex')}`);
  await mkdir(staging, { mode: 0o700 });
  try {
    await extract(content, staging, options);
    if (!(await exists(join(staging, name)))) throw new Error('the archive is empty');
    if (await exists(target)) throw new Error(`${target} has come into being meanwhile`);
    await rename(join(staging, name), target);
    await sync(parent);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function extract(content: AsyncIterable<Uint8Array>, staging: string, options: UnpackOptions): Promise<void> {
  const { name, target, limits } = options;
  const guard = new ArchiveGuard({ strict: true });
  const scanner = new TarScanner();
  const later: TarEntry[] = [];
  const totals = { entries: 0, bytes: 0 };
  let current: { readonly entry: TarEntry; readonly file: FileHandle | undefined } | undefined;
  const begin = async (entry: TarEntry): Promise<void> => {
    guard.check(entry);
    if (entry.path !== name && !entry.path.startsWith(`${name}/`))
      throw new Error(`the member ${JSON.stringify(entry.path)} does not lie under ${name}`);
    totals.entries += 1;
    totals.bytes += entry.size;
    if (limits !== undefined && (totals.entries > limits.entries || totals.bytes > limits.bytes))
      throw new Error('the archive holds more than its description says');
    const path = join(staging, entry.path);
    if (entry.type === 'directory') await mkdir(path, { mode: 0o700 });
    // Links come last, so that nothing is ever written through one.
    if (entry.type !== 'file') later.push(entry);
    current = { entry, file: entry.type === 'file' ? await create(path) : undefined };
  };
  try {
    for await (const chunk of content) {
      const aborted = abortReason(options.signal, `The restore of ${target}`);
      if (aborted !== undefined) throw aborted;
      for (const event of scanner.push(chunk)) {
        if (event.kind === 'entry') await begin(event.entry);
        else if (event.kind === 'data') await current?.file?.write(event.bytes);
        else if (event.kind === 'hole') throw new Error('a file is sparse');
        else {
          await finish(current?.entry, current?.file);
          current = undefined;
        }
      }
    }
    scanner.finish();
  } finally {
    await current?.file?.close();
  }
  for (const { path, type, link } of later) if (type === 'symlink') await symlink(link, join(staging, path));
  // A folder gets its mode when nothing is written into it any more.
  for (const { path, type, mode } of later.toReversed()) {
    if (type !== 'directory') continue;
    await sync(join(staging, path));
    await chmod(join(staging, path), mode & 0o777);
  }
}

async function create(path: string): Promise<FileHandle> {
  return open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
}

async function finish(entry: TarEntry | undefined, file: FileHandle | undefined): Promise<void> {
  if (entry === undefined || file === undefined) return;
  await file.chmod(entry.mode & 0o777);
  await file.sync();
  await file.close();
}

async function sync(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}
