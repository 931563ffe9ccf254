import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { StackErrorCode } from './errors.ts';
import { findPortHolders } from './port-holders.ts';
import type { Stack } from './stack.ts';

/** A published port that somebody else has. */
export interface TakenPort {
  readonly service: string;
  readonly port: number;
  readonly variable: string | null;
  /** Who has it, in words: a process with its pid, or a container with its project. */
  readonly holder: string;
  /** Held by an engine for a container, as far as can be told: by docker-proxy, or by a process that cannot be seen. */
  readonly byEngine: boolean;
}

const enginePrograms: ReadonlySet<string> = new Set(['docker-proxy', 'dockerd', 'rootlesskit']);
const settleMs = 5000;

// Between two tries of a failing container, and while it is paused, its ports are still ours.
const holdsItsPorts = new Set(['running', 'paused', 'restarting']);

/** The ports of services that are not running yet which cannot be bound now. */
export async function takenPorts(
  stack: Stack,
  services: readonly ServiceModel[],
  containers: readonly ContainerSummary[],
): Promise<readonly TakenPort[]> {
  const running = new Set(
    containers
      .filter((container) => container.project === stack.project.id && holdsItsPorts.has(container.state))
      .map((container) => container.service),
  );
  const wanted = services
    .filter((service) => !running.has(service.name))
    .flatMap((service) => service.ports.map((port) => ({ service: service.name, port })));
  const holders = await findPortHolders(wanted.map(({ port }) => port.hostPort));
  return wanted.flatMap(({ service, port }) => {
    const holder = holders.find((candidate) => candidate.port === port.hostPort);
    if (holder === undefined) return [];
    const container = containers.find((candidate) =>
      candidate.ports.some((published) => published.hostPort === port.hostPort),
    );
    const words =
      container !== undefined
        ? `container ${container.name}${container.project === undefined ? '' : ` of project ${container.project}`}`
        : holder.pid === null
          ? 'a process of another user'
          : `${holder.program ?? 'a process'} (pid ${String(holder.pid)})`;
    return [
      {
        service,
        port: port.hostPort,
        variable: port.variable ?? null,
        holder: words,
        byEngine: container !== undefined || holder.program === null || enginePrograms.has(holder.program),
      },
    ];
  });
}

/**
 * Throws PORT_TAKEN that names every taken port, its holder and the variable that moves it, before anything is started.
 * The engine binds a container's ports before it calls it running, and frees them after it calls it ended: where an `up` was killed
 * in the middle of a start, the ports are ours in a moment. That moment is waited for.
 */
export async function assertPortsFree(stack: Stack, services: readonly ServiceModel[]): Promise<void> {
  const engine = await stack.engine();
  const look = async (): Promise<readonly TakenPort[]> =>
    takenPorts(stack, services, await engine.listContainers({ all: false }));
  let taken = await look();
  const deadline = performance.now() + settleMs;
  while (taken.some(({ byEngine }) => byEngine) && performance.now() < deadline) {
    const own = await engine.listContainers({ project: stack.project.id, all: true });
    if (!taken.some((port) => port.byEngine && own.some(({ service }) => service === port.service))) break;
    await sleep(100);
    taken = await look();
  }
  const first = taken[0];
  if (first === undefined) return;
  throw new DevstackError({
    code: StackErrorCode.portTaken,
    message: taken
      .map(({ service, port, holder }) => `Port ${String(port)}, which ${service} needs, is held by ${holder}.`)
      .join(' '),
    hint: `Stop the holder, or choose another port, e.g. ${first.variable ?? 'DEVSTACK_…_PORT'}=${String(first.port + 10_000)} in .env.`,
    details: { taken },
  });
}

/** Free bytes where a folder lives. */
export async function freeDiskBytes(path: string): Promise<number> {
  const stats = await statfs(path);
  return stats.bavail * stats.bsize;
}
