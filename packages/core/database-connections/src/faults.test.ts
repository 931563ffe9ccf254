import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { describe, expect, it } from 'vitest';
import { freePort, halfOpenServer, hangingUpServer, talkingServer } from '../test/faulty-servers.ts';
import { connectAmqp } from './amqp.ts';
import { connectMongo } from './mongo.ts';
import { connectMysql } from './mysql.ts';
import type { Connection, ConnectionOptions } from './options.ts';
import { connectPostgres } from './postgres.ts';
import { connectRedis } from './redis.ts';

const engines: readonly (readonly [string, (options: ConnectionOptions) => Promise<Connection>])[] = [
  ['PostgreSQL', connectPostgres],
  ['MySQL', connectMysql],
  ['MongoDB', connectMongo],
  ['Redis', connectRedis],
  ['Redis cluster', async (options) => connectRedis({ ...options, cluster: true })],
  ['RabbitMQ', connectAmqp],
];

const secretText = 'pass word "quoted" \\ $x %41 zoë';
const options = (port: number, more: Partial<ConnectionOptions> = {}): ConnectionOptions => ({
  host: '127.0.0.1',
  port,
  username: 'someone',
  password: new Secret(secretText),
  connectTimeoutMs: 3000,
  ...more,
});

async function failureOf(connecting: Promise<Connection>): Promise<Record<string, unknown>> {
  const error: unknown = await connecting.then(
    () => new Error('it connected'),
    (reason: unknown) => reason,
  );
  expect(inspect(error, { depth: 12, showHidden: true })).not.toContain('pass word');
  expect(JSON.stringify(error)).not.toContain('pass word');
  if ((error as { code?: unknown }).code !== 'INTERRUPTED') expect(error).not.toHaveProperty('cause');
  return error as Record<string, unknown>;
}

describe.each(engines)('a connection to %s', (engine, connect) => {
  it('names engine, address and user when nothing listens', async () => {
    const port = await freePort();
    const error = await failureOf(connect(options(port)));
    expect(error).toMatchObject({
      code: 'CONNECTION_REFUSED',
      message: expect.stringContaining(
        `${engine} at 127.0.0.1:${String(port)} cannot be reached (user "someone")`,
      ) as string,
      hint: expect.any(String) as string,
      details: { engine, host: '127.0.0.1', port, username: 'someone' },
    });
  });

  it('tells an unknown host', async () => {
    expect(await failureOf(connect(options(5432, { host: 'no-such-host.invalid' })))).toMatchObject({
      code: 'HOST_UNKNOWN',
    });
  });

  it('gives up on a server that accepts and never answers, and hangs up', async () => {
    await using server = await halfOpenServer();
    expect(await failureOf(connect(options(server.port, { connectTimeoutMs: 150 })))).toMatchObject({
      code: 'CONNECTION_TIMED_OUT',
    });
    await expect.poll(server.connections, { timeout: 4000 }).toBe(0);
  });

  it('stops when the signal is aborted, and hangs up', async () => {
    await using server = await halfOpenServer();
    const stop = new AbortController();
    const connecting = connect(options(server.port, { signal: stop.signal }));
    setTimeout(() => {
      stop.abort();
    }, 100);
    expect(await failureOf(connecting)).toMatchObject({ code: 'INTERRUPTED' });
    await expect.poll(server.connections, { timeout: 4000 }).toBe(0);
  });

  it('does not begin when the signal is aborted already', async () => {
    expect(await failureOf(connect(options(1, { signal: AbortSignal.abort() })))).toMatchObject({
      code: 'INTERRUPTED',
    });
  });

  it('says when the server hangs up', async () => {
    await using server = await hangingUpServer();
    const error = await failureOf(connect(options(server.port, { connectTimeoutMs: 400 })));
    // A MySQL client waits for the server to speak first.
    expect(error['code']).toBe(engine === 'MySQL' ? 'CONNECTION_TIMED_OUT' : 'CONNECTION_LOST');
  });

  it.each([
    ['HTTP', '', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'],
    ['Redis', '', '-ERR unknown command\r\n'],
    ['SSH', 'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n', ''],
    ['AMQP', '', 'AMQP\0\0\x09\x01'],
  ])('fails in time when another protocol (%s) answers', async (other, greeting, reply) => {
    if (other === engine.split(' ')[0] || (other === 'AMQP' && engine === 'RabbitMQ')) return;
    await using server = await talkingServer(greeting, reply);
    const error = await failureOf(connect(options(server.port, { connectTimeoutMs: 400 })));
    expect(error['code']).toMatch(
      /^(?:PROTOCOL_MISMATCH|CONNECTION_LOST|CONNECTION_TIMED_OUT|DATABASE_ERROR|AUTHENTICATION_FAILED)$/,
    );
    await expect.poll(server.connections, { timeout: 4000 }).toBe(0);
  });

  it('fails in time when TLS is asked of a server that has none', async () => {
    await using server = await talkingServer('', 'no\n');
    const error = await failureOf(connect(options(server.port, { connectTimeoutMs: 400, tls: {} })));
    expect(error['code']).toMatch(/^(?:TLS_FAILED|PROTOCOL_MISMATCH|CONNECTION_LOST|CONNECTION_TIMED_OUT)$/);
  });
});
