import { randomBytes } from 'node:crypto';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watchProcesses } from '../../test/canary.ts';
import { chunked, dumpAll, first, type DumpedPart } from '../../test/parts.ts';
import { startRedisNodes, type RedisNodes } from '../../test/redis-nodes.ts';
import { compareFingerprints, serializeFingerprint } from '../fingerprint.ts';
import { sweepThrowaways } from '../throwaway.ts';
import type { Fingerprint } from '../types.ts';
import { redisAdapter } from './redis-adapter.ts';
import type { RedisPlace } from './redis-place.ts';
import { slotOf } from './slots.ts';

const labels = { 'io.devstack.test': `redis-${randomBytes(4).toString('hex')}` };
const password = `canary "'\\ ${randomBytes(12).toString('hex')} é`;
const thirds = [
  [0, 5460],
  [5461, 10_922],
  [10_923, 16_383],
];
let docker: DockerEngine;
let source: RedisNodes;
let parts: readonly DumpedPart[];

beforeAll(async () => {
  docker = await connectDocker();
  source = await startRedisNodes({ docker, labels, password, slots: thirds });
  await fill(source);
  await using watch = watchProcesses(password);
  parts = await dumpAll(redisAdapter, source.place);
  expect(watch.stop()).toMatchObject({ found: [] });
});

afterAll(async () => {
  await source[Symbol.asyncDispose]();
  expect(await docker.listContainers({ all: true, labels })).toEqual([]);
  await docker[Symbol.asyncDispose]();
});

const later = 4_102_444_800_000;
const many = 500;

async function fill({ write, connections }: RedisNodes): Promise<void> {
  const binary = new Uint8Array([0, 255, 254, 10, 13, 123]);
  await write(binary, 'SET', binary);
  await write('日本 ключ', 'SET', 'ünïcode');
  await write('{tag}a', 'SET', '1');
  await write('{tag}b', 'SET', '2');
  await write('number', 'SET', 42);
  await write('long string', 'SET', 'abc'.repeat(100_000));
  await write('random string', 'SET', randomBytes(3_000_000));
  await write('expiring', 'SET', 'x', 'PXAT', later);
  await write('expiring soon', 'SET', 'x', 'EX', 100);
  await write('bitmap', 'SETBIT', 1_000_003, 1);
  await write('counted', 'PFADD', 'a', 'b', 'c');
  await write('list', 'RPUSH', ...Array.from({ length: 2000 }, (_, index) => `element ${String(index)}`));
  await write('short list', 'RPUSH', 'a', 1, 'x'.repeat(9000));
  await write('numbers', 'SADD', 3, 1, 2, -70_000, '9000000000');
  await write('words', 'SADD', ...Array.from({ length: 1000 }, (_, index) => `word ${String(index)}`));
  await write('short words', 'SADD', 'a', 'b');
  await write(
    'scores',
    'ZADD',
    ...Array.from({ length: 300 }, (_, index) => [index / 7, `member ${String(index)}`]).flat(),
  );
  await write('short scores', 'ZADD', '-inf', 'low', 'inf', 'high', '3.141592653589793', 'pi');
  await write('hash', 'HSET', ...Array.from({ length: 100 }, (_, index) => [`field ${String(index)}`, index]).flat());
  await write('short hash', 'HSET', 'a', 1, 'b', 'x');
  await write('plain hash', 'HSET', 'a', 1, 'b', 'x');
  await write('hash', 'HPEXPIREAT', later, 'FIELDS', 1, 'field 7');
  await write('short hash', 'HPEXPIREAT', later + 1, 'FIELDS', 1, 'b');
  await Promise.all(
    Array.from({ length: 300 }, (_, index) => write('stream', 'XADD', `${String(index + 1)}-1`, 'n', index, 'm', 'x')),
  );
  await write('stream', 'XDEL', '7-1');
  const owner =
    connections[
      thirds.findIndex(
        ([from = 0, to = 0]) => from <= slotOf(Buffer.from('stream')) && slotOf(Buffer.from('stream')) <= to,
      )
    ];
  if (owner === undefined) throw new Error('nobody holds the stream');
  await owner.command('XGROUP', 'CREATE', 'stream', 'readers', '0');
  await owner.command('XREADGROUP', 'GROUP', 'readers', 'one', 'COUNT', 5, 'STREAMS', 'stream', '>');
  await owner.command('XREADGROUP', 'GROUP', 'readers', 'two', 'COUNT', 5, 'STREAMS', 'stream', '>');
  await owner.command('XACK', 'stream', 'readers', '1-1');
  await Promise.all(
    Array.from({ length: many }, (_, index) => write(`key:${String(index)}`, 'SET', `value ${String(index)}`)),
  );
  for (const connection of connections)
    await connection.command(
      'FUNCTION',
      'LOAD',
      "#!lua name=mylib\nredis.register_function('hi', function() return 'hi' end)",
    );
}

