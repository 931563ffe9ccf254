import type { BackupStore } from '@devstack-core/backup-store';
import { verifySet, type VerificationReport, type VerifySetOptions } from '@devstack-core/backup-verification';
import { physicalBaseKind } from '@devstack-core/database-backup';
import { storeSource, vaultParsers, type RecoverySource } from '@devstack-core/disaster-recovery';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { physicalParser } from './physical-rehearser.ts';
import { stackRehearsers } from './rehearsers.ts';

/** Verifies a set with everything that a stack's set is made of. Docker is asked for only where a trial restore is wanted. */
export async function verifyBackup(
  options: Omit<VerifySetOptions, 'docker' | 'rehearsers' | 'parsers'> & {
    readonly docker: () => Promise<DockerEngine>;
  },
): Promise<VerificationReport> {
  const { docker, level = 3, ...rest } = options;
  const { store, id } = rest;
  const trial = level === 3 ? { docker: await docker(), rehearsers: stackRehearsers(store, id) } : {};
  // A trial restore reads the other links anyway.
  const chain = level === 2 ? { [physicalBaseKind]: physicalParser(store, id) } : {};
  return verifySet({ ...rest, level, parsers: { ...vaultParsers, ...chain }, ...trial });
}

/** The sets of a store, as a recovery looks at them. */
export function recoverySource(
  store: BackupStore,
  options: Pick<VerifySetOptions, 'onEvent' | 'labels'> & { readonly docker: () => Promise<DockerEngine> },
): RecoverySource {
  return storeSource({
    store,
    verify: (id, level, signal) => verifyBackup({ ...options, store, id, level, signal }),
  });
}
