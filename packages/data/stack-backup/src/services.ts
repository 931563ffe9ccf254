import {
  mariadbAdapter,
  mongoAdapter,
  postgresAdapter,
  rabbitmqAdapter,
  redisAdapter,
} from '@devstack-core/database-backup';
import { DevstackError } from '@devstack-core/errors';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { StackBackupErrorCode } from './errors.ts';
import { forgejoBackup } from './forgejo-backup.ts';
import type { StackPlaces } from './places.ts';
import { atPlace, type ServiceBackup } from './service-backup.ts';

/** What a backup is made of, by the name that `--only` takes, in the order of a restore. */
export const backupServices = [
  'vault',
  'configuration',
  'postgres',
  'mysql',
  'mongodb',
  'redis',
  'rabbitmq',
  'forgejo',
] as const;

export type BackupService = (typeof backupServices)[number];

/**
 * The names of `--only`, or all that the stack has. Every service that has a container must run: a set that silently lacks one is worse than
 * an error. Throws UNKNOWN_SERVICE, SERVICE_NOT_RUNNING.
 */
export async function selectBackupServices(
  stack: Stack,
  places: StackPlaces,
  only: readonly string[] | undefined,
): Promise<readonly BackupService[]> {
  if (only !== undefined && only.length > 0) {
    const names = only.map((name) => (name.startsWith('redis-') ? 'redis' : name));
    const unknown = names.find((name) => !isBackupService(name));
    if (unknown !== undefined)
      throw new DevstackError({
        code: StackBackupErrorCode.unknownService,
        message: `${unknown} is nothing that a backup is made of.`,
        hint: `There are: ${backupServices.join(', ')}.`,
        details: { usage: true },
      });
    return backupServices.filter((name) => names.includes(name));
  }
  const containers = await places.docker.listContainers({ project: stack.project.id, all: true });
  const there = new Set(containers.map(({ service }) => (service?.startsWith('redis-') === true ? 'redis' : service)));
  const stopped = containers.find(
    ({ service, state }) => service !== undefined && state !== 'running' && holdsData(service),
  );
  if (stopped?.service !== undefined) places.container(stopped.service);
  return backupServices.filter((name) => name === 'configuration' || there.has(name));
}

function isBackupService(name: string): name is BackupService {
  return (backupServices as readonly string[]).includes(name);
}

function holdsData(service: string): boolean {
  return service.startsWith('redis-') || isBackupService(service);
}

/** The databases among these services, each at its place. Vault and the configuration have their own ways. */
export async function databaseBackups(
  places: StackPlaces,
  names: readonly BackupService[],
): Promise<readonly ServiceBackup[]> {
  const found: ServiceBackup[] = [];
  for (const name of names) {
    if (name === 'postgres') found.push(atPlace(name, postgresAdapter, await places.postgres()));
    if (name === 'forgejo') found.push(forgejoBackup(await places.forgejo()));
    if (name === 'mongodb') found.push(atPlace(name, mongoAdapter, await places.mongodb()));
    if (name === 'rabbitmq') found.push(atPlace(name, rabbitmqAdapter, await places.rabbitmq()));
    if (name === 'redis') found.push(atPlace(name, redisAdapter, await places.redis()));
    if (name === 'mysql') found.push(atPlace(name, mariadbAdapter, await places.mysql()));
  }
  return found;
}
