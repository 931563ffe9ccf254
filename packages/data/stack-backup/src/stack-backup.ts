import { join } from 'node:path';
import type { BackupStore } from '@devstack-core/backup-store';
import { up, withStackLease, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { loginWithFiles } from '@devstack-core/vault-approle';
import { createBackup, type CreatedBackup } from './create.ts';
import type { RecoveryTarget } from './physical-moment.ts';
import { notPhysical, physicalOf } from './physical-set.ts';
import { physicalService, type PhysicalService } from './physical-service.ts';
import { StackPlaces } from './places.ts';
import { compareWithBackup, restoreBackup, type RestoredPart } from './restore.ts';
import type { ServiceRestore } from './service-backup.ts';
import { databaseBackups, selectBackupServices } from './services.ts';
import { clusterOf, refuseParted, stackSources } from './sources.ts';

/** What to back up of a stack. */
export interface BackUpStackOptions {
  readonly only?: readonly string[] | undefined;
  /** Build upon the latest set of the same services. */
  readonly parent?: string | undefined;
  /**
   * PostgreSQL as a physical backup of the whole cluster, with the archived log, instead of dumps; upon the parent's where that can be. What
   * FerretDB and Forgejo keep in it is in the cluster, and nowhere else.
   */
  readonly physical?: boolean;
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
  await using cluster =
    options.physical === true ? await clusterOf(stack, store, places, names, options.parent) : undefined;
  return await createBackup(store, {
    project: stack.project.id,
    services: await stackSources(stack, places, session.client, names, cluster),
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

/** What to bring back into a running stack. */
export interface RestoreStackOptions {
  readonly id: string;
  /** All databases that the set has and that run here, unless given. */
  readonly only?: readonly string[] | undefined;
  /** Of a physical set, and of PostgreSQL alone: go on with the archived log to there. */
  readonly target?: RecoveryTarget | undefined;
  readonly done?: ReadonlySet<string>;
  readonly onPart?: (part: string) => Promise<void>;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Restores the databases of a set into the running stack and compares them with its fingerprints. Vault and configuration are not touched:
 * `recover` and `vault restore` bring those back. Throws LEASE_HELD, SERVICE_NOT_RUNNING, UNKNOWN_SERVICE, NOTHING_SELECTED, RESTORE_FAILED;
 * for a physical set also NOT_PHYSICAL, TARGET_OUT_OF_REACH, BACKUP_INCOMPLETE, RECOVERY_NOT_PROVEN.
 */
export async function restoreStack(
  stack: Stack,
  store: BackupStore,
  options: RestoreStackOptions,
): Promise<readonly RestoredPart[]> {
  const started = performance.now();
  const { id, signal, onEvent } = options;
  const compared = await withStackLease(stack, { owner: 'devstack backup restore', signal }, () =>
    withDatabases(stack, store, options, async (services, cluster) => {
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
      const keptAt = cluster?.keptAt();
      if (keptAt === undefined) return compared;
      return compared.map((part) => (part.service === 'postgres' ? { ...part, keptAt } : part));
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
    withDatabases(stack, store, { ...options, keepOld: false }, (services) =>
      restoreBackup(store, partsOf(options, services)),
    ),
  );
}

function partsOf(
  { id, onEvent, signal, done, onPart }: RestoreStackOptions,
  services: readonly ServiceRestore[],
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
async function settling<T>(services: readonly ServiceRestore[], work: () => Promise<T>): Promise<T> {
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
  options: Pick<RestoreStackOptions, 'id' | 'only' | 'target' | 'onEvent' | 'signal'> & { readonly keepOld?: boolean },
  work: (services: readonly ServiceRestore[], cluster: PhysicalService | undefined) => Promise<T>,
): Promise<T> {
  const { id, only, target } = options;
  const manifest = await store.read(id);
  const { parts } = manifest;
  const physical = physicalOf(manifest);
  if (target !== undefined && physical === undefined) throw notPhysical(id);
  await using session = await loginWithFiles({
    client: stack.vault(),
    directory: join(stack.directories.approles, 'backup'),
  });
  const places = await StackPlaces.open(stack, session.client);
  const there = new Set(
    parts.map(({ service }) => service).filter((name) => !['vault', 'configuration'].includes(name)),
  );
  const names = await selectBackupServices(stack, places, only ?? [...there]);
  if (physical === undefined) return await work(await databaseBackups(places, names), undefined);
  refuseParted(id, names, target);
  const others = await databaseBackups(
    places,
    names.filter((name) => name !== 'postgres'),
  );
  if (!names.includes('postgres')) return await work(others, undefined);
  const cluster = physicalService({
    ...options,
    stack,
    places,
    store,
    leaveStopped: names.filter((name) => name === 'forgejo'),
  });
  return await work([cluster, ...others], cluster);
}

function isSame({ consistency, differences }: RestoredPart): boolean {
  return consistency === 'approximate' || (differences ?? []).length === 0;
}
