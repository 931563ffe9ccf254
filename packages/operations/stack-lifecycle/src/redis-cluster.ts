import { existsSync } from 'node:fs';
import { connectRedis, type RedisConnection } from '@devstack-core/database-connections';
import { removeDurable, writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { StackErrorCode } from './errors.ts';
import {
  busPort,
  closeSlots,
  moveSlots,
  redisPort,
  slotsWithKeys,
  type RedisMember,
  type RedisNode,
} from './redis-migration.ts';
import {
  areEpochsSettled,
  parseClusterNodes,
  planMoves,
  slotCount,
  slotRanges,
  targetShares,
  type OpenSlot,
} from './redis-slots.ts';
import { until } from './timing.ts';

/** What `ensureRedisCluster` works on. */
export interface RedisClusterOptions {
  readonly nodes: readonly RedisNode[];
  readonly username: string;
  readonly password: Secret;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (text: string) => void;
  /** Written while slots move and removed after: by it, a growth that was cut off is known and finished by the next run. */
  readonly growthFile?: string;
}

/** What forming the cluster did. */
export interface RedisClusterOutcome {
  readonly changed: boolean;
  readonly nodes: number;
  readonly movedSlots: number;
}

interface Member extends RedisMember {
  readonly slots: readonly number[];
  readonly open: readonly OpenSlot[];
}

/**
 * Makes one cluster of these nodes with all 16,384 slots covered and evenly spread: one node takes them all, new nodes meet and get
 * their share, with keys moved live. Never removes a node. Repeating it on a formed cluster changes nothing, after an interruption it
 * finishes what was begun. Source: Redis cluster specification, "Cluster live reconfiguration". Throws REDIS_CLUSTER_BROKEN.
 */
export async function ensureRedisCluster(options: RedisClusterOptions): Promise<RedisClusterOutcome> {
  const { nodes } = options;
  await using stack = new AsyncDisposableStack();
  const connections: RedisConnection[] = [];
  for (const node of nodes) {
    const { host, port, tls = false } = node;
    connections.push(
      stack.use(await connectRedis({ host, port, tls, username: options.username, password: options.password })),
    );
  }
  const met = await meet(nodes, connections, options.signal);
  const assigned = await assignUncovered(await readMembers(nodes, connections));
  // A node that has just joined refuses keys, and clients, until it has heard of all slots.
  if (met || assigned) await waitUntilOk(connections, options.signal);
  await waitUntilEpochsSettle(connections, options.signal);
  const finished = await finishOpenSlots(await readMembers(nodes, connections), options);
  const moved = await spread(await readMembers(nodes, connections), options);
  const changed = met || assigned || finished + moved > 0;
  if (finished + moved > 0) await waitUntilOk(connections, options.signal);
  if (options.growthFile !== undefined) await removeDurable(options.growthFile);
  return { changed, nodes: nodes.length, movedSlots: finished + moved };
}

async function meet(
  nodes: readonly RedisNode[],
  connections: readonly RedisConnection[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let met = false;
  // Every node is told of every other: gossip alone would take seconds to spread it.
  for (const [index, connection] of connections.entries()) {
    const known = new Set((await clusterNodes(connection)).map((seen) => seen.address));
    const missing = nodes.filter((node, place) => place !== index && !known.has(node.address));
    for (const node of missing) await connection.command('CLUSTER', 'MEET', node.address, redisPort(node), busPort);
    met ||= missing.length > 0;
  }
  if (!met) return false;
  await waitFor('the Redis nodes to know each other', signal, async () => {
    const views = await Promise.all(connections.map(clusterNodes));
    return views.every((view) =>
      nodes.every((node) => view.some((seen) => seen.address === node.address && seen.isSettled)),
    );
  });
  return true;
}

async function clusterNodes(connection: RedisConnection): Promise<ReturnType<typeof parseClusterNodes>> {
  return parseClusterNodes(String(await connection.command('CLUSTER', 'NODES')));
}

async function readMembers(
  nodes: readonly RedisNode[],
  connections: readonly RedisConnection[],
): Promise<readonly Member[]> {
  const addresses = new Set(nodes.map((node) => node.address));
  return Promise.all(
    connections.map(async (connection, index) => {
      const view = await clusterNodes(connection);
      const node = nodes[index];
      const own = view.find((seen) => seen.isMyself);
      if (node === undefined || own === undefined) throw broken('a node does not list itself in CLUSTER NODES.');
      const foreign = view.find((seen) => seen !== own && seen.slots.length > 0 && !addresses.has(seen.address));
      if (foreign !== undefined) throw heldElsewhere(foreign.address, foreign.slots);
      return { node, connection, id: own.id, slots: own.slots, open: own.open };
    }),
  );
}

// A run that was killed in the middle leaves slots open on one or both sides; their keys are moved on and they are closed.
async function finishOpenSlots(members: readonly Member[], options: RedisClusterOptions): Promise<number> {
  let moved = 0;
  for (const to of members) {
    for (const from of members) {
      if (from === to) continue;
      const leaving = from.open.filter((open) => !open.importing && open.peer === to.id).map((open) => open.slot);
      const coming = to.open.filter((open) => open.importing && open.peer === from.id).map((open) => open.slot);
      const owned = new Set(from.slots);
      const half = [...new Set([...leaving, ...coming])].toSorted((a, b) => a - b).filter((slot) => owned.has(slot));
      await moveSlots(half, { from, to, others: except(members, from, to) }, options);
      moved += half.length;
      await closeSlots(
        from,
        leaving.filter((slot) => !owned.has(slot)),
      );
      await closeSlots(
        to,
        coming.filter((slot) => !owned.has(slot)),
      );
    }
  }
  return moved;
}

// Slots without an owner go to the node that holds keys of them, the others evenly (a new cluster) or to the smallest node.
async function assignUncovered(members: readonly Member[]): Promise<boolean> {
  const covered = new Set(members.flatMap((member) => member.slots));
  const uncovered = Array.from({ length: slotCount }, (_, slot) => slot).filter((slot) => !covered.has(slot));
  if (uncovered.length === 0) return false;
  const rest = new Set(uncovered);
  for (const member of members) {
    const filled = (await slotsWithKeys(member, uncovered)).filter((slot) => rest.delete(slot));
    await addSlots(member, filled);
  }
  const empty = [...rest];
  if (uncovered.length < slotCount) {
    const smallest = members.toSorted((a, b) => a.slots.length - b.slots.length)[0];
    if (smallest !== undefined) await addSlots(smallest, empty);
    return true;
  }
  for (const [index, share] of targetShares(members.length).entries()) {
    const member = members[index];
    if (member !== undefined) await addSlots(member, empty.splice(0, share));
  }
  return true;
}

async function addSlots({ connection }: RedisMember, slots: readonly number[]): Promise<void> {
  if (slots.length > 0) await connection.command('CLUSTER', 'ADDSLOTSRANGE', ...slotRanges(slots).flat());
}

async function spread(members: readonly Member[], options: RedisClusterOptions): Promise<number> {
  const { growthFile } = options;
  const finish = growthFile !== undefined && existsSync(growthFile);
  const moves = planMoves(
    members.map((member) => member.slots),
    finish,
  );
  if (moves.length > 0 && growthFile !== undefined)
    await writeFileDurable(growthFile, 'Redis slots are being moved.\n');
  let moved = 0;
  const onMoved = (slots: number): void => {
    moved += slots;
    options.onProgress?.(`${String(moved)} slots moved`);
  };
  for (const move of moves) {
    const from = members[move.from];
    const to = members[move.to];
    if (from === undefined || to === undefined) continue;
    await moveSlots(move.slots, { from, to, others: except(members, from, to) }, { ...options, onMoved });
  }
  return moved;
}

function except(members: readonly Member[], ...two: readonly Member[]): readonly Member[] {
  return members.filter((member) => !two.includes(member));
}

async function waitUntilOk(connections: readonly RedisConnection[], signal: AbortSignal | undefined): Promise<void> {
  await waitFor('the Redis cluster to report cluster_state:ok', signal, async () => {
    const states = await Promise.all(connections.map((connection) => connection.command('CLUSTER', 'INFO')));
    return states.every((state) => String(state).includes('cluster_state:ok'));
  });
}

// Before any slot changes hands: see `areEpochsSettled`. The cluster does it by itself, with its heartbeats.
async function waitUntilEpochsSettle(
  connections: readonly RedisConnection[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await waitFor('the Redis nodes to settle their configuration epochs', signal, async () =>
    areEpochsSettled(await Promise.all(connections.map(clusterNodes))),
  );
}

async function waitFor(
  what: string,
  signal: AbortSignal | undefined,
  condition: () => Promise<boolean>,
): Promise<void> {
  await until({
    what,
    signal,
    everyMs: 50,
    deadlineMs: 30_000,
    attempt: async () => ((await condition()) ? true : undefined),
    expired: () => broken(`waited 30 s for ${what}.`),
  });
}

function broken(problem: string): DevstackError {
  return new DevstackError({
    code: StackErrorCode.redisClusterBroken,
    message: `The Redis cluster could not be formed: ${problem}`,
    hint: 'Run: devstack logs redis-1 and devstack health',
  });
}

function heldElsewhere(address: string, slots: readonly number[]): DevstackError {
  return new DevstackError({
    code: StackErrorCode.redisClusterBroken,
    message: `${String(slots.length)} slots of the Redis cluster belong to the node at ${address}, which is not among the services that are started.`,
    hint: 'Start every node that ever joined: devstack up redis-1 redis-2 redis-3. To shrink the cluster, start anew: devstack reset',
    details: { address, slots: slots.length },
  });
}
