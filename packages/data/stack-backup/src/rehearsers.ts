import {
  filesSource,
  mariadbAdapter,
  postgresAdapter,
  redisAdapter,
  rehearser,
  volumeAdapter,
  type Rehearser,
} from '@devstack-core/database-backup';
import { vaultRehearser } from '@devstack-core/disaster-recovery';

/** Who restores what of a stack's set for a trial. */
export function stackRehearsers(): readonly Rehearser[] {
  return [
    vaultRehearser,
    rehearser(filesSource),
    rehearser(postgresAdapter),
    rehearser(mariadbAdapter),
    rehearser(redisAdapter),
    rehearser(volumeAdapter),
  ];
}
