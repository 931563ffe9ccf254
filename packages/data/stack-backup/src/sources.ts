import type { BackupStore } from '@devstack-core/backup-store';
import { DevstackError } from '@devstack-core/errors';
import type { Stack } from '@devstack-core/stack-lifecycle';
import type { VaultClient } from '@devstack-core/vault-client';
import { openConfigurationParts } from './configuration-source.ts';
import { StackBackupErrorCode } from './errors.ts';
import type { RecoveryTarget } from './physical-moment.ts';
import { physicalSources, type PhysicalSources } from './physical-source.ts';
import type { StackPlaces } from './places.ts';
import type { ServiceBackup } from './service-backup.ts';
import { databaseBackups, type BackupService } from './services.ts';
import { openVaultParts } from './vault-source.ts';

/** Everything that gives parts, in the order of a restore. */
export async function stackSources(
  stack: Stack,
  places: StackPlaces,
  client: VaultClient,
  names: readonly BackupService[],
  cluster: PhysicalSources | undefined,
): Promise<readonly ServiceSource[]> {
  const inCluster = (name: string): boolean =>
    cluster !== undefined && ['postgres', 'mongodb', 'forgejo'].includes(name) && isInCluster(stack, name);
  const databases = await databaseBackups(
    places,
    names.filter((name) => !inCluster(name)),
  );
  const found: ServiceSource[] = [];
  for (const name of names) {
    const database = databases.find(({ service }) => service === name);
    if (name === 'vault') {
      const { image, imageId } = await places.docker.inspectContainer(places.container('vault'));
      found.push({
        service: name,
        open: ({ signal }) => openVaultParts(stack, { client, image: { name: image, id: imageId }, signal }),
      });
    } else if (name === 'configuration') {
      found.push({ service: name, open: ({ signal }) => openConfigurationParts(stack, places.services(), signal) });
    } else if (name === 'postgres' && cluster !== undefined) found.push(...cluster.sources);
    else if (database !== undefined) found.push(database);
  }
  return found;
}

/** The way into a set alone. */
export type ServiceSource = Pick<ServiceBackup, 'service' | 'open'>;

/** Each database has one owner: in a physical set all that PostgreSQL has is PostgreSQL's. Throws NOTHING_SELECTED. */
export async function clusterOf(
  stack: Stack,
  store: BackupStore,
  places: StackPlaces,
  names: readonly BackupService[],
  parent: string | undefined,
): Promise<PhysicalSources> {
  if (!names.includes('postgres'))
    throw new DevstackError({
      code: StackBackupErrorCode.nothingSelected,
      message: 'A physical backup is one of PostgreSQL, and it is not among the services.',
      hint: 'Leave --physical away, or name postgres as well.',
      details: { usage: true },
    });
  const holds = ['mongodb', 'forgejo'].filter((name) => places.isRunning(name) && isInCluster(stack, name));
  const forgejo = names.includes('forgejo') ? await places.forgejo() : undefined;
  return physicalSources({ postgres: await places.postgres(), forgejo, holds, store, parent });
}

function isInCluster(stack: Stack, service: string): boolean {
  return service !== 'mongodb' || stack.model.service(service).engine === 'ferretdb';
}

/** Forgejo's database is in the cluster: its files alone would be of another moment. Throws NOTHING_SELECTED. */
export function refuseParted(id: string, names: readonly BackupService[], target: RecoveryTarget | undefined): void {
  const isAlone = names.length === 1 && names[0] === 'postgres';
  const problem =
    target !== undefined && !isAlone
      ? 'The log is one of PostgreSQL: only it can be brought to a moment of its own.'
      : names.includes('forgejo') && !names.includes('postgres')
        ? `In the backup ${id} Forgejo's database is part of the whole PostgreSQL: its repositories do not come back without it.`
        : undefined;
  if (problem === undefined) return;
  throw new DevstackError({
    code: StackBackupErrorCode.nothingSelected,
    message: problem,
    hint: target === undefined ? 'Name both: --only postgres,forgejo' : 'Add: --only postgres',
    details: { usage: true },
  });
}