// The engine's own digests of every value, by key: what we compute must not be the only witness.
async function engineDigests({ connections }: Pick<RedisNodes, 'connections'>): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const connection of connections) {
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, keys] = (await connection.commandBytes('SCAN', cursor, 'COUNT', 1000)) as [Buffer, Buffer[]];
      cursor = next.toString();
      await Promise.all(
        keys.map(async (key) => {
          const [digest] = (await connection.command('DEBUG', 'DIGEST-VALUE', key)) as string[];
          const expires = String(await connection.command('PEXPIRETIME', key));
          digests.set(key.toString('latin1'), `${digest ?? ''} ${expires}`);
        }),
      );
    }
  }
  return digests;
}

async function restoreAll(place: RedisPlace, dumped: readonly DumpedPart[] = parts): Promise<void> {
  for (const { stored, bytes } of dumped) await redisAdapter.restore(place, stored, chunked(bytes));
}

async function differences(place: RedisPlace, dumped: readonly DumpedPart[] = parts): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { stored, fingerprint } of dumped) {
    const actual = await redisAdapter.fingerprint(place, stored);
    for (const { kind, name, problem } of compareFingerprints(fingerprint, actual))
      found.push(`${problem}: ${kind} ${name}`);
  }
  return found;
}

describe('a Redis cluster', { timeout: 240_000 }, () => {
  it('is dumped node by node, exactly, and leaves no file', async () => {
    expect(parts.map(({ stored }) => stored.name)).toEqual(['slots 0-5460', 'slots 5461-10922', 'slots 10923-16383']);
    for (const { stored } of parts)
      expect(stored).toMatchObject({
        kind: 'redis-keys',
        extension: 'rdb',
        consistency: 'exact',
        engine: { name: 'redis' },
      });
    const { stdout } = await docker.exec(source.container, ['sh', '-c', 'ls /tmp/700*']);
    expect(stdout).toContain('dump.rdb');
    expect(stdout).not.toContain('devstack-backup');
    const kinds = new Set(
      parts.flatMap(({ fingerprint }) => fingerprint.items.map((item) => item.name.split(' in ')[0])),
    );
    for (const kind of ['string', 'list', 'set', 'sorted set', 'hash', 'stream', 'mylib'])
      expect(kinds).toContain(kind);
    const keys = parts.flatMap(({ fingerprint }) => fingerprint.items.filter((item) => item.kind !== 'functions'));
    expect(keys.reduce((sum, item) => sum + item.count, 0)).toBe((await engineDigests(source)).size);
  });

  it('comes back into a throwaway of one node, with the same fingerprint and the engine’s own digests', async () => {
    const before = await engineDigests(source);
    await using place = await redisAdapter.throwaway({ docker, image: 'devstack/redis:local', labels });
    await using watch = watchProcesses(password);
    await restoreAll(place);
    expect(await differences(place)).toEqual([]);
    expect(await redisAdapter.check(place, first(parts).stored)).toEqual([]);
    // Loading anew changes nothing either.
    expect(await differences(place)).toEqual([]);
    const { connectRedis } = await import('@devstack-core/database-connections');
    await using connection = await connectRedis({ ...first(place.nodes).connect, password: new Secret('') });
    expect(await engineDigests({ connections: [connection] })).toEqual(before);
    expect(await connection.command('FCALL', 'hi', 0)).toBe('hi');
    const owners: unknown = [
      ['one', '4'],
      ['two', '5'],
    ];
    expect(await connection.command('XPENDING', 'stream', 'readers')).toEqual([9, '2-1', '11-1', owners]);
    expect(watch.stop().found).toEqual([]);
    const inspected = await docker.inspectContainer(first(place.nodes).container);
    expect(inspected.raw).toMatchObject({ HostConfig: { NetworkMode: 'none', CapDrop: ['ALL'], PidsLimit: 256 } });
  });

  it('comes back into another topology, and a repeated restore has to be allowed to replace', async () => {
    await using other = await startRedisNodes({
      docker,
      labels,
      password,
      slots: [
        [0, 99, 8000, 16_383],
        [100, 7999],
      ],
    });
    await restoreAll(other.place);
    expect(await differences(other.place)).toEqual([]);
    expect(await engineDigests(other)).toEqual(await engineDigests(source));

    const [part] = parts;
    if (part === undefined) throw new Error('there is no part');
    await expect(redisAdapter.restore(other.place, part.stored, chunked(part.bytes))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('are there already') as unknown,
    });
    await other.write('{tag}new', 'SET', 'should go');
    await other.write(new Uint8Array([255, 0]), 'SET', 'should go');
    for (const { stored, bytes } of parts)
      await redisAdapter.restore(other.place, stored, chunked(bytes), { replace: true });
    expect(await differences(other.place)).toEqual([]);
    expect((await engineDigests(other)).size).toBe((await engineDigests(source)).size);

    // A second dump, of another topology, says the same of the same keys.
    const again = await dumpAll(redisAdapter, other.place);
    expect(again.map(({ stored }) => stored.name)).toEqual(['slots 0-99,8000-16383', 'slots 100-7999']);
    await using third = await redisAdapter.throwaway({ docker, image: 'devstack/redis:local', labels });
    await restoreAll(third, again);
    expect(await differences(third)).toEqual([]);
  });

  it('that is not the same is reported, whatever is not the same', async () => {
    await using other = await startRedisNodes({ docker, labels, password, slots: [[0, 16_383]] });
    await restoreAll(other.place);
    const [connection] = other.connections;
    if (connection === undefined) throw new Error('there is no node');
    const changes: Readonly<Record<string, readonly [(string | number)[], (string | number)[]]>> = {
      'content: keys string': [
        ['SET', 'key:7', 'value 8'],
        ['SET', 'key:7', 'value 7'],
      ],
      'count: keys string': [
        ['DEL', 'key:8'],
        ['SET', 'key:8', 'value 8'],
      ],
      'content: keys list': [
        ['LSET', 'list', 1000, 'other'],
        ['LSET', 'list', 1000, 'element 1000'],
      ],
      'content: keys set': [
        ['EVAL', "redis.call('SREM', KEYS[1], 'word 5') redis.call('SADD', KEYS[1], 'word X')", 1, 'words'],
        ['EVAL', "redis.call('SREM', KEYS[1], 'word X') redis.call('SADD', KEYS[1], 'word 5')", 1, 'words'],
      ],
      'content: keys sorted set': [
        ['ZINCRBY', 'scores', 1, 'member 5'],
        ['ZADD', 'scores', 5 / 7, 'member 5'],
      ],
      'content: expiring keys': [
        ['HSET', 'hash', 'field 5', 'other'],
        ['HSET', 'hash', 'field 5', 5],
      ],
      'content: keys stream': [['XACK', 'stream', 'readers', '2-1'], ['PING']],
      'missing: functions': [
        ['FUNCTION', 'DELETE', 'mylib'],
        ['FUNCTION', 'LOAD', "#!lua name=mylib\nredis.register_function('hi', function() return 'hi' end)"],
      ],
    };
    for (const [expected, [change, back]] of Object.entries(changes)) {
      const [name = '', ...parameters] = change;
      await connection.command(String(name), ...parameters);
      expect(
        (await differences(other.place)).some((text) => text.startsWith(expected)),
        expected,
      ).toBe(true);
      const [undo = '', ...rest] = back;
      await connection.command(String(undo), ...rest);
    }
    await connection.command('PEXPIREAT', 'expiring', later + 1);
    expect(await differences(other.place)).toContain('content: expiring keys after a year');
  });

  it('is not dumped while slots move, or by half of its nodes, and not restored from half a file', async () => {
    await expect(
      dumpAll(redisAdapter, { ...source.place, nodes: source.place.nodes.slice(0, 2) }),
    ).rejects.toMatchObject({
      code: 'DUMP_FAILED',
      message: expect.stringContaining('10923-16383') as unknown,
    });
    const [one, two] = source.connections;
    if (one === undefined || two === undefined) throw new Error('there are no nodes');
    await one.command('CLUSTER', 'SETSLOT', 5, 'MIGRATING', String(await two.command('CLUSTER', 'MYID')));
    await expect(dumpAll(redisAdapter, source.place)).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    await one.command('CLUSTER', 'SETSLOT', 5, 'STABLE');

    await using place = await redisAdapter.throwaway({ docker, image: 'devstack/redis:local', labels });
    const { stored, bytes } = first(parts);
    await expect(
      redisAdapter.restore(place, stored, chunked(bytes.subarray(0, bytes.length >> 1))),
    ).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('before its end mark') as unknown,
    });
    await expect(
      redisAdapter.restore(place, { ...stored, engine: { ...stored.engine, name: 'mongodb' } }, chunked(bytes)),
    ).rejects.toMatchObject({ code: 'ENGINE_MISMATCH' });
    const wrong = { ...source.place, password: new Secret('wrong') };
    await expect(dumpAll(redisAdapter, wrong)).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    await expect(
      redisAdapter.restore(place, stored, chunked(bytes), { replace: true, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it('that loses its data folder midway makes no backup, and files of killed runs are swept', async () => {
    await docker.exec(source.container, ['touch', '/tmp/7001/devstack-backup-killed.rdb']);
    const broken = async (): Promise<void> => {
      for await (const part of redisAdapter.open(source.place)) {
        await part.fingerprint();
        await docker.exec(source.container, ['sh', '-c', 'rm /tmp/700*/devstack-backup-*.rdb']);
        for await (const _chunk of part.content());
      }
    };
    await expect(broken()).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    expect((await docker.exec(source.container, ['sh', '-c', 'ls /tmp/700*'])).stdout).not.toContain('devstack-backup');
  });
});

describe('a single Redis server', { timeout: 240_000 }, () => {
  it('with several databases, or none with keys, comes back into another one, and not into a cluster', async () => {
    await using one = await startRedisNodes({ docker, labels, password });
    await using two = await startRedisNodes({ docker, labels, password });
    const empty = await dumpAll(redisAdapter, one.place);
    await restoreAll(two.place, empty);
    expect(await differences(two.place, empty)).toEqual([]);
    expect(first(empty).fingerprint.items).toEqual([]);

    const connection = first(one.connections);
    await connection.command('SET', 'a', '1');
    await connection.command('SELECT', 3);
    await connection.command('SET', 'a', '3');
    await connection.command('SELECT', 0);
    const full = await dumpAll(redisAdapter, one.place);
    expect(first(full).stored).toMatchObject({ name: 'keys', metadata: { cluster: false } });
    await restoreAll(two.place, full);
    expect(await differences(two.place, full)).toEqual([]);
    expect(await redisAdapter.check(two.place, first(full).stored)).toEqual([]);
    expect(serialized(full)).not.toBe(serialized(empty));
    await expect(restoreAll(two.place, full)).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await redisAdapter.restore(two.place, first(full).stored, chunked(first(full).bytes), { replace: true });
    expect(await differences(two.place, full)).toEqual([]);

    await using cluster = await redisAdapter.throwaway({ docker, image: 'devstack/redis:local', labels });
    await expect(restoreAll(cluster, full)).rejects.toMatchObject({
      message: expect.stringContaining('database 3') as unknown,
    });
    await expect(
      dumpAll(redisAdapter, { ...one.place, nodes: [...one.place.nodes, ...two.place.nodes] }),
    ).rejects.toMatchObject({ code: 'PLACE_UNUSABLE' });
    expect(await sweepThrowaways(docker, labels)).toEqual([]);
  });
});

function serialized(dumped: readonly { readonly fingerprint: Fingerprint }[]): string {
  return dumped.map(({ fingerprint }) => serializeFingerprint(fingerprint)).join('');
}
