import type { BackupStore } from '@devstack-core/backup-store';
import {
  filesSource,
  mariadbAdapter,
  mongoAdapter,
  postgresAdapter,
  rabbitmqAdapter,
  redisAdapter,
  rehearser,
  volumeAdapter,
  type Rehearser,
} from '@devstack-core/database-backup';
import { vaultRehearser } from '@devstack-core/disaster-recovery';
import { forgejoRehearser } from './forgejo-rehearser.ts';
import { physicalRehearser } from './physical-rehearser.ts';

/** Who restores what of a stack's set for a trial. */
export function stackRehearsers(store: Pick<BackupStore, 'read' | 'open'>, id: string): readonly Rehearser[] {
  return [
    vaultRehearser,
    // Before those that take the parts of any service.
    forgejoRehearser,
    rehearser(filesSource),
    rehearser(postgresAdapter),
    physicalRehearser(store, id),
    rehearser(mariadbAdapter),
    rehearser(mongoAdapter),
    rehearser(redisAdapter),
    rehearser(rabbitmqAdapter),
    rehearser(volumeAdapter),
  ];
}
