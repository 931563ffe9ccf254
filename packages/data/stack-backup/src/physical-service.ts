import {
  physicalBaseKind,
  physicalManifestKind,
  physicalWalKind,
  postgresPhysicalAdapter,
} from '@devstack-core/database-backup';
import { restoreCluster, type KeptAt, type RestoreClusterOptions } from './physical-restore.ts';
import type { ServiceRestore } from './service-backup.ts';

/** The way back of a physical set: the cluster with everything that belongs to it at once. */
export interface PhysicalService extends ServiceRestore {
  /** After a restore: where the cluster is that was there before. */
  keptAt(): KeptAt | undefined;
}

/** For a caller that holds the stack's lease. Errors are those of `restoreCluster`. */
export function physicalService(options: RestoreClusterOptions): PhysicalService {
  const adapter = postgresPhysicalAdapter();
  let kept: KeptAt | undefined;
  return {
    service: 'postgres',
    engines: adapter.engines,
    kinds: [physicalBaseKind, physicalManifestKind, physicalWalKind],
    restore: async (part) => {
      // It reads the sets by itself, other ones as well; the list of files and the log come with the cluster.
      if (part.kind === physicalBaseKind) kept = await restoreCluster(options);
    },
    fingerprint: async (part, restore) =>
      part.kind === physicalBaseKind && options.target === undefined
        ? adapter.fingerprint(await options.places.postgres(), part, restore)
        : undefined,
    keptAt: () => kept,
  };
}
