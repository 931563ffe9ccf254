import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary, DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { StackErrorCode } from './errors.ts';
import type { Stack } from './stack.ts';

// Fewer restarts may still be a server that waits for another one.
const hopelessRestarts = 3;
const lastWords = 20;

/** True for a container that ended with an error by itself; one that was killed or stopped by a signal did not. */
export function hasFailed(container: Pick<ContainerSummary, 'state' | 'status'>): boolean {
  if (container.state === 'restarting') return true;
  const exitCode = Number(/^Exited \((\d+)\)/.exec(container.status)?.[1] ?? '0');
  return container.state === 'exited' && exitCode > 0 && exitCode < 128;
}

/**
 * Stops what Docker keeps starting in vain: between two tries it would look like running, and hold its port. Returns the services whose
 * container failed.
 */
export async function endFailing(
  engine: Pick<DockerEngine, 'inspectContainer' | 'stopContainer'>,
  containers: readonly ContainerSummary[],
): Promise<readonly string[]> {
  const looked = await Promise.all(
    containers.map(async (container) => ({ container, failing: await isFailing(engine, container) })),
  );
  const failing = looked.filter((one) => one.failing).map(({ container }) => container);
  await Promise.all(
    failing.filter(({ state }) => state !== 'exited').map((container) => engine.stopContainer(container.id)),
  );
  return failing.flatMap((container) => container.service ?? []);
}

async function isFailing(
  engine: Pick<DockerEngine, 'inspectContainer'>,
  container: ContainerSummary,
): Promise<boolean> {
  if (hasFailed(container)) return true;
  if (container.state !== 'running' || container.status.includes('(healthy)')) return false;
  return (await engine.inspectContainer(container.id)).restartCount > 0;
}

/** The first of these services whose container has ended or keeps ending, as an error with its last log lines: waiting will not make it healthy. */
export async function containerFailure(
  stack: Stack,
  services: readonly ServiceModel[],
): Promise<DevstackError | undefined> {
  const engine = await stack.engine();
  const containers = await engine.listContainers({ project: stack.project.id, all: true });
  for (const container of containers) {
    if (!services.some((service) => service.name === container.service)) continue;
    const failure = await failureOf(engine, container);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

async function failureOf(engine: DockerEngine, container: ContainerSummary): Promise<DevstackError | undefined> {
  if (!['exited', 'restarting', 'dead'].includes(container.state)) return undefined;
  const { state, restartCount } = await engine.inspectContainer(container.id);
  // Docker may have started it once more since it was listed: its last end is in the list.
  const exitCode = Number(/\((\d+)\)/.exec(container.status)?.[1] ?? state.exitCode);
  if (container.state === 'exited' && exitCode === 0) return undefined;
  if (container.state === 'restarting' && restartCount < hopelessRestarts) return undefined;
  const service = container.service ?? container.name;
  const log = (await engine.logs(container.id, { tail: lastWords })).trimEnd();
  const why = state.oomKilled ? ' (out of memory)' : '';
  return new DevstackError({
    code: StackErrorCode.notHealthy,
    message: `${service} ended with exit code ${String(exitCode)}${why}. Its last lines:\n${log}`,
    hint: `Run: devstack logs ${service}, then devstack up again.`,
    details: { service, exitCode },
  });
}
