import { setTimeout as pause } from 'node:timers/promises';
import tls from 'node:tls';
import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  makeCertificates,
  makeCertificatesFor,
  startRedis,
  startRedisCluster,
  type Engine,
  type RedisClusterEngine,
  type TestCertificates,
} from '../test/engines.ts';
import { awkwardPassword } from '../test/passwords.ts';
import { connectRedis, type RedisConnection, type RedisOptions } from './redis.ts';

const password = new Secret(awkwardPassword);
const cli = 'export REDISCLI_AUTH="$PASSWORD"; redis-cli --no-auth-warning';

describe('Redis', () => {
  let engine: Engine;
  let certificates: TestCertificates;
  let options: RedisOptions;

  beforeAll(async () => {
    certificates = await makeCertificates();
    engine = await startRedis(awkwardPassword, { tls: certificates });
    options = { host: '127.0.0.1', port: engine.port(6379), password };
  });
  afterAll(async () => engine[Symbol.asyncDispose]());

  it('sends commands and gives replies in the shapes of RESP2', async () => {
    await using connection = await connectRedis(options);
    expect(await connection.command('SET', 'key', new Secret('välue'))).toBe('OK');
    expect(await connection.command('GET', 'key')).toBe('välue');
    expect(await connection.command('HSET', 'hash', 'a', 1, 'b', new Uint8Array([50]))).toBe(2);
    expect(await connection.command('HGETALL', 'hash')).toEqual(['a', '1', 'b', '2']);
    expect(await connection.command('GET', 'nothing')).toBeNull();
    const key = new Uint8Array([0, 255, 254]);
    await connection.command('RPUSH', key, new Uint8Array([255]), 'text');
    expect(await connection.commandBytes('LRANGE', key, 0, -1)).toEqual([Buffer.from([255]), Buffer.from('text')]);
  });

  it('refuses a wrong password without repeating it', async () => {
    const error: unknown = await connectRedis({ ...options, password: new Secret('a wrong one') }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'AUTHENTICATION_FAILED',
      details: { serverCode: 'WRONGPASS' },
    });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('a wrong one');
  });

  it('masks a secret that the server repeats', async () => {
    await using connection = await connectRedis(options);
    const error: unknown = await connection
      .command('NOSUCHCOMMAND', new Secret('quite-a-secret'))
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'DATABASE_ERROR', details: { serverCode: 'ERR' } });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('quite-a-secret');
  });

  it('verifies the certificate against the given authority', async () => {
    await using connection = await connectRedis({
      ...options,
      host: 'localhost',
      port: engine.port(6380),
      tls: { ca: certificates.ca },
    });
    expect(await connection.command('PING')).toBe('PONG');
  });

  it.each([
    ['an unknown authority', {}],
    ['a name that the certificate has not', { servername: 'elsewhere.example' }],
  ])('refuses %s', async (_what, change) => {
    const tls = 'servername' in change ? { ca: certificates.ca, ...change } : change;
    await expect(connectRedis({ ...options, port: engine.port(6380), tls })).rejects.toMatchObject({
      code: 'TLS_FAILED',
    });
  });

  it('says that a server does not offer TLS', async () => {
    await expect(
      connectRedis({ ...options, tls: { ca: certificates.ca }, connectTimeoutMs: 500 }),
    ).rejects.toMatchObject({
      code: expect.stringMatching(/TLS_FAILED|CONNECTION_LOST|CONNECTION_TIMED_OUT/) as string,
    });
  });

  it('ends a command when the signal is aborted, or its limit is reached', async () => {
    const stop = new AbortController();
    const connection = await connectRedis({ ...options, signal: stop.signal });
    const command = connection.command('BLPOP', 'empty', 30);
    stop.abort();
    await expect(command).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await connection.close();
    await using limited = await connectRedis({ ...options, commandTimeoutMs: 100 });
    await expect(limited.command('BLPOP', 'empty', 30)).rejects.toMatchObject({ code: 'CONNECTION_TIMED_OUT' });
  });

  it('says when the server has ended the connection', async () => {
    await using connection = await connectRedis(options);
    await using other = await connectRedis(options);
    await other.command('CLIENT', 'KILL', 'ID', String(await connection.command('CLIENT', 'ID')));
    await expect(connection.command('PING')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });
});

