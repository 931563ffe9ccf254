import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRedisNodes, type RedisNodes } from '../test/redis-nodes.ts';
import { createTestStack, type TestStack } from '../test/test-stack.ts';
import { ensureImages } from './images.ts';
import { ensureRedisCluster, type RedisClusterOptions, type RedisClusterOutcome } from './redis-cluster.ts';
import { parseClusterNodes, targetShares } from './redis-slots.ts';

let folder: TestStack;
let redis: RedisNodes;
let growthFile = '';

beforeAll(async () => {
  folder = await createTestStack();
  growthFile = join(folder.configHome, 'growth');
  const service = folder.stack.model.service('redis-1');
  await ensureImages(folder.stack, [service], { onEvent: () => undefined });
  redis = await startRedisNodes(service.image, 4);
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function grow(count: number, more: Partial<RedisClusterOptions> = {}): Promise<RedisClusterOutcome> {
  const nodes = redis.nodes.slice(0, count);
  return ensureRedisCluster({ nodes, username: 'default', password: redis.password, growthFile, ...more });
}

async function slotCounts(count: number): Promise<readonly number[]> {
  await using connection = await redis.connect(0);
  const view = parseClusterNodes(String(await connection.command('CLUSTER', 'NODES')));
  return redis.nodes
    .slice(0, count)
    .map(({ address }) => view.find((node) => node.address === address)?.slots.length ?? 0);
}

const total = 3000;

async function keysLost(): Promise<number> {
  await using cluster = await redis.connect(0, { cluster: true });
  const values = await Promise.all(Array.from({ length: total }, (_, n) => cluster.command('GET', `key:${String(n)}`)));
  return values.filter((value, n) => value !== String(n)).length;
}

describe('a Redis cluster', () => {
  test('of one node serves every slot, and forming it again changes nothing', async () => {
    expect(await grow(1)).toMatchObject({ changed: true, nodes: 1, movedSlots: 0 });
    expect(await grow(1)).toMatchObject({ changed: false });
    await using connection = await redis.connect(0);
    await Promise.all(Array.from({ length: total }, (_, n) => connection.command('SET', `key:${String(n)}`, n)));
  });

  test('grows to three while a client writes; no key is lost and no write is refused', async () => {
    await using client = await redis.connect(0, { cluster: true });
    const acknowledged: string[] = [];
    const grown = new AbortController();
    // Several at once: their answers tell the driver of slots on both sides while they move.
    const writing = Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; !grown.signal.aborted; n += 1) {
        const key = `live:${String(writer)}:${String(n)}`;
        await client.command('SET', key, key);
        acknowledged.push(key);
      }
    });
    const outcome = await grow(3).finally(() => {
      grown.abort();
    });
    await Promise.all(writing);
    expect(outcome).toMatchObject({ changed: true, nodes: 3, movedSlots: 10_922 });
    expect(await slotCounts(3)).toEqual(targetShares(3));
    expect(await keysLost()).toBe(0);
    expect(acknowledged.length).toBeGreaterThan(0);
    const read = await Promise.all(acknowledged.map((key) => client.command('GET', key)));
    expect(read.filter((value, index) => value !== acknowledged[index])).toEqual([]);
    expect(existsSync(growthFile)).toBe(false);
  });

  test('whose growth lost its connections midway is finished by the next run', async () => {
    await using killer = await redis.connect(0);
    const growing = grow(4).then(
      () => 'done',
      (error: unknown) => error,
    );
    let view = '';
    while (!view.includes('->-')) view = String(await killer.command('CLUSTER', 'NODES'));
    await killer.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    expect(await growing).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(await slotCounts(4)).not.toEqual(targetShares(4));
    expect(existsSync(growthFile)).toBe(true);

    expect(await grow(4)).toMatchObject({ changed: true });
    expect(await slotCounts(4)).toEqual(targetShares(4));
    expect(await keysLost()).toBe(0);
    expect(String(await killer.command('CLUSTER', 'INFO'))).toContain('cluster_slots_ok:16384');
    expect(String(await killer.command('CLUSTER', 'NODES'))).not.toContain('[');
    expect(await grow(4)).toMatchObject({ changed: false });
  });

  test('closes slots that are open though they are with their new owner', async () => {
    await using first = await redis.connect(0);
    await using second = await redis.connect(1);
    const id = async (connection: typeof first): Promise<string> => String(await connection.command('CLUSTER', 'MYID'));
    const slot = parseClusterNodes(String(await second.command('CLUSTER', 'NODES'))).find((node) => node.isMyself)
      ?.slots[0];
    await first.command('CLUSTER', 'SETSLOT', slot ?? 0, 'IMPORTING', await id(second));
    await second.command('CLUSTER', 'SETSLOT', slot ?? 0, 'MIGRATING', await id(first));
    expect(await grow(4)).toMatchObject({ changed: true, movedSlots: 1 });
    expect(String(await second.command('CLUSTER', 'NODES'))).not.toContain('[');
    expect(await keysLost()).toBe(0);
  });

  test('gives slots without an owner back', async () => {
    const connections = await Promise.all([0, 1, 2, 3].map((index) => redis.connect(index)));
    for (const connection of connections) {
      await connection.command('CLUSTER', 'DELSLOTS', 16_383).catch(() => undefined);
    }
    expect(await grow(4)).toMatchObject({ changed: true });
    await Promise.all(connections.map((connection) => connection.close()));
    expect((await slotCounts(4)).reduce((sum, slots) => sum + slots, 0)).toBe(16_384);
    expect(await keysLost()).toBe(0);
  });

  test('is not judged by some of its nodes', async () => {
    await expect(grow(1)).rejects.toMatchObject({ code: 'REDIS_CLUSTER_BROKEN' });
  });

  test('stops between batches where it is aborted', async () => {
    const stop = new AbortController();
    stop.abort();
    await using strangers = await startRedisNodes(folder.stack.model.service('redis-1').image, 2);
    const options = { nodes: strangers.nodes, username: 'default', password: strangers.password };
    await expect(ensureRedisCluster({ ...options, signal: stop.signal })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    expect(await ensureRedisCluster(options)).toMatchObject({ changed: true, nodes: 2 });
  });
});
