import {
  holdSnapshot,
  postgresAdapter,
  postgresDatabasePart,
  volumeAdapter,
  type BackupPart,
  type PostgresPlace,
  type SourceOptions,
  type VolumePlace,
} from '@devstack-core/database-backup';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import type { ServiceBackup } from './service-backup.ts';
import { copyLabel, copyVolume } from './volume-copy.ts';

/** Git hosting: a container, its database in PostgreSQL, and the volume with repositories, LFS objects and attachments. */
export interface ForgejoPlace {
  readonly docker: DockerEngine;
  /** The stack's id. */
  readonly project: string;
  readonly container: string;
  /** What really runs, as its image says: `gitea` or `forgejo`. */
  readonly application: string;
  readonly postgres: PostgresPlace;
  readonly database: string;
  readonly volume: VolumePlace;
}

const globalsKind = 'postgresql-globals';
const databaseKind = 'postgresql-database';
const volumeKind = 'volume';

/**
 * Database and files of one moment: the container is paused while the database's snapshot is opened and the files are read, and goes on
 * while the database is dumped. After a restore it stays stopped until `settle`, so that what came back can be compared before anything
 * writes to it.
 */
export function forgejoBackup(place: ForgejoPlace): ServiceBackup {
  const { docker, project, container, postgres, volume } = place;
  return {
    service: 'forgejo',
    engines: ['postgresql', 'volume'],
    kinds: [globalsKind, databaseKind, volumeKind],
    open: (options) => openParts(place, options),
    restore: async (part, content, options) => {
      refuseOther(place, part.metadata?.['application']);
      await docker.stopContainer(container);
      if (part.kind !== volumeKind) return postgresAdapter.restore(postgres, part, content, options);
      const fresh = `${volume.volume}.restored`;
      await docker.removeVolume(fresh);
      // Not with its own labels, as compose would take it for the stack's own; a reset finds it by this one where a restore was killed.
      const metadata = { labels: [`${copyLabel}=${project}`] };
      await volumeAdapter.restore({ ...volume, volume: fresh }, { ...part, metadata }, content, options);
      await copyVolume(docker, {
        from: fresh,
        to: volume.volume,
        into: 'existing',
        labels: {},
        signal: options?.signal,
      });
      await docker.removeVolume(fresh);
    },
    fingerprint: async (part, options) => {
      await docker.stopContainer(container);
      return part.kind !== volumeKind
        ? postgresAdapter.fingerprint(postgres, part, options)
        : volumeAdapter.fingerprint(volume, part, options);
    },
    settle: () => docker.startContainer(container),
  };
}

async function* openParts(place: ForgejoPlace, options: SourceOptions): AsyncGenerator<BackupPart, void, undefined> {
  const { docker, container, postgres, database, volume } = place;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const about = await aboutForgejo(place);
  const named = (part: BackupPart): BackupPart => ({ ...part, metadata: { ...part.metadata, ...about } });
  await docker.pauseContainer(container);
  let isPaused = true;
  const goOn = async (): Promise<void> => {
    if (isPaused) await docker.unpauseContainer(container);
    isPaused = false;
  };
  try {
    await using snapshot = await holdSnapshot(postgres, database, signal);
    for await (const part of volumeAdapter.open(volume, options)) yield named(part);
    await goOn();
    // The roles that own the database, so that it can be restored where they are not.
    for await (const part of postgresAdapter.open({ ...postgres, databases: [] }, options)) yield named(part);
    await using part = await postgresDatabasePart(postgres, snapshot, signal);
    yield named(part);
  } finally {
    await goOn();
  }
}

/** What its parts say of it: which application it is, and the image whose git checks the repositories in a verification. */
export async function aboutForgejo({
  docker,
  container,
  application,
}: ForgejoPlace): Promise<{ readonly application: string; readonly applicationImage: string }> {
  return { application, applicationImage: (await docker.inspectContainer(container)).image };
}

// Gitea's data does not move to Forgejo.
function refuseOther(
  { application }: ForgejoPlace,
  made: string | number | boolean | readonly string[] | undefined,
): void {
  if (made === undefined || made === application) return;
  throw new DevstackError({
    code: 'ENGINE_MISMATCH',
    message: `The backup is of ${made.toString()}, and here runs ${application}: neither reads the other's data.`,
    hint: 'Start the image that the backup was made of.',
  });
}
