import { randomBytes } from 'node:crypto';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { dumpFailed, engineMismatch, placeUnusable, restoreFailed } from '../engine-failure.ts';
import { throwawayLabels } from '../throwaway.ts';
import type { BackupPart, EngineAdapter, SourceOptions, StoredPart } from '../types.ts';
import type { VolumePlace } from './volume-place.ts';
import { digestFolder, marker, mountPoint, openVolume, packFolder, unpackFolder } from './volume-tar.ts';

/**
 * Docker volumes as tar archives, with owners, modes, extended attributes, ACLs and holes. Exact where no running container can write to
 * the volume; otherwise approximate, and a file that changes under tar fails the dump. Restored into a volume that is new or empty only:
 * exchanging it for another one is the caller's.
 */
export const volumeAdapter: EngineAdapter<VolumePlace> = {
  engines: ['volume'],
  kinds: ['volume'],
  async *open(place, options = {}) {
    const volume = await place.docker.inspectVolume(place.volume);
    if (volume === undefined) throw placeUnusable(`There is no volume ${place.volume}.`, 'Look with: docker volume ls');
    await using container = await openVolume(place, 'ro', options.signal);
    yield await partOf(place, container.id, volume.labels, options);
  },
  async restore(place, part, content, options = {}) {
    const { docker, volume } = place;
    if (part.engine.name !== 'volume') throw engineMismatch(part, 'a volume');
    const what = `"${part.name}" could not be restored into the volume ${volume}`;
    const { created } = await docker.ensureVolume({ name: volume, labels: labelsOf(part) });
    try {
      await fill(place, content, options.signal);
    } catch (error) {
      if (created) await docker.removeVolume(volume);
      throw restoreFailed(what, error);
    }
  },
  async fingerprint(place, part, options = {}) {
    await using container = await openVolume(place, 'ro', options.signal);
    try {
      return await digestFolder(place, container.id, mountPoint, { signal: options.signal });
    } catch (error) {
      throw dumpFailed(`The volume ${place.volume} could not be read for "${part.name}"`, error);
    }
  },
  async check(place, _part, options = {}) {
    await using container = await openVolume(place, 'ro', options.signal);
    const { exitCode } = await place.docker.exec(container.id, ['test', '-e', `${mountPoint}/${marker}`]);
    return exitCode === 0 ? [`The volume ${place.volume} was restored in part only.`] : [];
  },
  async throwaway({ docker, image, labels }) {
    const volume = `devstack-throwaway-${randomBytes(6).toString('hex')}`;
    await docker.ensureVolume({ name: volume, labels: throwawayLabels(labels) });
    return { docker, volume, image, labels, [Symbol.asyncDispose]: () => docker.removeVolume(volume) };
  },
};

async function partOf(
  place: VolumePlace,
  container: string,
  labels: Readonly<Record<string, string>>,
  options: SourceOptions,
): Promise<BackupPart> {
  const { docker, volume, image } = place;
  const writers = await writersOf(docker, volume);
  const version = await docker.exec(container, ['tar', '--version']);
  const what = `The volume ${volume} could not be backed up`;
  return {
    name: volume,
    kind: 'volume',
    extension: 'tar',
    engine: {
      name: 'volume',
      version: /\d+(\.\d+)+/.exec(version.stdout)?.[0] ?? '',
      image: { name: image, id: (await docker.inspectImage(image))?.id ?? '' },
    },
    consistency: writers.length === 0 ? 'exact' : 'approximate',
    ...(writers.length === 0 ? {} : { consistencyReason: `in use by ${writers.join(', ')}` }),
    snapshotAt: (options.now ?? (() => new Date()))().toISOString(),
    metadata: { labels: Object.entries(labels).map(([name, value]) => `${name}=${value}`) },
    restoreHint: [
      `docker volume create ${volume}`,
      `docker run --rm -i -v ${volume}:/volume -w /volume debian tar --extract --numeric-owner --same-owner --preserve-permissions --xattrs --acls --file - < ${volume}.tar`,
    ],
    async fingerprint() {
      try {
        return await digestFolder(place, container, mountPoint, { signal: options.signal });
      } catch (error) {
        throw dumpFailed(what, error);
      }
    },
    async *content() {
      try {
        yield* packFolder(place, container, mountPoint, { signal: options.signal });
      } catch (error) {
        throw dumpFailed(what, error);
      }
    },
  };
}

// A paused container cannot write.
async function writersOf(docker: DockerEngine, volume: string): Promise<readonly string[]> {
  const running = (await docker.listContainers()).filter((row) => row.state === 'running');
  const details = await Promise.all(running.map(async ({ id }) => docker.inspectContainer(id)));
  return details
    .filter(({ mounts }) => mounts.some((mount) => mount.name === volume && !mount.readOnly))
    .map(({ name }) => name);
}

function labelsOf({ metadata }: StoredPart): Record<string, string> {
  const labels = metadata?.['labels'];
  if (!Array.isArray(labels)) return {};
  return Object.fromEntries(
    (labels as readonly string[]).map((label) => [
      label.slice(0, label.indexOf('=')),
      label.slice(label.indexOf('=') + 1),
    ]),
  );
}

async function fill(
  place: VolumePlace,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { docker } = place;
  await using container = await openVolume(place, 'rw', signal);
  const run = async (...argv: [string, ...string[]]): Promise<string> => {
    const { exitCode, stdout, stderr } = await docker.exec(container.id, argv);
    if (exitCode !== 0) throw new Error(`${argv[0]} ended with exit code ${String(exitCode)} (${stderr.trim()})`);
    return stdout;
  };
  const found = (await run('ls', '-A', mountPoint)).split('\n').filter((name) => name !== '');
  // What a killed restore left behind is nobody's; anything else is somebody's.
  if (found.length > 0 && !found.includes(marker))
    throw new Error(`it is not empty: it holds ${found.slice(0, 3).join(', ')}`);
  await run('touch', `${mountPoint}/${marker}`);
  await run('find', mountPoint, '-mindepth', '1', '!', '-path', `${mountPoint}/${marker}`, '-delete');
  await unpackFolder(place, container.id, mountPoint, content, signal);
  await run('sync', '-f', mountPoint);
  // Taking the mark away is no change of the folder's.
  await run('sh', '-euc', 'at=$(stat -c %y "$1"); rm "$1/$2"; touch -d "$at" "$1"', 'sh', mountPoint, marker);
}
