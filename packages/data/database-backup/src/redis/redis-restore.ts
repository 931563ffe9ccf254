import { abortReason } from '@devstack-core/errors';
import type { RedisArgument } from '@devstack-core/database-connections';
import { libraryName } from './keys-fingerprint.ts';
import { dumpPayload, readRdb, type RdbKey } from './rdb-reader.ts';
import type { RedisMaster, RedisSession } from './redis-session.ts';
import { slotOf, type SlotSet } from './slots.ts';

export interface RestoreKeysOptions {
  /** Keys of other slots are left out. */
  readonly slots: SlotSet;
  /** Delete first what the slots hold; refused otherwise. */
  readonly replace: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** How many commands, and bytes of them, are on their way before their replies are waited for. */
const windowCommands = 500;
const windowBytes = 8 * 1024 * 1024;

/**
 * Gives every key of an RDB file to the node that holds its slot now, by `RESTORE` with its absolute time of expiry; functions go to every
 * node. Throws `Error`: for slots that hold keys already, and for whatever a node refuses.
 */
export async function restoreKeys(
  session: RedisSession,
  content: AsyncIterable<Uint8Array>,
  { slots, replace, signal }: RestoreKeysOptions,
): Promise<void> {
  const held = await Promise.all(session.masters.map((master) => countKeys(session, master, slots)));
  const there = held.reduce((sum, count) => sum + count, 0);
  if (there > 0 && !replace)
    throw new Error(`${String(there)} keys are there already, and replacing them was not allowed`);
  if (there > 0) for (const master of session.masters) await deleteKeys(session, master, slots);

  const owner = ownersOf(session);
  const databases = new Map<RedisMaster, number>();
  const window = new Window();
  let version = 0;
  for await (const record of readRdb(content)) {
    const aborted = abortReason(signal, 'The restore of Redis');
    if (aborted !== undefined) throw aborted;
    if (record.kind === 'header') version = record.version;
    else if (record.kind === 'function') {
      if (libraryName(record.code) === '') throw new Error('a library of functions has no name');
      for (const { connection } of session.masters)
        await connection.command('FUNCTION', 'LOAD', 'REPLACE', record.code);
    } else {
      const slot = slotOf(record.key);
      if (!slots.has(slot)) continue;
      const master = owner(slot);
      if (record.database !== 0 && session.isCluster)
        throw new Error(`database ${String(record.database)} cannot be restored: a cluster has only one`);
      if (record.database !== (databases.get(master) ?? 0)) {
        databases.set(master, record.database);
        await window.drain();
        await master.connection.command('SELECT', record.database);
      }
      const parameters = restoreParameters(record, version);
      await window.add(master.connection.command('RESTORE', ...parameters), record.value.length);
    }
  }
  await window.drain();
}

function restoreParameters(record: RdbKey, version: number): RedisArgument[] {
  return [
    record.key,
    record.expiresAt ?? 0,
    dumpPayload(record, version),
    'ABSTTL',
    ...(record.idle === undefined ? [] : ['IDLETIME', record.idle]),
    ...(record.frequency === undefined ? [] : ['FREQ', record.frequency]),
  ];
}

function ownersOf(session: RedisSession): (slot: number) => RedisMaster {
  const owners = new Map(session.masters.flatMap((master) => master.slots.list().map((slot) => [slot, master])));
  return (slot) => {
    const master = owners.get(slot);
    if (master === undefined) throw new Error(`no node holds slot ${String(slot)}`);
    return master;
  };
}

async function countKeys(session: RedisSession, master: RedisMaster, slots: SlotSet): Promise<number> {
  const { connection } = master;
  if (!session.isCluster) {
    const info = String(await connection.command('INFO', 'keyspace'));
    return [...info.matchAll(/^db\d+:keys=(\d+)/gm)].reduce((sum, [, keys]) => sum + Number(keys), 0);
  }
  if (Number(await connection.command('DBSIZE')) === 0) return 0;
  const counts = await Promise.all(
    master.slots.and(slots).map(async (slot) => connection.command('CLUSTER', 'COUNTKEYSINSLOT', slot)),
  );
  return counts.reduce<number>((sum, count) => sum + Number(count), 0);
}

async function deleteKeys(session: RedisSession, master: RedisMaster, slots: SlotSet): Promise<void> {
  const { connection } = master;
  const mine = master.slots.and(slots);
  if (!session.isCluster || mine.length === master.slots.size) {
    await connection.command('FLUSHALL');
    return;
  }
  for (const slot of mine) {
    for (;;) {
      const keys = await connection.commandBytes('CLUSTER', 'GETKEYSINSLOT', slot, 1000);
      if (!Array.isArray(keys) || keys.length === 0) break;
      await connection.command('UNLINK', ...(keys as Buffer[]));
    }
  }
}

/** Commands whose replies are waited for together. */
class Window {
  #replies: Promise<unknown>[] = [];
  #bytes = 0;

  async add(reply: Promise<unknown>, bytes: number): Promise<void> {
    reply.catch(() => undefined);
    this.#replies.push(reply);
    this.#bytes += bytes;
    if (this.#replies.length >= windowCommands || this.#bytes >= windowBytes) await this.drain();
  }

  async drain(): Promise<void> {
    const replies = this.#replies;
    this.#replies = [];
    this.#bytes = 0;
    await Promise.all(replies);
  }
}
