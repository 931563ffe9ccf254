import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary } from '@devstack-core/docker-engine';
import { writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { applyPassword } from './apply-password.ts';
import { containerFailure } from './container-failure.ts';
import { StackErrorCode } from './errors.ts';
import type { OnEvent } from './events.ts';
import type { ServiceProbe } from './health.ts';
import { ensureRedisCluster } from './redis-cluster.ts';
import type { RedisNode } from './redis-migration.ts';
import type { Stack } from './stack.ts';
import type { StepOutcome } from './steps.ts';
import { until } from './timing.ts';
import { endpointOf } from './tls.ts';

const protocol = 'redis-cluster';

/**
 * Adds the nodes that joined the Redis cluster earlier: they hold slots, and a smaller profile would leave part of the keys unreachable.
 * They are known by their containers, and by a record that outlives those.
 */
export async function withClusterPeers(
  stack: Stack,
  services: readonly ServiceModel[],
  containers: readonly ContainerSummary[],
  onEvent: OnEvent,
): Promise<readonly ServiceModel[]> {
  if (!services.some((service) => service.protocol === protocol)) return services;
  const joined = new Set([...(await readJoined(stack)), ...containers.map((container) => container.service)]);
  const missing = stack.model.services.filter(
    (service) => service.protocol === protocol && !services.includes(service) && joined.has(service.name),
  );
  if (missing.length === 0) return services;
  onEvent({
    type: 'warning',
    code: 'REDIS_CLUSTER_KEPT',
    text: `${missing.map((service) => service.name).join(' and ')} stay in the plan: they hold slots of the Redis cluster.`,
    hint: 'To shrink it, start anew: devstack reset',
  });
  return stack.model.services.filter((service) => services.includes(service) || missing.includes(service));
}

/** Makes one cluster of the Redis nodes among the services, as soon as they answer. */
export async function formRedisCluster(
  stack: Stack,
  services: readonly ServiceModel[],
  options: {
    /** The probes of the services, which hold the nodes' password. */
    readonly probes: () => Promise<readonly ServiceProbe[]>;
    readonly onEvent: OnEvent;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<StepOutcome> {
  const { onEvent, signal } = options;
  const members = services.filter((service) => service.protocol === protocol);
  const first = members[0];
  if (first === undefined) return { changed: false, detail: 'not in this profile', value: undefined };
  const secret = (await options.probes()).find((one) => one.service === first.name)?.credentials ?? {};
  const nodes = members.flatMap((service) => redisNode(stack, service));
  if (nodes.length > 1) await recordJoined(stack, nodes);
  let problem: DevstackError | undefined;
  let restarted = false;
  const outcome = await until({
    what: 'the Redis nodes to answer',
    signal,
    everyMs: 100,
    deadlineMs: startDeadlineMs,
    attempt: async () => {
      try {
        return await ensureRedisCluster({
          nodes,
          username: secret['username']?.reveal() ?? 'default',
          password: secret['password'] ?? new Secret(''),
          signal,
          growthFile: join(stack.directories.state, 'redis-growth'),
          onProgress: (text) => {
            onEvent({ type: 'progress', step: 'redis-cluster', text });
          },
        });
      } catch (error) {
        if (isDevstackError(error, 'AUTHENTICATION_FAILED') && !restarted) {
          restarted = true;
          const names = members.map((member) => member.name);
          await applyPassword(stack, names, { onEvent, signal });
          return undefined;
        }
        if (!isStillStarting(error)) throw error;
        problem = error;
        const failed = await containerFailure(stack, members);
        if (failed !== undefined) throw failed;
        return undefined;
      }
    },
    onWait: (elapsedMs) => {
      const names = members.map((member) => member.name);
      onEvent({ type: 'waiting', step: 'redis-cluster', for: names, elapsedMs, deadlineMs: startDeadlineMs });
    },
    expired: () => problem ?? noAnswer(),
  });
  const moved = outcome.movedSlots > 0 ? `, ${String(outcome.movedSlots)} slots moved` : '';
  return { changed: outcome.changed, detail: `${String(outcome.nodes)} nodes${moved}`, value: undefined };
}

// Written before they meet, so that a cluster never has a node that is not in it.
async function recordJoined(stack: Stack, nodes: readonly RedisNode[]): Promise<void> {
  const known = await readJoined(stack);
  const all = [...new Set([...known, ...nodes.map((node) => node.name)])].toSorted();
  if (all.length > known.length) await writeFileDurable(joinedFile(stack), `${JSON.stringify(all)}\n`);
}

async function readJoined(stack: Stack): Promise<readonly string[]> {
  const text = await readFile(joinedFile(stack), 'utf8').catch(() => '[]');
  try {
    return JSON.parse(text) as readonly string[];
  } catch {
    // Without it the containers tell; it is written again when the cluster grows.
    return [];
  }
}

function joinedFile(stack: Stack): string {
  return join(stack.directories.state, 'redis-nodes.json');
}

// A node that has only just been started refuses or drops connections for a moment.
const startDeadlineMs = 60_000;

function isStillStarting(error: unknown): error is DevstackError {
  if (!isDevstackError(error)) return false;
  return error.code.startsWith('CONNECTION_') || error.message.includes(' LOADING ');
}

function redisNode(stack: Stack, service: ServiceModel): RedisNode[] {
  const endpoint = endpointOf(stack, service);
  const address = service.networks[0]?.address;
  if (endpoint === undefined || address === undefined) return [];
  return [{ name: service.name, address, ...endpoint }];
}

function noAnswer(): DevstackError {
  return new DevstackError({
    code: StackErrorCode.redisClusterBroken,
    message: `The Redis nodes did not answer within ${String(startDeadlineMs / 1000)} s.`,
    hint: 'Run: devstack logs redis-1',
  });
}
