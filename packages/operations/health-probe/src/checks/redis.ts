import { connectRedis } from '@devstack-core/database-connections';
import { isDevstackError } from '@devstack-core/errors';
import { connectionOptions, Unhealthy, type Check, type CheckContext } from '../check.ts';

const slotCount = 16_384;

/** One Redis server: PING after login. */
export const redis: Check = {
  describe: () => 'PING',
  run: async (context) => {
    await using connection = await connectRedis(optionsOf(context));
    await connection.command('PING');
    return versionOf(await connection.command('INFO', 'server'));
  },
};

/** A node of a Redis cluster: all 16384 slots are covered by nodes that answer, as this node sees it. */
export const redisCluster: Check = {
  describe: () => `CLUSTER INFO and CLUSTER SLOTS (${String(slotCount)} slots covered)`,
  run: async (context) => {
    await using connection = await connectRedis(optionsOf(context));
    const [info, slots, server] = await Promise.all([
      connection.command('CLUSTER', 'INFO').catch(notACluster),
      connection.command('CLUSTER', 'SLOTS').catch(notACluster),
      connection.command('INFO', 'server'),
    ]);
    const state = parseInfo(info);
    const { covered, masters } = coverage(slots);
    const details = {
      ...versionOf(server),
      clusterState: state.get('cluster_state'),
      slotsCovered: covered,
      slotsOk: Number(state.get('cluster_slots_ok')),
      masters,
      knownNodes: Number(state.get('cluster_known_nodes')),
    };
    if (covered < slotCount) {
      throw new Unhealthy({
        reason: `Only ${String(covered)} of ${String(slotCount)} slots are assigned to a node.`,
        answered: `cluster_state:${state.get('cluster_state') ?? 'unknown'}`,
        nextStep: 'Form the cluster: assign the missing slots to a node.',
        details,
      });
    }
    if (details.clusterState !== 'ok' || details.slotsOk < slotCount) {
      const missing = slotCount - details.slotsOk;
      throw new Unhealthy({
        reason: `The cluster is not serving: ${String(missing)} slots belong to nodes that do not answer.`,
        answered: `cluster_state:${details.clusterState ?? 'unknown'}, cluster_slots_ok:${String(details.slotsOk)}`,
        nextStep: 'Start the Redis nodes that are down, or look into their logs.',
        details,
      });
    }
    return details;
  },
};

function optionsOf(context: CheckContext): Parameters<typeof connectRedis>[0] {
  const { database: _unused, ...options } = connectionOptions(context, 'default');
  return options;
}

function notACluster(error: unknown): never {
  if (isDevstackError(error) && /cluster support disabled/i.test(error.message)) {
    throw new Unhealthy({
      reason: 'This Redis is not a cluster node.',
      answered: 'cluster support disabled',
      nextStep: 'Start it with cluster-enabled yes, or probe it by the protocol "redis".',
    });
  }
  throw error;
}

/** `CLUSTER SLOTS`: a list of [first, last, master, ...replicas]. */
function coverage(reply: unknown): { covered: number; masters: number } {
  const slots = new Uint8Array(slotCount);
  const masters = new Set<string>();
  for (const range of Array.isArray(reply) ? (reply as unknown[]) : []) {
    const [first, last, master] = Array.isArray(range) ? (range as unknown[]) : [];
    slots.fill(1, Number(first), Number(last) + 1);
    if (Array.isArray(master)) masters.add(String(master[2] ?? master.join(':')));
  }
  return { covered: slots.reduce((sum, slot) => sum + slot, 0), masters: masters.size };
}

function parseInfo(text: unknown): ReadonlyMap<string, string> {
  return new Map(
    String(text)
      .split(/\r?\n/)
      .filter((line) => line.includes(':'))
      .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

function versionOf(info: unknown): { version: string | undefined } {
  return { version: parseInfo(info).get('redis_version') };
}
