import type { RedisConnection } from '@devstack-core/database-connections';
import type { Secret } from '@devstack-core/redaction';
import { slotRanges } from './redis-slots.ts';
import { throwIfAborted } from './timing.ts';
import type { Endpoint } from './tls.ts';

/** One node as this machine reaches it (`host:port`) and as its peers do (`address:6379`). */
export interface RedisNode {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly address: string;
  /** How this machine verifies the node, where nodes speak TLS to each other. */
  readonly tls?: Endpoint['tls'];
}

/** A node with a connection to it alone and its id in the cluster. */
export interface RedisMember {
  readonly node: RedisNode;
  readonly connection: RedisConnection;
  readonly id: string;
}

/** What a migration needs to know beside the slots. */
export interface MigrationOptions {
  readonly username: string;
  readonly password: Secret;
  readonly signal?: AbortSignal | undefined;
  readonly onMoved?: (slots: number) => void;
}

/** The port that nodes reach each other at: with TLS, the one that speaks it. */
export function redisPort(node: RedisNode): number {
  return (node.tls ?? false) === false ? 6379 : 6390;
}

/** The cluster bus stays at this port whether it speaks TLS or not. */
export const busPort = 16_379;

// A stop between two batches leaves whole slots on either side; one batch holds the server up for a few milliseconds.
const batchSlots = 4096;
const keysPerMigrate = 100;

/**
 * Moves slots from one node to another while clients read and write, by the steps of the Redis cluster specification (“Cluster live
 * reconfiguration”): importing, migrating, keys, new owner. Each step is one script per batch instead of one round trip per slot;
 * the order between the nodes stays, and Redis itself refuses to give away a slot that still holds keys.
 */
export async function moveSlots(
  slots: readonly number[],
  ends: { readonly from: RedisMember; readonly to: RedisMember; readonly others: readonly RedisMember[] },
  options: MigrationOptions,
): Promise<void> {
  const { from, to, others } = ends;
  for (let start = 0; start < slots.length; start += batchSlots) {
    throwIfAborted(options.signal, 'Moving Redis slots');
    const batch = slots.slice(start, start + batchSlots);
    await setSlots(to, batch, 'IMPORTING', from.id);
    await setSlots(from, batch, 'MIGRATING', to.id);
    await Promise.all((await slotsWithKeys(from, batch)).map((slot) => moveKeys(slot, from, to, options)));
    await setSlots(to, batch, 'NODE', to.id);
    await setSlots(from, batch, 'NODE', to.id);
    await Promise.all(others.map((other) => setSlots(other, batch, 'NODE', to.id)));
    options.onMoved?.(batch.length);
  }
}

/** Closes slots that are open on this node though nothing is left to move. */
export async function closeSlots(member: RedisMember, slots: readonly number[]): Promise<void> {
  await setSlots(member, slots, 'STABLE');
}

/** Which of these slots hold a key on this node. */
export async function slotsWithKeys(member: RedisMember, slots: readonly number[]): Promise<readonly number[]> {
  return (await evaluate(member, filledScript, slots, [])) as number[];
}

const filledScript = `
local filled = {}
for i = 1, #ARGV, 2 do
  for slot = tonumber(ARGV[i]), tonumber(ARGV[i + 1]) do
    if redis.call('CLUSTER', 'COUNTKEYSINSLOT', slot) > 0 then filled[#filled + 1] = slot end
  end
end
return filled`;

const setSlotScript = `
for i = 3, #ARGV, 2 do
  for slot = tonumber(ARGV[i]), tonumber(ARGV[i + 1]) do
    if ARGV[2] == '' then redis.call('CLUSTER', 'SETSLOT', slot, ARGV[1])
    else redis.call('CLUSTER', 'SETSLOT', slot, ARGV[1], ARGV[2]) end
  end
end
return 'OK'`;

type SlotState = 'IMPORTING' | 'MIGRATING' | 'NODE' | 'STABLE';

async function setSlots(member: RedisMember, slots: readonly number[], state: SlotState, id = ''): Promise<void> {
  if (slots.length > 0) await evaluate(member, setSlotScript, slots, [state, id]);
}

// A script without keys runs on the node that it is sent to, also in a cluster that is not whole.
async function evaluate(
  { connection }: RedisMember,
  script: string,
  slots: readonly number[],
  words: readonly string[],
): Promise<unknown> {
  return connection.command('EVAL', script, '0', ...words, ...slotRanges(slots).flat());
}

async function moveKeys(slot: number, from: RedisMember, to: RedisMember, options: MigrationOptions): Promise<void> {
  const { connection } = from;
  for (;;) {
    const keys = (await connection.command('CLUSTER', 'GETKEYSINSLOT', slot, keysPerMigrate)) as string[];
    if (keys.length === 0) return;
    const target = [to.node.address, redisPort(to.node), '', 0, 10_000];
    const login = ['AUTH2', options.username, options.password];
    await connection.command('MIGRATE', ...target, 'REPLACE', ...login, 'KEYS', ...keys);
  }
}
