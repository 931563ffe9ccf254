import type { BackupStore } from '@devstack-core/backup-store';
import {
  openPhysicalBackup,
  physicalBaseKind,
  volumeAdapter,
  walArchiveDirectory,
  walArchiveState,
  type PostgresPlace,
} from '@devstack-core/database-backup';
import { aboutForgejo, type ForgejoPlace } from './forgejo-backup.ts';
import { physicalParent } from './physical-set.ts';
import type { ServiceBackup } from './service-backup.ts';

type Source = Pick<ServiceBackup, 'service' | 'open'>;

export interface PhysicalSourceOptions {
  readonly postgres: PostgresPlace;
  /** Its repositories are of the same moment: it is paused from before the cluster is read until its volume was. */
  readonly forgejo?: ForgejoPlace | undefined;
  /** Services whose databases are in the cluster, for the manifest. */
  readonly holds: readonly string[];
  readonly store: Pick<BackupStore, 'read' | 'open'>;
  /** The set to build upon. */
  readonly parent: string | undefined;
}

/** Sources that belong together, one after the other; at the end of the scope nothing is paused any more. */
export interface PhysicalSources extends AsyncDisposable {
  readonly sources: readonly Source[];
}

/** The whole cluster of PostgreSQL, its log where that is archived, and the files that belong to a database in it. */
export function physicalSources(options: PhysicalSourceOptions): PhysicalSources {
  const { postgres, forgejo, holds, store, parent } = options;
  let isPaused = false;
  const goOn = async (): Promise<void> => {
    if (isPaused && forgejo !== undefined) await forgejo.docker.unpauseContainer(forgejo.container);
    isPaused = false;
  };
  const cluster: Source = {
    service: 'postgres',
    open: async function* (source) {
      if (forgejo !== undefined) {
        await forgejo.docker.pauseContainer(forgejo.container);
        isPaused = true;
      }
      const isArchived = (await walArchiveState(postgres)).mode === 'on';
      const parts = openPhysicalBackup(postgres, {
        ...source,
        ...(await physicalParent(store, parent)),
        ...(isArchived ? { archive: walArchiveDirectory } : {}),
      });
      for await (const part of parts)
        yield part.kind === physicalBaseKind ? { ...part, metadata: { ...part.metadata, holds } } : part;
    },
  };
  return {
    sources: forgejo === undefined ? [cluster] : [cluster, filesOf(forgejo, goOn)],
    [Symbol.asyncDispose]: goOn,
  };
}

function filesOf(forgejo: ForgejoPlace, goOn: () => Promise<void>): Source {
  return {
    service: 'forgejo',
    open: async function* (source) {
      const about = { ...(await aboutForgejo(forgejo)), databaseIn: 'postgres' };
      for await (const part of volumeAdapter.open(forgejo.volume, source))
        yield { ...part, metadata: { ...part.metadata, ...about } };
      await goOn();
    },
  };
}
