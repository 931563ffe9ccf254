import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { FilesRoot } from './files-place.ts';
import { ArchiveGuard } from './safe-path.ts';
import type { TarEntry } from './tar-scanner.ts';

/** One file, folder or link below a root. */
export interface FoundFile {
  readonly entry: TarEntry;
  readonly path: string;
  readonly modified: Date;
}

/**
 * Everything below a root, folders before what is in them, in the order of names. Sockets are left out: they are no data. Throws an `Error`
 * that names the file for anything that a restore would refuse, so that no set is made that cannot be restored.
 */
export async function* walk(root: FilesRoot): AsyncGenerator<FoundFile, void, undefined> {
  const guard = new ArchiveGuard({ strict: true });
  const excluded = new Set(root.exclude ?? []);
  const start = await realpath(root.path);
  async function* visit(relative: string): AsyncGenerator<FoundFile, void, undefined> {
    const path = join(start, relative);
    const stats = await lstat(path);
    if (stats.isSocket()) return;
    const entry = await describe(relative === '' ? root.name : `${root.name}/${relative}`, path, stats);
    guard.check(entry);
    yield { entry, path, modified: stats.mtime };
    if (entry.type !== 'directory') return;
    for (const name of (await readdir(path)).toSorted()) {
      const below = relative === '' ? name : `${relative}/${name}`;
      if (!excluded.has(below)) yield* visit(below);
    }
  }
  yield* visit('');
}

async function describe(name: string, path: string, stats: Stats): Promise<TarEntry> {
  const type = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'directory'
      : stats.isSymbolicLink()
        ? 'symlink'
        : stats.isFIFO()
          ? 'fifo'
          : 'device';
  return {
    path: name,
    type,
    // Links have no mode of their own, and setuid has no place among configuration.
    mode: type === 'symlink' ? 0o777 : stats.mode & 0o777,
    uid: stats.uid,
    gid: stats.gid,
    size: type === 'file' ? stats.size : 0,
    link: type === 'symlink' ? await readlink(path) : '',
    attributes: new Map(),
  };
}

/** The bytes of a file that is still the one that was found: exactly as many, or an `Error`. */
export async function* readFound({ entry, path }: FoundFile): AsyncGenerator<Buffer, void, undefined> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  let left = entry.size;
  for await (const chunk of handle.createReadStream({ autoClose: false, highWaterMark: 256 * 1024 })) {
    const bytes = chunk as Buffer;
    left -= bytes.length;
    if (left < 0) break;
    yield bytes;
  }
  if (left !== 0) throw new Error(`${path} changed while it was read`);
}
