import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
import { connectRedis, type RedisOptions } from './redis.ts';

const password = new Secret(awkwardPassword);

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
    const impostor = cluster.nodes[2];
    await impostor?.exec(
      'export REDISCLI_AUTH="$PASSWORD"; redis-cli --no-auth-warning config set cluster-announce-hostname redis-2',
      { env: { PASSWORD: awkwardPassword } },
    );
    try {
      const reached = async (): Promise<unknown[]> => {
        await using connection = await connectRedis(options());
        const results = await Promise.allSettled(
          Array.from({ length: 30 }, async (_, n) => connection.command('GET', `key-${String(n)}`)),
        );
        return [...new Set(results.map(({ status }) => status))];
      };
      // Gossip takes a moment to tell the first node.
      await expect
        .poll(() => reached().catch((error: unknown) => [error]), { timeout: 15_000 })
        .not.toEqual(['fulfilled']);
    } finally {
      await impostor?.exec(
        'export REDISCLI_AUTH="$PASSWORD"; redis-cli --no-auth-warning config set cluster-announce-hostname redis-3',
        { env: { PASSWORD: awkwardPassword } },
      );
    }
  });
});
