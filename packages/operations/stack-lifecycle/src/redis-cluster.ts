import type { RedisConnection } from '@devstack-core/database-connections';
import { connectRedis } from '@devstack-core/database-connections';
import { DevstackError, abortReason } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { StackErrorCode } from './errors.ts';

/** One node as this machine reaches it (`host:port`) and as its peers do (`address:6379`). */
export interface RedisNode {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

/** What forming the cluster did. */
export interface RedisClusterOutcome {
  readonly changed: boolean;
  readonly nodes: number;
  readonly movedSlots: number;
}

interface Member {
  readonly node: RedisNode;
  readonly connection: RedisConnection;
  readonly id: string;
  readonly slots: number[];
}

const slotCount = 16_384;
const busPort = 6379;

/**
 * Makes one cluster of these nodes with all 16,384 slots covered and evenly spread: one node takes them all, new nodes meet and get
 * their share, with keys moved live. Never removes a node. Repeating it on a formed cluster changes nothing.
 * Source: Redis cluster specification, "Cluster live reconfiguration". Throws REDIS_CLUSTER_BROKEN.
 */
export async function ensureRedisCluster(options: {
  readonly nodes: readonly RedisNode[];
  readonly username: string;
  readonly password: Secret;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (text: string) => void;
}): Promise<RedisClusterOutcome> {
  const connections: RedisConnection[] = [];
  try {
    for (const node of options.nodes) {
      connections.push(await connectRedis({ host: node.host, port: node.port, username: options.username, password: options.password }));
    }
    const met = await meet(options.nodes, connections, options.signal);
    const members = await readMembers(options.nodes, connections);
    await finishOpenSlots(members, options);
    const uncovered = uncoveredSlots(members);
    const assigned = uncovered.length === slotCount ? await assignAll(members) : await assignRest(members, uncovered);
    const moved = await rebalance(await readMembers(options.nodes, connections), options);
    if (met || assigned || moved > 0) await waitUntilOk(connections, options.signal);
    return { changed: met || assigned || moved > 0, nodes: members.length, movedSlots: moved };
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
}

/** How many slots each of `nodes` members should hold; the first ones take the remainder. */
export function targetShares(nodes: number): readonly number[] {
  return Array.from({ length: nodes }, (_, index) => Math.floor(slotCount / nodes) + (index < slotCount % nodes ? 1 : 0));
}

/** Turns sorted slots into inclusive ranges. */
export function slotRanges(slots: readonly number[]): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last?.[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}

/** The slots in a node's own line of `CLUSTER NODES`, e.g. `… connected 0-5460 7000`; open slots (`[93-<-…]`) are left out. */
export function parseOwnSlots(clusterNodes: string): { readonly id: string; readonly slots: number[]; readonly open: readonly { slot: number; peer: string; importing: boolean }[] } {
  const line = clusterNodes.split('\n').find((candidate) => candidate.includes('myself')) ?? '';
  const words = line.trim().split(' ');
  const slots: number[] = [];
  const open: { slot: number; peer: string; importing: boolean }[] = [];
  for (const word of words.slice(8)) {
    const moving = /^\[(\d+)-([<>])-([0-9a-f]+)\]$/.exec(word);
    if (moving !== null) {
      open.push({ slot: Number(moving[1]), peer: moving[3] ?? '', importing: moving[2] === '<' });
      continue;
    }
    const [from, to] = word.split('-').map(Number);
    if (from === undefined) continue;
    for (let slot = from; slot <= (to ?? from); slot += 1) slots.push(slot);
  }
  return { id: words[0] ?? '', slots, open };
}

async function meet(nodes: readonly RedisNode[], connections: readonly RedisConnection[], signal: AbortSignal | undefined): Promise<boolean> {
  const first = connections[0];
  if (first === undefined || nodes.length === 1) return false;
  const known = String(await first.command('CLUSTER', 'NODES'));
  const missing = nodes.filter((node) => !known.includes(`${node.address}:`));
  if (missing.length === 0) return false;
  for (const node of missing) await first.command('CLUSTER', 'MEET', node.address, String(busPort));
  await until('the Redis nodes to know each other', signal, async () => {
    const views = await Promise.all(connections.map(async (connection) => String(await connection.command('CLUSTER', 'NODES'))));
    return views.every((view) => nodes.every((node) => view.split('\n').some((line) => line.includes(`${node.address}:`) && !/handshake|fail|noaddr/.test(line))));
  });
  // Nodes that were born apart may share a configuration epoch; the cluster settles it by itself within moments.
  return true;
}

async function readMembers(nodes: readonly RedisNode[], connections: readonly RedisConnection[]): Promise<readonly Member[]> {
  return Promise.all(
    nodes.map(async (node, index) => {
      const connection = connections[index];
      if (connection === undefined) throw new Error('a connection per node');
      const { id, slots } = parseOwnSlots(String(await connection.command('CLUSTER', 'NODES')));
      return { node, connection, id, slots };
    }),
  );
}

function uncoveredSlots(members: readonly Member[]): readonly number[] {
  const covered = new Uint8Array(slotCount);
  for (const member of members) for (const slot of member.slots) covered[slot] = 1;
  return Array.from({ length: slotCount }, (_, slot) => slot).filter((slot) => covered[slot] === 0);
}

async function assignAll(members: readonly Member[]): Promise<boolean> {
  let next = 0;
  const shares = targetShares(members.length);
  for (const [index, member] of members.entries()) {
    const share = shares[index] ?? 0;
    await member.connection.command('CLUSTER', 'ADDSLOTSRANGE', String(next), String(next + share - 1));
    next += share;
  }
  return true;
}

// A run that was killed between assigning and moving leaves slots without an owner: the smallest node takes them.
async function assignRest(members: readonly Member[], uncovered: readonly number[]): Promise<boolean> {
  const smallest = members.toSorted((a, b) => a.slots.length - b.slots.length)[0];
  if (uncovered.length === 0 || smallest === undefined) return false;
  for (const [from, to] of slotRanges(uncovered)) await smallest.connection.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
  return true;
}

async function rebalance(members: readonly Member[], options: Parameters<typeof ensureRedisCluster>[0]): Promise<number> {
  const share = Math.floor(slotCount / members.length);
  // Only nodes without slots are new; an uneven but complete cluster may be the user's own choice and is left alone.
  const empty = members.filter((member) => member.slots.length === 0);
  let moved = 0;
  for (const target of empty) {
    for (const source of members) {
      const surplus = source.slots.length - share - (members.indexOf(source) < slotCount % members.length ? 1 : 0);
      const wanted = Math.min(surplus, share - target.slots.length);
      if (wanted <= 0 || source === target) continue;
      const slots = source.slots.splice(source.slots.length - wanted, wanted);
      for (let start = 0; start < slots.length; start += 512) {
        const aborted = abortReason(options.signal, 'Moving Redis slots');
        if (aborted !== undefined) throw aborted;
        const batch = slots.slice(start, start + 512);
        await Promise.all(batch.map((slot) => moveSlot(slot, source, target, members, options)));
        target.slots.push(...batch);
        moved += batch.length;
        options.onProgress?.(`${String(moved)} slots moved`);
      }
    }
  }
  return moved;
}

async function moveSlot(slot: number, source: Member, target: Member, members: readonly Member[], options: { readonly username: string; readonly password: Secret }): Promise<void> {
  const name = String(slot);
  await target.connection.command('CLUSTER', 'SETSLOT', name, 'IMPORTING', source.id);
  await source.connection.command('CLUSTER', 'SETSLOT', name, 'MIGRATING', target.id);
  await moveKeys(slot, source, target, options);
  await target.connection.command('CLUSTER', 'SETSLOT', name, 'NODE', target.id);
  await source.connection.command('CLUSTER', 'SETSLOT', name, 'NODE', target.id);
  await Promise.all(
    members.filter((member) => member !== source && member !== target).map((member) => member.connection.command('CLUSTER', 'SETSLOT', name, 'NODE', target.id)),
  );
}

async function moveKeys(slot: number, source: Member, target: Member, options: { readonly username: string; readonly password: Secret }): Promise<void> {
  for (;;) {
    const keys = (await source.connection.command('CLUSTER', 'GETKEYSINSLOT', String(slot), '100')) as string[];
    if (keys.length === 0) return;
    await source.connection.command(
      'MIGRATE', target.node.address, String(busPort), '', '0', '10000', 'REPLACE', 'AUTH2', options.username, options.password, 'KEYS', ...keys,
    );
  }
}

// A run that was killed in the middle of a slot leaves it open on both sides; its keys are moved on and it is closed.
async function finishOpenSlots(members: readonly Member[], options: Parameters<typeof ensureRedisCluster>[0]): Promise<void> {
  for (const source of members) {
    const { open } = parseOwnSlots(String(await source.connection.command('CLUSTER', 'NODES')));
    for (const { slot, peer, importing } of open) {
      const other = members.find((member) => member.id === peer);
      if (other === undefined) continue;
      const [from, to] = importing ? [other, source] : [source, other];
      const isOwner = from.slots.includes(slot);
      if (isOwner) await moveSlot(slot, from, to, members, options);
      else await source.connection.command('CLUSTER', 'SETSLOT', String(slot), 'STABLE');
    }
  }
}

async function waitUntilOk(connections: readonly RedisConnection[], signal: AbortSignal | undefined): Promise<void> {
  await until('the Redis cluster to report cluster_state:ok', signal, async () => {
    const states = await Promise.all(connections.map(async (connection) => String(await connection.command('CLUSTER', 'INFO'))));
    return states.every((state) => state.includes('cluster_state:ok'));
  });
}

async function until(what: string, signal: AbortSignal | undefined, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    const aborted = abortReason(signal, `Waiting for ${what}`);
    if (aborted !== undefined) throw aborted;
    if (performance.now() > deadline) {
      throw new DevstackError({ code: StackErrorCode.redisClusterBroken, message: `Waited 30 s for ${what}.`, hint: 'Run: devstack logs redis-1 and devstack health' });
    }
    const { promise, resolve } = Promise.withResolvers<undefined>();
    setTimeout(resolve, 50, undefined);
    await promise;
  }
}
