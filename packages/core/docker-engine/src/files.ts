import { posix } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import type { Connection } from './connection.ts';
import { createContainer, removeContainer } from './containers.ts';
import { bytesOf } from './exec.ts';
import type { ContainerFile, VolumeFile } from './types.ts';

/** Puts files into a container, running or not, one archive per folder. The folders must exist. Owner and mode are those of each file. */
export async function putFiles(connection: Connection, id: string, files: readonly ContainerFile[]): Promise<void> {
  for (const [folder, group] of Map.groupBy(files, (file) => posix.dirname(file.path))) {
    await putArchive(
      connection,
      id,
      folder,
      await archive(group.map((file) => ({ ...file, path: posix.basename(file.path) }))),
    );
  }
}

export interface WriteVolumeFilesOptions {
  /** Any image that is there: nothing of it runs. */
  readonly image: string;
  readonly files: readonly VolumeFile[];
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Puts files into volumes through one container that mounts them all and is never started, so no program sees the files and nothing has
 * a capability. Volumes that do not exist are made. Each file is replaced as a whole: a reader meets the old one, none, or the new one.
 */
export async function writeVolumeFiles(connection: Connection, options: WriteVolumeFilesOptions): Promise<void> {
  if (options.files.length === 0) return;
  const volumes = [...Map.groupBy(options.files, (file) => file.volume)].map(([volume, files], index) => ({
    volume,
    files,
    target: `/volumes/${String(index)}`,
  }));
  const id = await createContainer(connection, {
    image: options.image,
    entrypoint: ['/never-started'],
    network: 'none',
    capDrop: ['ALL'],
    binds: volumes.map(({ volume, target }) => `${volume}:${target}:nocopy`),
    ...(options.labels === undefined ? {} : { labels: withoutCompose(options.labels) }),
  });
  try {
    for (const { target, files } of volumes) await putArchive(connection, id, target, await archive(files));
  } finally {
    await removeContainer(connection, id, { force: true });
  }
}

// With its labels, compose would take the writer for a container of its own.
function withoutCompose(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith('com.docker.compose.')));
}

async function putArchive(connection: Connection, id: string, path: string, tar: Buffer): Promise<void> {
  await connection.ask('container', id, () => connection.docker.getContainer(id).putArchive(tar, { path }));
}

/** A tar archive with these owners and modes; folders inside it belong to the owner of their first file and are open to whom the file is. */
export async function archive(files: readonly ContainerFile[]): Promise<Buffer> {
  const tar = pack();
  const bytes = buffer(tar);
  const folders = new Set<string>();
  for (const file of files) {
    const name = relative(file.path);
    for (const folder of foldersOf(name)) {
      if (folders.has(folder)) continue;
      folders.add(folder);
      // Who may read the file may enter its folder.
      tar.entry({
        name: `${folder}/`,
        type: 'directory',
        mode: file.mode | 0o700 | ((file.mode & 0o444) >> 2),
        uid: file.uid,
        gid: file.gid,
      });
    }
    tar.entry({ name, mode: file.mode, uid: file.uid, gid: file.gid }, bytesOf(file.content));
  }
  tar.finalize();
  return bytes;
}

function foldersOf(name: string): string[] {
  const parts = name.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

function relative(path: string): string {
  const name = posix.normalize(path).replace(/^\/+/, '');
  if (name === '' || name === '.' || name === '..' || name.startsWith('../') || name.endsWith('/'))
    throw new TypeError(`${JSON.stringify(path)} does not name a file inside its folder`);
  return name;
}
