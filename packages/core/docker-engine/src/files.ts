import { posix } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { DevstackError } from '@devstack-core/errors';
import { pack } from 'tar-stream';
import type { Connection } from './connection.ts';
import { ephemeralContainer } from './ephemeral.ts';
import { DockerEngineErrorCode } from './errors.ts';
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
  const volumes = [...new Set(options.files.map((file) => file.volume))];
  const mountOf = (volume: string): string => `volumes/${String(volumes.indexOf(volume))}`;
  // The engine mounts every volume for every archive, so one archive for all costs a tenth of one for each.
  const tar = await archive(options.files.map((file) => ({ ...file, under: mountOf(file.volume) })));
  await using writer = await ephemeralContainer(connection, {
    image: options.image,
    entrypoint: ['/never-started'],
    network: 'none',
    capDrop: ['ALL'],
    binds: volumes.map((volume) => `${volume}:/${mountOf(volume)}:nocopy`),
    ...(options.labels === undefined ? {} : { labels: withoutCompose(options.labels) }),
  });
  await putArchive(connection, writer.id, '/', tar);
}

// With its labels, compose would take the writer for a container of its own.
function withoutCompose(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith('com.docker.compose.')));
}

async function putArchive(connection: Connection, id: string, path: string, tar: Buffer): Promise<void> {
  await connection.ask('container', id, () => connection.docker.getContainer(id).putArchive(tar, { path }));
}

/**
 * A tar archive with these owners and modes. Folders in a file's path belong to its owner and are open to whom the file is;
 * those of `under` are there already and stay as they are.
 */
export async function archive(files: readonly (ContainerFile & { readonly under?: string })[]): Promise<Buffer> {
  const tar = pack();
  const bytes = buffer(tar);
  const folders = new Set<string>();
  for (const file of files) {
    const prefix = file.under === undefined ? '' : `${file.under}/`;
    const name = relative(file.path);
    for (const folder of foldersOf(name).map((path) => prefix + path)) {
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
    tar.entry({ name: prefix + name, mode: file.mode, uid: file.uid, gid: file.gid }, bytesOf(file.content));
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
  if (name !== '' && name !== '.' && name !== '..' && !name.startsWith('../') && !name.endsWith('/')) return name;
  throw new DevstackError({
    code: DockerEngineErrorCode.filePathInvalid,
    message: `${JSON.stringify(path)} does not name a file inside its folder.`,
    hint: 'Write the path of a file without `..`.',
  });
}
