import { extract } from 'tar-stream';
import type { Connection } from './connection.ts';
import { getStream } from './raw-stream.ts';
import type { ArchiveEntry } from './types.ts';

/**
 * Everything under a path of a container, running or not, as the engine archives it. The content of an entry must be read, or left
 * alone, before the next one is asked for. Mounts of the kind tmpfs are not in it: the engine archives what lies beneath.
 */
export async function* readArchive(
  connection: Connection,
  id: string,
  path: string,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const source = await connection.ask('container', id, () =>
    getStream(connection, `/containers/${encodeURIComponent(id)}/archive`, { path }),
  );
  const tar = extract();
  source.on('error', (error) => {
    tar.destroy(error);
  });
  source.pipe(tar);
  try {
    for await (const entry of tar) {
      const { header } = entry;
      yield {
        path: header.name,
        kind: header.type === 'file' || header.type === 'directory' ? header.type : 'other',
        // The engine adds the kind of the file to the permissions.
        mode: (header.mode ?? 0) & 0o7777,
        uid: header.uid ?? 0,
        gid: header.gid ?? 0,
        sizeBytes: header.size ?? 0,
        content: entry,
      };
      entry.resume();
    }
  } finally {
    source.destroy();
    tar.destroy();
  }
}
