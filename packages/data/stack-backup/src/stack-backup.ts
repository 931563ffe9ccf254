import { join } from 'node:path';
import type { BackupStore } from '@devstack-core/backup-store';
import { up, withStackLease, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { loginWithFiles } from '@devstack-core/vault-approle';
import type { VaultClient } from '@devstack-core/vault-client';
import { openConfigurationParts } from './configuration-source.ts';
import { createBackup, type CreatedBackup } from './create.ts';
import { StackPlaces } from './places.ts';
import { compareWithBackup, restoreBackup, type RestoredPart } from './restore.ts';
import type { ServiceBackup } from './service-backup.ts';
import { databaseBackups, selectBackupServices, type BackupService } from './services.ts';
import { openVaultParts } from './vault-source.ts';

/** What to back up of a stack. */
export interface BackUpStackOptions {
  readonly only?: readonly string[] | undefined;
  /** Build upon the latest set of the same services. */
  readonly parent?: string | undefined;
  readonly fingerprints?: boolean;
  readonly encrypted?: boolean;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Backs a running stack up into one set, logged in to Vault as its `backup` role. Throws SERVICE_NOT_RUNNING, UNKNOWN_SERVICE, DUMP_FAILED,
 * LEASE_HELD, what the login and the store throw.
 */
export async function backUpStack(
  stack: Stack,
  store: BackupStore,
  options: BackUpStackOptions = {},
): Promise<CreatedBackup> {
  // Nothing is started, stopped or given another password meanwhile.
  return withStackLease(stack, { owner: 'devstack backup', signal: options.signal }, () =>
    backUpHeld(stack, store, options),
  );
}

async function backUpHeld(stack: Stack, store: BackupStore, options: BackUpStackOptions): Promise<CreatedBackup> {
  await letPausedGoOn(stack);
  await using session = await loginWithFiles({
    client: stack.vault(),
    directory: join(stack.directories.approles, 'backup'),
  });
  const places = await StackPlaces.open(stack, session.client);
  const names = await selectBackupServices(stack, places, options.only);
  return await createBackup(store, {
    project: stack.project.id,
    services: await sources(stack, places, session.client, names),
    parent: options.parent,
    fingerprints: options.fingerprints ?? true,
    encrypted: options.encrypted ?? true,
    onEvent: options.onEvent,
    signal: options.signal,
  });
}

// Under the lease nobody else has them paused: a backup that was killed has.
async function letPausedGoOn(stack: Stack): Promise<void> {
  const docker = await stack.engine();
  for (const { id, state } of await docker.listContainers({ project: stack.project.id }))
    if (state === 'paused') await docker.unpauseContainer(id);
}

/** Everything that gives parts, in the order of a restore. */
async function sources(
  stack: Stack,
  places: StackPlaces,
  client: VaultClient,
  names: readonly BackupService[],
): Promise<readonly ServiceSource[]> {
  const databases = await databaseBackups(places, names);
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
    } else if (database !== undefined) found.push(database);
  }
  return found;
}

type ServiceSource = Pick<ServiceBackup, 'service' | 'open'>;

/** What to bring back into a running stack. */
export interface RestoreStackOptions {
  readonly id: string;
  /** All databases that the set has and that run here, unless given. */
  readonly only?: readonly string[] | undefined;
  readonly done?: ReadonlySet<string>;
  readonly onPart?: (part: string) => Promise<void>;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Restores the databases of a set into the running stack and compares them with its fingerprints. Vault and configuration are not touched:
 * `recover` and `vault restore` bring those back. Throws LEASE_HELD, SERVICE_NOT_RUNNING, UNKNOWN_SERVICE, NOTHING_SELECTED, RESTORE_FAILED.
 */
export async function restoreStack(
  stack: Stack,
  store: BackupStore,
  options: RestoreStackOptions,
): Promise<readonly RestoredPart[]> {
  const started = performance.now();
  const { id, signal, onEvent } = options;
  const compared = await withStackLease(stack, { owner: 'devstack backup restore', signal }, () =>
    withDatabases(stack, store, options, async (services) => {
      await letPausedGoOn(stack);
      const compared = await settling(services, async () => {
        await restoreBackup(store, partsOf(options, services));
        return compareWithBackup(store, { set: id, services, onEvent, signal });
      });
      await store.appendHistory({
        event: 'restore',
        outcome: compared.every(isSame) ? 'succeeded' : 'failed',
        set: id,
        services: services.map(({ service }) => service),
        durationMs: performance.now() - started,
      });
      return compared;
    }),
  );
  // What had to be stopped takes a moment to answer again.
  if (compared.some(({ service }) => service === 'forgejo')) await up(stack, { services: ['forgejo'], signal });
  return compared;
}

/** The same without the comparison, for a caller that proves everything at once; what had to be stopped starts with `compareStack`. Gives `service/part` of each. */
export async function restoreDatabases(
  stack: Stack,
  store: BackupStore,
  options: RestoreStackOptions,
): Promise<readonly string[]> {
  return withStackLease(stack, { owner: 'devstack recover', signal: options.signal }, () =>
    withDatabases(stack, store, options, (services) => restoreBackup(store, partsOf(options, services))),
  );
}

function partsOf(
  { id, onEvent, signal, done, onPart }: RestoreStackOptions,
  services: readonly ServiceBackup[],
): Parameters<typeof restoreBackup>[1] {
  return {
    set: id,
    services,
    onEvent,
    signal,
    ...(done === undefined ? {} : { done }),
    ...(onPart === undefined ? {} : { onPart }),
  };
}

/** Compares the databases of the running stack with the fingerprints of a set; some stop meanwhile. Throws LEASE_HELD. */
export async function compareStack(
  stack: Stack,
  store: BackupStore,
  options: Pick<RestoreStackOptions, 'id' | 'only' | 'onEvent' | 'signal'>,
): Promise<readonly RestoredPart[]> {
  const { id, signal, onEvent } = options;
  return withStackLease(stack, { owner: 'devstack recover', signal }, () =>
    withDatabases(stack, store, options, (services) =>
      settling(services, () => compareWithBackup(store, { set: id, services, onEvent, signal })),
    ),
  );
}

// Whatever had to be stopped runs again afterwards.
async function settling<T>(services: readonly ServiceBackup[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    for (const service of services) await service.settle?.();
  }
}

// The databases that the set has, each at its place in the running stack.
async function withDatabases<T>(
  stack: Stack,
  store: BackupStore,
  { id, only }: Pick<RestoreStackOptions, 'id' | 'only'>,
  work: (services: readonly ServiceBackup[]) => Promise<T>,
): Promise<T> {
  const { parts } = await store.read(id);
  await using session = await loginWithFiles({
    client: stack.vault(),
    directory: join(stack.directories.approles, 'backup'),
  });
  const places = await StackPlaces.open(stack, session.client);
  const there = new Set(
    parts.map(({ service }) => service).filter((name) => !['vault', 'configuration'].includes(name)),
  );
  const names = await selectBackupServices(stack, places, only ?? [...there]);
  return await work(await databaseBackups(places, names));
}

function isSame({ consistency, differences }: RestoredPart): boolean {
  return consistency === 'approximate' || (differences ?? []).length === 0;
}
