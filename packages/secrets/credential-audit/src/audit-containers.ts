import { processesOnHost, type ContainerDetails } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';
import type { CredentialAuditOptions, GoneContainer } from './audit.ts';
import { cannotCheck, throwIfAborted, type CollectContext, type ContainerCollector } from './collect/context.ts';
import { collectEvents } from './collect/events.ts';
import { execCollector } from './collect/exec.ts';
import { collectImage } from './collect/images.ts';
import { inspectCollector } from './collect/inspect.ts';
import { logsCollector } from './collect/logs.ts';
import { mountCollector } from './collect/mounts.ts';
import { processCollector } from './collect/processes.ts';
import type { Surface } from './surfaces.ts';

/** Reads every wanted surface of every selected container, some at once. Gives those that went away meanwhile. */
export async function scanContainers(
  context: CollectContext,
  options: CredentialAuditOptions,
): Promise<readonly GoneContainer[]> {
  const gone: GoneContainer[] = [];
  const note = (container: string, during: string): void => {
    gone.push({ container, during });
    options.onEvent?.({ type: 'gone', container: context.ledger.mask(container), during });
  };
  const containers = await select(context, options, note);
  const { needles } = options;
  options.onEvent?.({
    ...{ type: 'prepared', needles: needles.length, containers: containers.length },
    patterns: context.ledger.searcher.patternCount,
  });
  const wantsAny = (surfaces: readonly Surface[]): boolean => surfaces.some(context.wants);
  const execs = wantsAny(['events', 'exec'])
    ? await collectEvents(context, containers)
    : new Map<string, Set<string>>();
  const ids = containers.map(({ id }) => id);
  const pids = context.isLocal
    ? await processesOnHost(ids, { procRoot: context.procRoot })
    : new Map<string, number[]>();
  const collectors: readonly ContainerCollector[] = [
    inspectCollector,
    execCollector(execs),
    processCollector(pids),
    mountCollector(),
    imageCollector(),
    logsCollector,
  ].filter(({ surfaces }) => wantsAny(surfaces));
  let done = 0;
  await eachLimited(containers, options.concurrency ?? 4, async (container) => {
    for (const collector of collectors) {
      const during = await collectOne(context, collector, container);
      if (during === undefined) continue;
      note(container.name, during);
      break;
    }
    done += 1;
    const name = context.ledger.mask(container.name);
    options.onEvent?.({ type: 'container', container: name, done, of: containers.length });
  });
  return gone;
}

/** The surface that was being read when the container went away. */
async function collectOne(
  context: CollectContext,
  { surfaces, collect }: ContainerCollector,
  container: ContainerDetails,
): Promise<string | undefined> {
  const wanted = surfaces.filter(context.wants);
  try {
    await collect(context, container);
    return undefined;
  } catch (error) {
    throwIfAborted(context.signal);
    if (isDevstackError(error, 'DOCKER_UNREACHABLE') && (await isDown(context))) throw error;
    if (await isGone(context, container, error)) return wanted[0] ?? '';
    for (const surface of wanted) cannotCheck(context, surface, container.name, error);
    return undefined;
  }
}

async function isDown(context: CollectContext): Promise<boolean> {
  return context.engine.ping().then(
    () => false,
    () => true,
  );
}

// One that stopped meanwhile is no longer what was to be looked at, either.
async function isGone(context: CollectContext, container: ContainerDetails, error: unknown): Promise<boolean> {
  if (isDevstackError(error, 'CONTAINER_NOT_FOUND')) return true;
  try {
    const { state } = await context.engine.inspectContainer(container.id);
    return container.state.running && !state.running;
  } catch (failure) {
    return isDevstackError(failure, 'CONTAINER_NOT_FOUND');
  }
}

async function select(
  context: CollectContext,
  { containers = {} }: CredentialAuditOptions,
  note: (container: string, during: string) => void,
): Promise<readonly ContainerDetails[]> {
  const { project, labels, ids } = containers;
  const isListed = ids === undefined || project !== undefined || labels !== undefined;
  const rows = isListed
    ? await context.engine.listContainers({
        all: true,
        ...(project === undefined ? {} : { project }),
        ...(labels === undefined ? {} : { labels }),
      })
    : [];
  const found = new Map<string, ContainerDetails>();
  await eachLimited([...rows, ...(ids ?? []).map((id) => ({ id, name: id }))], 8, async ({ id, name }) => {
    throwIfAborted(context.signal);
    try {
      const details = await context.engine.inspectContainer(id);
      found.set(details.id, details);
    } catch (error) {
      if (!isDevstackError(error, 'CONTAINER_NOT_FOUND')) throw error;
      note(name, 'container-config');
    }
  });
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Images are shared: each is read with the first container of it. */
function imageCollector(): ContainerCollector {
  const seen = new Set<string>();
  return {
    surfaces: ['image-config', 'image-history'],
    collect: async (context, container) => {
      if (seen.has(container.imageId)) return;
      seen.add(container.imageId);
      await collectImage(context, container);
    },
  };
}

async function eachLimited<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(limit, items.length)) }, lane));
}
