import { setTimeout as delay } from 'node:timers/promises';
import { ephemeralLabel, type DockerEngine, type EphemeralContainer } from '@devstack-core/docker-engine';
import { isGone, ownIdentity, type ProcessIdentity } from '@devstack-core/durable-files';
import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from './errors.ts';
import type { ThrowawayOptions } from './types.ts';

/** Marks what is made for one trial only, with the process that made it: what belongs to a process that lives is never swept. */
export const throwawayLabel = 'io.devstack.throwaway';

/** On a helper container: the id of a container that its process has paused, or is about to. A sweep lets that one go on. */
export const pausesLabel = 'io.devstack.pauses';

/** A container of an engine that nobody but this process reaches. */
export interface ThrowawayContainerOptions extends ThrowawayOptions {
  /** For people, e.g. `PostgreSQL`. */
  readonly what: string;
  /** Program and arguments, in place of the image's own entry point. */
  readonly argv: readonly [string, ...string[]];
  readonly user?: string;
  /** Public: `docker inspect` shows it. */
  readonly env?: Readonly<Record<string, string>>;
  /** In memory, as in `docker run --tmpfs`: counts towards `memoryBytes`. */
  readonly tmpfs?: Readonly<Record<string, string>>;
  /** `container:<id>`: that one's loopback, where it has no network either. None unless given. */
  readonly network?: `container:${string}`;
  /** `source:target[:ro]`. */
  readonly binds?: readonly string[];
  /** The few that the start needs; none unless given. */
  readonly capAdd?: readonly string[];
  /** 1 GiB unless given. */
  readonly memoryBytes?: number;
  /** 256 unless given. */
  readonly pids?: number;
  /** Asked again and again until it says true; what it throws counts as not yet. Missing: running is ready. */
  readonly ready?: (container: string) => Promise<boolean>;
  /** 120 s unless given. */
  readonly readyWithinMs?: number;
}

/**
 * Starts a container without network and capabilities, with limits, and waits until it serves. Removed, with its anonymous volumes, at the
 * end of the scope and on every failure; a later `sweepThrowaways` finds it after a kill. Throws PLACE_UNUSABLE with the end of its log.
 */
export async function startThrowaway(options: ThrowawayContainerOptions): Promise<EphemeralContainer> {
  const { docker, what, argv, signal } = options;
  const [program, ...rest] = argv;
  const early = abortReason(signal, `The throwaway ${what}`);
  if (early !== undefined) throw early;
  const container = await docker.ephemeralContainer({
    image: options.image,
    entrypoint: [program],
    argv: rest,
    labels: throwawayLabels(options.labels),
    network: options.network ?? 'none',
    capDrop: ['ALL'],
    securityOptions: ['no-new-privileges'],
    memoryBytes: options.memoryBytes ?? 1024 ** 3,
    pids: options.pids ?? 256,
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.tmpfs === undefined ? {} : { tmpfs: options.tmpfs }),
    ...(options.binds === undefined ? {} : { binds: options.binds }),
    ...(options.capAdd === undefined ? {} : { capAdd: options.capAdd }),
  });
  try {
    await docker.startContainer(container.id);
    await waitUntilReady(options, container.id);
    return container;
  } catch (error) {
    await container.remove();
    throw error;
  }
}

/**
 * The labels of something throwaway, for containers and volumes that are made elsewhere. Those of compose are emptied, as an image that compose
 * built brings them along, and whoever lists the containers of a project would take this one for its own.
 */
export function throwawayLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const own = Object.entries(labels).filter(([name]) => !name.startsWith('com.docker.compose.'));
  return {
    ...Object.fromEntries(own),
    'com.docker.compose.project': '',
    'com.docker.compose.service': '',
    [ephemeralLabel]: 'true',
    [throwawayLabel]: JSON.stringify(ownIdentity()),
  };
}

/**
 * Removes the throwaway containers and volumes with these labels whose process is gone (killed, or the machine was started anew), running
 * or not, and gives their names. A container that such a process has paused goes on. What a living process made, this one included, stays.
 */
export async function sweepThrowaways(
  docker: DockerEngine,
  labels: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const wanted: Record<string, string | true> = {
    ...Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith('com.docker.compose.'))),
    [throwawayLabel]: true,
  };
  const swept: string[] = [];
  for (const row of await docker.listContainers({ all: true, labels: wanted })) {
    if (!isOrphan(row.labels[throwawayLabel])) continue;
    await goOn(docker, row.labels[pausesLabel]);
    await docker.removeContainer(row.id, { force: true, volumes: true });
    swept.push(row.name);
  }
  for (const volume of await docker.listVolumes({ labels: wanted })) {
    if (!isOrphan(volume.labels[throwawayLabel])) continue;
    await docker.removeVolume(volume.name);
    swept.push(volume.name);
  }
  return swept;
}

async function goOn(docker: DockerEngine, container: string | undefined): Promise<void> {
  if (container === undefined) return;
  try {
    if ((await docker.inspectContainer(container)).state.paused) await docker.unpauseContainer(container);
  } catch (error) {
    if (!isDevstackError(error, 'CONTAINER_NOT_FOUND')) throw error;
  }
}

async function waitUntilReady(options: ThrowawayContainerOptions, container: string): Promise<void> {
  const { docker, what, signal, ready, readyWithinMs = 120_000 } = options;
  const deadline = performance.now() + readyWithinMs;
  for (;;) {
    const aborted = abortReason(signal, `The throwaway ${what}`);
    if (aborted !== undefined) throw aborted;
    const { state } = await docker.inspectContainer(container);
    if (!state.running) {
      const why = state.oomKilled ? 'its memory was not enough' : `it ended with exit code ${String(state.exitCode)}`;
      throw await unusable(options, container, why);
    }
    if (ready === undefined || (await isReady(ready, container))) return;
    if (performance.now() >= deadline)
      throw await unusable(options, container, `it was not ready within ${String(readyWithinMs)} ms`);
    await delay(100, undefined, { signal }).catch(() => undefined);
  }
}

async function isReady(ready: (container: string) => Promise<boolean>, container: string): Promise<boolean> {
  try {
    return await ready(container);
  } catch (error) {
    if (isDevstackError(error, 'INTERRUPTED')) throw error;
    return false;
  }
}

async function unusable(
  { docker, what, image }: ThrowawayContainerOptions,
  container: string,
  why: string,
): Promise<DevstackError> {
  const log = await docker.logs(container, { tail: 5 }).catch(() => '');
  return new DevstackError({
    code: DatabaseBackupErrorCode.placeUnusable,
    message: `A throwaway ${what} of image ${image} could not be started: ${why}. ${log.trim()}`.trim(),
    hint: 'Look whether the image is whole and the machine has memory to spare: docker info',
    details: { image },
  });
}

// Whatever cannot be read was not made by this version of this function, and nobody waits for it.
function isOrphan(owner: string | undefined): boolean {
  try {
    return isGone(JSON.parse(owner ?? '') as ProcessIdentity);
  } catch {
    return true;
  }
}
