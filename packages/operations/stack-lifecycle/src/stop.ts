import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { acquireLease, ensurePrivateDirectory } from '@devstack-core/durable-files';
import type { OnEvent } from './events.ts';
import { forgetProject } from './project.ts';
import type { Stack } from './stack.ts';
import { up, type UpResult } from './up.ts';

/** What was stopped. */
export interface DownResult {
  readonly project: string;
  readonly stopped: readonly string[];
  readonly removed: boolean;
}

/**
 * Stops the stack's containers in order (dependents first) and keeps every volume and password. `remove` also removes the
 * containers and networks, which hold no data. Nothing running is not an error.
 */
export async function down(
  stack: Stack,
  options: { readonly services?: readonly string[] | undefined; readonly remove?: boolean; readonly onEvent?: OnEvent; readonly signal?: AbortSignal | undefined } = {},
): Promise<DownResult> {
  const onEvent = options.onEvent ?? ((): void => undefined);
  await ensurePrivateDirectory(stack.directories.state);
  await using _lease = await acquireLease({ path: join(stack.directories.state, 'stack.lock'), owner: 'devstack down', ...(options.signal === undefined ? {} : { signal: options.signal }) });
  const names = (options.services ?? []).map((name) => stack.model.service(name).name);
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id, all: true });
  const running = containers.filter((container) => container.state === 'running' && (names.length === 0 || names.includes(container.service ?? '')));
  const onLine = (line: { readonly text: string }): void => { onEvent({ type: 'progress', step: 'stop', text: line.text }); };
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  if (names.length > 0) await stack.compose.stop({ services: names, onLine, ...signal });
  else if (options.remove === true) await stack.compose.down({ onLine, ...signal });
  else if (running.length > 0) await stack.compose.stop({ onLine, ...signal });
  return { project: stack.project.id, stopped: running.map((container) => container.service ?? container.name), removed: options.remove === true };
}

/** Stops the named services (or all of the stack's running ones) and brings them up again, healthy. */
export async function restart(
  stack: Stack,
  options: { readonly services?: readonly string[] | undefined; readonly onEvent?: OnEvent; readonly signal?: AbortSignal | undefined; readonly deadlineMs?: number } = {},
): Promise<UpResult> {
  const { stopped } = await down(stack, options);
  const named = (options.services ?? []).length > 0 ? options.services : stopped;
  return up(stack, { ...options, services: named });
}

/** What a reset would destroy, for the question that comes before it. */
export interface ResetPlan {
  readonly project: string;
  readonly containers: readonly string[];
  readonly volumes: readonly string[];
  readonly folders: readonly string[];
}

/** Lists what `reset` removes. Changes nothing. */
export async function planReset(stack: Stack): Promise<ResetPlan> {
  const engine = await stack.engine();
  const [containers, volumes] = await Promise.all([engine.listContainers({ project: stack.project.id, all: true }), engine.listVolumes({ project: stack.project.id })]);
  return {
    project: stack.project.id,
    containers: containers.map((container) => container.name),
    volumes: volumes.map((volume) => volume.name),
    folders: [stack.project.configDirectory],
  };
}

/** Removes containers, networks, volumes, keys and settings of this project for good. The caller has asked before. */
export async function reset(stack: Stack, options: { readonly onEvent?: OnEvent; readonly signal?: AbortSignal | undefined } = {}): Promise<ResetPlan> {
  const planned = await planReset(stack);
  const onEvent = options.onEvent ?? ((): void => undefined);
  {
    await ensurePrivateDirectory(stack.directories.state);
    await using _lease = await acquireLease({ path: join(stack.directories.state, 'stack.lock'), owner: 'devstack reset' });
    await stack.compose.down({ volumes: true, onLine: (line) => { onEvent({ type: 'progress', step: 'reset', text: line.text }); }, ...(options.signal === undefined ? {} : { signal: options.signal }) });
    const engine = await stack.engine();
    for (const volume of await engine.listVolumes({ project: stack.project.id })) await engine.removeVolume(volume.name);
  }
  // Last, so that a reset that was cut off still knows its project and can be repeated.
  await rm(stack.project.configDirectory, { recursive: true, force: true });
  await forgetProject(dirname(stack.project.configDirectory), stack.project.id);
  return planned;
}