describe('Redis cluster', () => {
  let cluster: RedisClusterEngine;

  beforeAll(async () => {
    cluster = await startRedisCluster(awkwardPassword);
  });
  afterAll(async () => cluster[Symbol.asyncDispose]());

  const options = (node = 0): RedisOptions => ({
    host: '127.0.0.1',
    port: cluster.nodes[node]?.port(6379) ?? 0,
    password,
    cluster: true,
    natMap: cluster.natMap,
  });

  it('reaches every node through its published port', async () => {
    await using connection = await connectRedis(options());
    for (let n = 0; n < 30; n += 1) await connection.command('SET', `key-${String(n)}`, n);
    const values = await Promise.all(
      Array.from({ length: 30 }, async (_, n) => connection.command('GET', `key-${String(n)}`)),
    );
    expect(values).toEqual(Array.from({ length: 30 }, (_, n) => String(n)));
    const sizes: number[] = [];
    for (const node of cluster.nodes) {
      await using single = await connectRedis({ host: '127.0.0.1', port: node.port(6379), password });
      sizes.push(Number(await single.command('DBSIZE')));
    }
    expect(sizes.every((size) => size > 0)).toBe(true);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(30);
  });

  it('refuses a wrong password without repeating it', async () => {
    const error: unknown = await connectRedis({ ...options(), password: new Secret('a wrong one') }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('a wrong one');
  });

  it('says when no node can be reached', async () => {
    await expect(connectRedis({ ...options(), port: 1 })).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
  });

  it('asks another node when the first is down', async () => {
    await using connection = await connectRedis({
      ...options(),
      port: 1,
      nodes: [{ host: '127.0.0.1', port: cluster.nodes[1]?.port(6379) ?? 0 }],
    });
    expect(await connection.command('SET', 'again', 'yes')).toBe('OK');
  });

  describe('whose first node hands a slot to the second', () => {
    const single = async (node: number): Promise<RedisConnection> =>
      connectRedis({ host: '127.0.0.1', port: cluster.nodes[node]?.port(6379) ?? 0, password });
    const own = async (node: number, slot: unknown): Promise<void> => {
      await using second = await single(1);
      const id = String(await second.command('CLUSTER', 'MYID'));
      await using told = await single(node);
      await told.command('CLUSTER', 'SETSLOT', Number(slot), 'NODE', id);
    };
    const redirections = async (): Promise<number> => {
      const counts = cluster.nodes.map(async (_node, index) => {
        await using connection = await single(index);
        const text = String(await connection.command('INFO', 'errorstats'));
        return Number(/errorstat_MOVED:count=(\d+)/.exec(text)?.[1] ?? 0);
      });
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    };
    const tooOften = {
      code: 'DATABASE_ERROR',
      message: expect.stringContaining('Too many Cluster redirections') as string,
    };

    it('is redirected once for each command that was sent to the old owner', async () => {
      await using connection = await connectRedis(options());
      const slot = await connection.command('CLUSTER', 'KEYSLOT', '{b}');
      expect(slot).toBeLessThan(5461);
      for (const node of [1, 0, 2]) await own(node, slot);
      const before = await redirections();
      const replies = await Promise.all(
        Array.from({ length: 200 }, async (_, n) => connection.command('SET', `{b}${String(n)}`, n)),
      );
      expect(new Set(replies)).toEqual(new Set(['OK']));
      expect((await redirections()) - before).toBe(200);
    });

    it('waits until both agree on the owner, within its limits', async () => {
      const stop = new AbortController();
      await using connection = await connectRedis(options());
      await using limited = await connectRedis({ ...options(), commandTimeoutMs: 300 });
      await using stopped = await connectRedis({ ...options(), signal: stop.signal });
      const slot = await connection.command('CLUSTER', 'KEYSLOT', '{f}');
      expect(slot).toBeLessThan(5461);
      // Now the first sends to the second, and the second to the first.
      await own(0, slot);
      const start = performance.now();
      await expect(connection.command('SET', '{f}', 'too early')).rejects.toMatchObject(tooOften);
      expect(performance.now() - start).toBeGreaterThan(2000);
      await expect(limited.command('SET', '{f}', 'too early')).rejects.toMatchObject({ code: 'CONNECTION_TIMED_OUT' });
      const waiting = stopped.command('SET', '{f}', 'too early');
      stop.abort();
      await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
      const patient = connection.command('SET', '{f}', 'in time');
      await pause(500);
      await own(1, slot);
      expect(await patient).toBe('OK');
      expect(await connection.command('GET', '{f}')).toBe('in time');
      await own(2, slot);
    });
  });
});

describe('Redis cluster with TLS', () => {
  const names = ['redis-1', 'redis-2', 'redis-3'];
  let cluster: RedisClusterEngine;
  let certificates: readonly TestCertificates[];

  beforeAll(async () => {
    certificates = await makeCertificatesFor(names.map((name) => `DNS:${name}`));
    cluster = await startRedisCluster(awkwardPassword, { tls: certificates });
  });
  afterAll(async () => cluster[Symbol.asyncDispose]());

  const options = (change: Partial<RedisOptions> = {}): RedisOptions => ({
    host: '127.0.0.1',
    port: cluster.nodes[0]?.port(6380) ?? 0,
    password,
    cluster: true,
    natMap: cluster.natMapTls,
    tls: { ca: certificates[0]?.ca ?? '', servername: 'redis-1' },
    ...change,
  });

  it('verifies every node by the name that it announces', async () => {
    await using connection = await connectRedis(options());
    for (let n = 0; n < 30; n += 1) await connection.command('SET', `key-${String(n)}`, n);
    const values = await Promise.all(
      Array.from({ length: 30 }, async (_, n) => connection.command('GET', `key-${String(n)}`)),
    );
    expect(values).toEqual(Array.from({ length: 30 }, (_, n) => String(n)));
    const sizes: number[] = [];
    for (const [index, node] of cluster.nodes.entries()) {
      const tls = { ca: certificates[0]?.ca ?? '', servername: names[index] ?? '' };
      await using single = await connectRedis({ host: '127.0.0.1', port: node.port(6380), password, tls });
      sizes.push(Number(await single.command('DBSIZE')));
    }
    expect(sizes.every((size) => size > 0)).toBe(true);
  });

  it('verifies the first node by the name that it is expected to have', async () => {
    const tls = { ca: certificates[0]?.ca ?? '', servername: 'redis-2' };
    await expect(connectRedis(options({ tls }))).rejects.toMatchObject({ code: 'TLS_FAILED' });
  });

  it('refuses an unknown authority', async () => {
    await expect(connectRedis(options({ tls: { servername: 'redis-1' } }))).rejects.toMatchObject({
      code: 'TLS_FAILED',
    });
  });

  it('asks another node by its own name when the first is down', async () => {
    // By address, which no certificate holds: refused. Nothing is taken on trust for being in the list.
    const node = { host: '127.0.0.1', port: cluster.nodes[1]?.port(6380) ?? 0 };
    await expect(connectRedis(options({ port: 1, nodes: [node] }))).rejects.toMatchObject({
      code: 'CONNECTION_REFUSED',
    });
  });

  it('refuses a node whose certificate is not for the name that it announces', async () => {
    const announce = async (name: string): Promise<unknown> =>
      cluster.nodes[2]?.exec(`${cli} config set cluster-announce-hostname ${name}`, {
        env: { PASSWORD: awkwardPassword },
      });
    const read = async (): Promise<unknown> => {
      await using connection = await connectRedis(options());
      return await Promise.all(
        Array.from({ length: 30 }, async (_, n) => connection.command('GET', `key-${String(n)}`)),
      );
    };
    const outcome = async (): Promise<unknown> => {
      try {
        await read();
        return 'answered by all nodes';
      } catch (error) {
        return error;
      }
    };
    const accepted: { expected: string; shown: string }[] = [];
    const { connect } = tls;
    const watched = (to: tls.ConnectionOptions): tls.TLSSocket => {
      const socket = connect(to);
      socket.once('secureConnect', () => {
        accepted.push({
          expected: `DNS:${to.servername ?? ''}`,
          shown: socket.getPeerCertificate().subjectaltname ?? '',
        });
      });
      return socket;
    };
    const spy = vi.spyOn(tls, 'connect').mockImplementation(watched as typeof tls.connect);
    try {
      expect(await outcome()).toBe('answered by all nodes');
      expect(accepted).toContainEqual({ expected: 'DNS:redis-3', shown: 'DNS:redis-3' });
      await announce('redis-2');
      // Gossip takes a moment to tell the first node; until then the third is known by the name that it proves.
      await expect.poll(outcome, { timeout: 15_000 }).toMatchObject({
        code: 'TLS_FAILED',
        message: expect.stringContaining("Host: redis-2. is not in the cert's altnames: DNS:redis-3") as string,
      });
      await announce('redis-3');
      await expect.poll(outcome, { timeout: 15_000 }).toBe('answered by all nodes');
      expect(accepted.filter(({ expected, shown }) => expected !== shown)).toEqual([]);
    } finally {
      spy.mockRestore();
      await announce('redis-3');
    }
  });
});
