import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { pack, type Pack } from 'tar-stream';
import type { FilesRoot } from './files-place.ts';
import { readFound, walk, type FoundFile } from './walk.ts';

/** A root as a tar archive. `onFile` hears of each file, folder and link with the checksum of what was written. */
export async function* packRoot(
  root: FilesRoot,
  onFile: (found: FoundFile, sha256: string) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const tar = pack();
  const writing = write(tar, root, onFile);
  writing.catch((error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    for await (const chunk of tar) yield chunk;
    await writing;
  } finally {
    tar.destroy();
  }
}

async function write(tar: Pack, root: FilesRoot, onFile: (found: FoundFile, sha256: string) => void): Promise<void> {
  for await (const found of walk(root)) {
    const { entry, modified } = found;
    const header = { name: entry.path, mode: entry.mode, mtime: modified, uid: entry.uid, gid: entry.gid };
    const hash = createHash('sha256');
    if (entry.type === 'directory') await added(tar, { ...header, name: `${entry.path}/`, type: 'directory' });
    else if (entry.type === 'symlink') await added(tar, { ...header, type: 'symlink', linkname: entry.link });
    else {
      const finished = Promise.withResolvers<undefined>();
      finished.promise.catch(() => undefined);
      const sink = tar.entry({ ...header, size: entry.size, type: 'file' }, (error) => {
        if (error === null || error === undefined) finished.resolve(undefined);
        else finished.reject(error);
      });
      for await (const chunk of readFound(found)) {
        hash.update(chunk);
        if (!sink.write(chunk)) await Promise.race([once(sink, 'drain'), finished.promise]);
      }
      sink.end();
      await finished.promise;
    }
    onFile(found, hash.digest('hex'));
  }
  tar.finalize();
}

async function added(tar: Pack, header: Parameters<Pack['entry']>[0]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  tar.entry(header, (error) => {
    if (error === null || error === undefined) resolve(undefined);
    else reject(error);
  });
  await promise;
}
