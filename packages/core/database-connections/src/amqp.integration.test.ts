import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRabbitmq, type Engine } from '../test/engines.ts';
import { awkwardPassword } from '../test/passwords.ts';
import { connectAmqp, type AmqpOptions } from './amqp.ts';

const salt = Buffer.from('salt');
const definitions = JSON.stringify({
  users: [
    {
      name: 'devstack',
      password_hash: Buffer.concat([salt, createHash('sha256').update(salt).update(awkwardPassword).digest()]).toString(
        'base64',
      ),
      hashing_algorithm: 'rabbit_password_hashing_sha256',
      tags: [],
    },
  ],
  vhosts: [{ name: '/' }, { name: 'other/one' }],
  permissions: [{ user: 'devstack', vhost: '/', configure: '^(?!forbidden)', write: '.*', read: '.*' }],
});

describe('RabbitMQ', () => {
  let engine: Engine;
  let options: AmqpOptions;

  beforeAll(async () => {
    engine = await startRabbitmq(definitions);
    options = {
      host: '127.0.0.1',
      port: engine.port(5672),
      username: 'devstack',
      password: new Secret(awkwardPassword),
    };
  });
  afterAll(async () => engine[Symbol.asyncDispose]());

  it('sends a message round and tells what the broker is', async () => {
    await using connection = await connectAmqp(options);
    expect(connection.server).toMatchObject({ product: 'RabbitMQ' });
    expect(await connection.roundTrip()).toMatchObject({
      latencyMs: expect.any(Number) as number,
      queue: expect.stringContaining('amq.gen') as string,
    });
    expect(await connection.roundTrip('named', 2000)).toMatchObject({ queue: 'named' });
  });

  it('delivers, acknowledges, and puts back what a handler rejects', async () => {
    await using connection = await connectAmqp(options);
    await connection.declareQueue('work', { exclusive: true });
    await connection.publish({ routingKey: 'work', content: 'hällo', headers: { n: 1 } });
    const seen: unknown[] = [];
    const done = Promise.withResolvers<undefined>();
    const consumer = await connection.consume('work', ({ content, headers, redelivered }) => {
      seen.push([Buffer.from(content).toString(), headers['n'], redelivered]);
      if (seen.length === 1) throw new Error('not now');
      done.resolve(undefined);
    });
    await done.promise;
    await consumer.cancel();
    expect(seen).toEqual([
      ['hällo', 1, false],
      ['hällo', 1, true],
    ]);
    expect(await connection.declareQueue('work', { exclusive: true })).toMatchObject({ queue: 'work', consumers: 0 });
    await connection.deleteQueue('work');
  });

  it('refuses a wrong password without repeating it', async () => {
    const error: unknown = await connectAmqp({ ...options, password: new Secret('a wrong one') }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('a wrong one');
  });

  it.each(['nowhere', 'other/one'])('says that the virtual host %s is not for this user', async (vhost) => {
    await expect(connectAmqp({ ...options, vhost })).rejects.toMatchObject({
      code: 'DATABASE_ERROR',
      details: { serverCode: '530' },
    });
  });

  it('goes on after the broker has refused an operation', async () => {
    await using connection = await connectAmqp(options);
    await expect(connection.declareQueue('forbidden')).rejects.toMatchObject({
      code: 'DATABASE_ERROR',
      details: { serverCode: '403' },
    });
    await expect(connection.publish({ exchange: 'none', routingKey: 'x', content: 'x' })).rejects.toMatchObject({
      code: expect.stringMatching(/DATABASE_ERROR|CONNECTION_LOST/) as string,
    });
    expect(await connection.roundTrip()).toBeDefined();
  });

  it('ends what is running when the signal is aborted', async () => {
    const stop = new AbortController();
    const connection = await connectAmqp({ ...options, signal: stop.signal });
    stop.abort();
    await expect(connection.roundTrip()).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await connection.close();
  });

  it('says when the broker has ended the connection', async () => {
    await using connection = await connectAmqp(options);
    await engine.exec('HOME=/data RABBITMQ_NODENAME=rabbit@localhost rabbitmqctl close_all_connections test', {
      user: 'rabbitmq',
    });
    await expect
      .poll(async () =>
        connection
          .publish({ routingKey: 'x', content: 'x' })
          .catch((error: unknown) => (error as { code: string }).code),
      )
      .toBe('CONNECTION_LOST');
  });
});
