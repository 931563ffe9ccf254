import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';
import { containerFailure } from './container-failure.ts';
import type { OnEvent, PlannedService } from './events.ts';
import type { Stack } from './stack.ts';
import type { StepOutcome } from './steps.ts';

/** What starting the services needs to know. */
export interface StartServicesOptions {
  readonly planned: readonly PlannedService[];
  /** The project's containers as they were before. */
  readonly before: readonly ContainerSummary[];
  readonly onEvent: OnEvent;
  readonly signal?: AbortSignal | undefined;
}

/** Creates, recreates or starts what the plan says; a plan of nothing but `keep` calls nobody. A failed start leaves no half-made container. */
export async function startServices(
  stack: Stack,
  services: readonly ServiceModel[],
  options: StartServicesOptions,
): Promise<StepOutcome> {
  // Vault is running by now; what is left to do decides whether compose is needed at all.
  const touched = options.planned.filter((one) => one.action !== 'keep').map((one) => one.service);
  if (touched.every((service) => service === 'vault')) {
    return { changed: false, detail: 'all running', value: undefined };
  }
  await resumePaused(
    stack,
    services.map((service) => service.name),
    options.before,
  );
  try {
    await stack.compose.up({
      services: services.map((service) => service.name),
      build: false,
      onLine: (line) => {
        options.onEvent({ type: 'progress', step: 'services', text: line.text });
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } catch (error) {
    await removeHalfMade(stack, options.before);
    if (isDevstackError(error, 'INTERRUPTED')) throw error;
    throw (await containerFailure(stack, services)) ?? error;
  }
  return { changed: true, detail: `started ${touched.join(', ')}`, value: undefined };
}

/** Lets paused containers of these services run on: compose fails at one, and would have nothing else to do with it. */
export async function resumePaused(
  stack: Stack,
  services: readonly string[],
  containers: readonly ContainerSummary[],
): Promise<void> {
  const ours = containers.filter(({ service }) => service !== undefined && services.includes(service));
  const paused = ours.filter((container) => container.state === 'paused');
  if (paused.length === 0) return;
  const engine = await stack.engine();
  await Promise.all(paused.map((container) => engine.unpauseContainer(container.id)));
}

// A container that could not start (a port taken in the meantime) would stay behind in state "created".
async function removeHalfMade(stack: Stack, before: readonly ContainerSummary[]): Promise<void> {
  const engine = await stack.engine();
  const now = await engine.listContainers({ project: stack.project.id, all: true });
  const half = now.filter(
    (container) => container.state === 'created' && !before.some((old) => old.id === container.id),
  );
  await Promise.all(half.map((container) => engine.removeContainer(container.id, { force: true })));
}
