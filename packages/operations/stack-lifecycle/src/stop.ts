import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { OnEvent } from './events.ts';
import { removeNetworks } from './networks.ts';
import { forgetProject } from './project.ts';
import { withStackLease } from './stack-lease.ts';
import type { Stack } from './stack.ts';
import { bringUp, type UpResult } from './up.ts';

/** What was stopped. */
export interface DownResult {
  readonly project: string;
  readonly stopped: readonly string[];
  readonly removed: boolean;
}

/** Which services to stop (all by default), and whether their containers go too. */
export interface DownOptions {
  readonly services?: readonly string[] | undefined;
  readonly remove?: boolean;
  readonly onEvent?: OnEvent;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stops the stack's containers in order (dependents first) and keeps every volume and password. `remove` also removes the
 * containers and networks, which hold no data. Nothing running is not an error.
 */
export async function down(stack: Stack, options: DownOptions = {}): Promise<DownResult> {
  return withStackLease(stack, { owner: 'devstack down', signal: options.signal }, () => bringDown(stack, options));
}

/** `down` for a caller that holds the stack's lease already. */
export async function bringDown(stack: Stack, options: DownOptions): Promise<DownResult> {
  const names = (options.services ?? []).map((name) => stack.model.service(name).name);
  const containers = await (await stack.engine()).listContainers({ project: stack.project.id, all: true });
  const running = containers.filter(
    (container) => container.state === 'running' && (names.length === 0 || names.includes(container.service ?? '')),
  );
  const call = {
    onLine: (line: { readonly text: string }): void => {
      options.onEvent?.({ type: 'progress', step: 'stop', text: line.text });
    },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  if (names.length > 0) await stack.compose.stop({ services: names, ...call });
  else if (options.remove === true) await stack.compose.down(call);
  else if (running.length > 0) await stack.compose.stop(call);
  if (options.remove === true && names.length === 0) await removeNetworks(stack);
  const stopped = running.map((container) => container.service ?? container.name);
  return { project: stack.project.id, stopped, removed: options.remove === true };
}

/** Which services to restart (all running ones by default). */
export interface RestartOptions {
  readonly services?: readonly string[] | undefined;
  readonly onEvent?: OnEvent;
  readonly signal?: AbortSignal | undefined;
  readonly deadlineMs?: number;
}

/** Stops the named services (or all of the stack's running ones) and brings them up again, healthy, under one lease. */
export async function restart(stack: Stack, options: RestartOptions = {}): Promise<UpResult> {
  return withStackLease(stack, { owner: 'devstack restart', signal: options.signal }, () =>
    stopAndStart(stack, options),
  );
}

/** `restart` for a caller that holds the stack's lease already. */
export async function stopAndStart(stack: Stack, options: RestartOptions): Promise<UpResult> {
  const { stopped } = await bringDown(stack, options);
  const named = (options.services ?? []).length > 0 ? options.services : stopped;
  return bringUp(stack, { ...options, services: named });
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
  const project = stack.project.id;
  const [containers, volumes] = await Promise.all([
    engine.listContainers({ project, all: true }),
    engine.listVolumes({ project }),
  ]);
  return {
    project,
    containers: containers.map((container) => container.name),
    volumes: volumes.map((volume) => volume.name),
    folders: [stack.project.configDirectory],
  };
}

/** On copies of a stack's volumes, with its id: what a restore was about to put in their place, or keeps of them until it is proven. */
export const volumeCopyLabel = 'io.devstack.volume-copy';

/** Removes containers, networks, volumes, keys and settings of this project for good. The caller has asked before. */
export async function reset(
  stack: Stack,
  options: { readonly onEvent?: OnEvent; readonly signal?: AbortSignal | undefined } = {},
): Promise<ResetPlan> {
  const planned = await planReset(stack);
  await withStackLease(stack, { owner: 'devstack reset', signal: options.signal }, async () => {
    await stack.compose.down({
      volumes: true,
      onLine: (line) => {
        options.onEvent?.({ type: 'progress', step: 'reset', text: line.text });
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const engine = await stack.engine();
    for (const { name } of await engine.listVolumes({ project: stack.project.id })) await engine.removeVolume(name);
    // Left by a restore that was killed. What a recovery keeps aside (`.aside`) is that one's to put back.
    for (const { name } of await engine.listVolumes({ labels: { [volumeCopyLabel]: stack.project.id } }))
      if (name.endsWith('.restored')) await engine.removeVolume(name);
    await removeNetworks(stack);
  });
  // Last, so that a reset that was cut off still knows its project and can be repeated.
  await rm(stack.project.configDirectory, { recursive: true, force: true });
  await forgetProject(dirname(stack.project.configDirectory), stack.project.id);
  return planned;
}
