import type { BackupStore } from '@devstack-core/backup-store';
import {
  exchangeBack,
  installRecovered,
  openRecovery,
  recoveryPrefix,
  removeKept,
  setWalArchiving,
  stageLink,
  stageWal,
  sweepThrowaways,
  walArchiveState,
  type KeptCluster,
  type PostgresPlace,
  type WalArchiveState,
} from '@devstack-core/database-backup';
import { isDevstackError } from '@devstack-core/errors';
import { bringUp, type OnEvent, type Stack } from '@devstack-core/stack-lifecycle';
import { dependentsOf } from './dependents.ts';
import { collectLog, type RecoveryTarget } from './physical-moment.ts';
import { proveCluster, refuseNoSpace } from './physical-proof.ts';
import { linkOf } from './physical-rehearser.ts';
import { collectChain, type PhysicalSet } from './physical-set.ts';
import type { StackPlaces } from './places.ts';
import { partOf } from './set-files.ts';

export interface RestoreClusterOptions {
  readonly stack: Stack;
  readonly places: StackPlaces;
  readonly store: Pick<BackupStore, 'read' | 'open' | 'list'>;
  readonly id: string;
  readonly target?: RecoveryTarget | undefined;
  /** Keeps the old cluster aside; true unless given. */
  readonly keepOld?: boolean | undefined;
  /** Of the services that were stopped these are started by the caller, who restores more of them. */
  readonly leaveStopped?: readonly string[];
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the cluster is that was there before: a volume, and the folder as the service's container sees it. */
export interface KeptAt {
  readonly volume: string;
  readonly folder: string;
}

/**
 * Puts the cluster of a physical set in the place of the running one, for a caller that holds the stack's lease. The new one is put together
 * beside the old one, on the same volume, and proven, while the old one serves; then PostgreSQL and what needs it are stopped, the two are
 * exchanged, and all that ran is started. One that does not start is taken back. Throws TARGET_OUT_OF_REACH, BACKUP_INCOMPLETE,
 * RESTORE_FAILED, RECOVERY_NOT_PROVEN; the old cluster serves then.
 */
export async function restoreCluster(options: RestoreClusterOptions): Promise<KeptAt | undefined> {
  const { stack, places, store, id, target, keepOld = true, signal } = options;
  const chain = await collectChain(store, id);
  const base = chain.at(-1);
  if (base === undefined) return undefined;
  const log = await collectLog(store, base, target);
  const place = await places.postgres();
  const docker = places.docker;
  const mode = await archivingOf(place);
  const { imageId } = await docker.inspectContainer(place.container);
  const volume = stack.model.volumeName('postgres-data');
  const labels = { 'io.devstack.project': stack.project.id, 'io.devstack.purpose': 'physical-restore' };
  await sweepThrowaways(docker, labels);
  const stopped: string[] = [];
  let kept: string | undefined;
  try {
    const folder = `${recoveryPrefix}${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
    await using recovery = await openRecovery({
      docker,
      image: imageId,
      labels,
      volume: { name: volume, folder },
      ...(signal === undefined ? {} : { signal }),
    });
    await refuseNoSpace(recovery, chain, log.sets);
    for (const [link, set] of chain.entries()) {
      tell(options, `link ${String(link)} of ${String(chain.length - 1)}, from ${set.manifest.id}`);
      await stageLink(recovery, link, linkOf(store, set, signal === undefined ? {} : { signal }), signal);
    }
    for (const { manifest, wal } of log.sets) {
      tell(options, `log, from ${manifest.id}`);
      const { artifact } = partOf(manifest, 'postgres', wal?.name ?? '');
      await stageWal(recovery, store.open(manifest.id, artifact, signal === undefined ? {} : { signal }), signal);
    }
    tell(options, 'putting it together');
    const installed = await installRecovered(recovery, {
      superuser: String(base.base.metadata?.['superuser'] ?? ''),
      ...(target === undefined ? {} : { target }),
      ...segmentSize(log.sets),
      highestTimeline: log.highestTimeline,
      signal,
      prove: async (server) => {
        tell(options, 'checking it');
        await proveCluster(options, base, server);
      },
      beforeExchange: () => {
        tell(options, 'exchanging it');
        return stopWithDependents(options, stopped);
      },
    });
    kept = installed.kept;
  } catch (error) {
    // Whichever cluster is in its place is whole: nobody waits for another one.
    if (stopped.length > 0) await bringUp(stack, { services: stopped, ...progressOf(options) });
    throw error;
  }
  const old = kept === undefined ? undefined : { docker, image: imageId, volume, kept, labels };
  await startOrTakeBack(options, stopped, old);
  await archiveAsBefore(place, mode);
  if (old === undefined) return undefined;
  if (keepOld) return { volume, folder: `/var/lib/devstack/${old.kept}` };
  await removeKept(old);
  return undefined;
}

// The settings came back with the cluster, and that one among them is of whoever runs the stack.
async function archiveAsBefore(place: PostgresPlace, mode: WalArchiveState['mode']): Promise<void> {
  const now = await archivingOf(place);
  if (now !== mode && now !== 'unavailable' && mode !== 'unavailable') await setWalArchiving(place, mode === 'on');
}

// A server that does not answer any more is exchanged all the same.
async function archivingOf(place: PostgresPlace): Promise<WalArchiveState['mode']> {
  try {
    return (await walArchiveState(place)).mode;
  } catch (error) {
    if (isDevstackError(error, 'PLACE_UNUSABLE')) return 'unavailable';
    throw error;
  }
}

function segmentSize(sets: readonly PhysicalSet[]): { readonly segmentBytes?: number } {
  const bytes = sets.at(0)?.wal?.metadata?.['segmentBytes'];
  return typeof bytes === 'number' ? { segmentBytes: bytes } : {};
}

async function stopWithDependents({ stack, places }: RestoreClusterOptions, stopped: string[]): Promise<void> {
  for (const name of [...dependentsOf(stack, 'postgres').filter((one) => places.isRunning(one)), 'postgres']) {
    stopped.push(name);
    // A fast shutdown writes a checkpoint: what is kept aside is whole.
    await places.docker.stopContainer(places.container(name), { timeoutSeconds: 120 });
  }
}

async function startOrTakeBack(
  options: RestoreClusterOptions,
  services: readonly string[],
  old: KeptCluster | undefined,
): Promise<void> {
  const { stack, places, leaveStopped = [] } = options;
  try {
    await bringUp(stack, {
      services: services.filter((name) => !leaveStopped.includes(name)),
      ...progressOf(options),
      signal: options.signal,
    });
  } catch (error) {
    if (old === undefined) throw error;
    await places.docker.stopContainer(places.container('postgres'), { timeoutSeconds: 120 });
    await exchangeBack(old);
    await bringUp(stack, { services, ...progressOf(options) });
    await removeKept(old);
    throw error;
  }
}

function progressOf({ onEvent }: RestoreClusterOptions): { readonly onEvent?: OnEvent } {
  if (onEvent === undefined) return {};
  return {
    onEvent: (event) => {
      if (event.type === 'progress' || event.type === 'warning' || event.type === 'waiting') onEvent(event);
    },
  };
}

function tell({ onEvent }: RestoreClusterOptions, text: string): void {
  onEvent?.({ type: 'progress', step: 'postgres/cluster', text: `postgres: ${text}` });
}
