import { randomBytes } from 'node:crypto';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watchProcesses } from '../../test/canary.ts';
import { chunked, dumpAll, type DumpedPart } from '../../test/parts.ts';
import { compareFingerprints } from '../fingerprint.ts';
import type { Throwaway } from '../types.ts';
import { AmqpWriter } from './amqp-bytes.ts';
import { ManagementApi } from './management-api.ts';
import { rabbitmqAdapter } from './rabbitmq-adapter.ts';
import type { RabbitmqPlace } from './rabbitmq-place.ts';
import { openWire } from './read-messages.ts';

const labels = { 'io.devstack.test': `rabbitmq-${randomBytes(4).toString('hex')}` };
const image = 'devstack/rabbitmq:local';
const vhost = 'orders / ünï';
let docker: DockerEngine;
let source: Throwaway<RabbitmqPlace>;
let parts: readonly DumpedPart[];

// A header of every type, in widths that a driver would not choose by itself.
const headers = Buffer.concat([
  entry('string', 'S', new AmqpWriter().longString(Buffer.from('ünïcode'))),
  entry('short', 's', new AmqpWriter().short(1)),
  entry('int', 'I', new AmqpWriter().long(1)),
  entry('long', 'l', new AmqpWriter().raw(Buffer.from('7fffffffffffffff', 'hex'))),
  entry('double', 'd', new AmqpWriter().raw(Buffer.from('3ff0000000000000', 'hex'))),
  entry('float', 'f', new AmqpWriter().raw(Buffer.from('3f800000', 'hex'))),
  entry('decimal', 'D', new AmqpWriter().octet(2).long(314)),
  entry('time', 'T', new AmqpWriter().longlong(1_795_000_000)),
  entry('bool', 't', new AmqpWriter().octet(1)),
  entry('void', 'V', new AmqpWriter()),
  entry('bytes', 'x', new AmqpWriter().longString(Buffer.from([0, 255, 254]))),
  entry('table', 'F', new AmqpWriter().longString(entry('inner', 'b', new AmqpWriter().octet(7)))),
  entry('array', 'A', new AmqpWriter().longString(Buffer.from([0x62, 1, 0x62, 2]))),
]);
const everyProperty = new AmqpWriter()
  .short(0xfff8 & ~(1 << 8) & ~(1 << 4))
  .shortString('text/plain')
  .shortString('utf-8')
  .longString(headers)
  .octet(2)
  .octet(5)
  .shortString('correlation')
  .shortString('reply')
  .shortString('message-id')
  .longlong(1_795_000_000)
  .shortString('type')
  .shortString('app')
  .bytes();

function entry(name: string, type: string, value: AmqpWriter): Buffer {
  return new AmqpWriter().shortString(name).octet(type.charCodeAt(0)).raw(value.bytes()).bytes();
}

function plain({ priority, persistent = true }: { priority?: number; persistent?: boolean } = {}): Buffer {
  const flags = (1 << 12) | (priority === undefined ? 0 : 1 << 11);
  const writer = new AmqpWriter().short(flags).octet(persistent ? 2 : 1);
  return (priority === undefined ? writer : writer.octet(priority)).bytes();
}

beforeAll(async () => {
  docker = await connectDocker();
  source = await rabbitmqAdapter.throwaway({ docker, image, labels });
  await fill(source);
  await using watch = watchProcesses(source.password?.reveal() ?? 'none');
  parts = await dumpAll(rabbitmqAdapter, source);
  expect(watch.stop().found).toEqual([]);
}, 300_000);

afterAll(async () => {
  await source[Symbol.asyncDispose]();
  expect(await docker.listContainers({ all: true, labels })).toEqual([]);
  await docker[Symbol.asyncDispose]();
});

async function fill(place: RabbitmqPlace): Promise<void> {
  await using api = await ManagementApi.open(place, undefined);
  await api.ask('PUT', ['vhosts', vhost], {});
  const everything = { configure: '.*', write: '.*', read: '.*' };
  await api.ask('PUT', ['permissions', vhost, place.username], everything);
  await api.ask('PUT', ['users', 'app'], { password: 'app-password', tags: 'monitoring,policymaker' });
  await api.ask('PUT', ['permissions', vhost, 'app'], { configure: '^app\\.', write: '.*', read: '.*' });
  await api.ask('PUT', ['topic-permissions', vhost, 'app'], { exchange: 'events', write: '^a', read: '.*' });
  await api.ask('PUT', ['policies', vhost, 'short'], {
    pattern: '^short',
    definition: { 'message-ttl': 600_000 },
    priority: 1,
    'apply-to': 'queues',
  });
  const queue = async (name: string, body: object = {}): Promise<unknown> =>
    api.ask('PUT', ['queues', vhost, name], { durable: true, ...body });
  await queue('classic');
  await queue('priorities', { arguments: { 'x-max-priority': 10 } });
  await queue('quorum', { arguments: { 'x-queue-type': 'quorum' } });
  await queue('stream', { arguments: { 'x-queue-type': 'stream' } });
  await queue('short lived');
  await queue('copies');
  await queue('empty');
  await queue('dead');
  await queue('by headers');
  for (const [name, type] of [
    ['events', 'topic'],
    ['jobs', 'direct'],
    ['all', 'fanout'],
    ['match', 'headers'],
    ['second', 'topic'],
  ] as const)
    await api.ask('PUT', ['exchanges', vhost, name], {
      type,
      durable: true,
      arguments: name === 'jobs' ? { 'alternate-exchange': 'all' } : {},
    });
  const bind = async (exchange: string, target: string, key: string, more: object = {}): Promise<unknown> =>
    api.ask('POST', ['bindings', vhost, 'e', exchange, 'q', target], { routing_key: key, ...more });
  await bind('events', 'classic', 'order.*.created');
  await bind('events', 'quorum', '#');
  await bind('jobs', 'classic', 'job');
  await bind('jobs', 'dead', 'job');
  await bind('all', 'dead', '');
  await bind('match', 'by headers', '', { arguments: { 'x-match': 'any', color: 'red' } });
  await api.ask('POST', ['bindings', vhost, 'e', 'second', 'e', 'events'], { routing_key: 'order.#' });

  await using wire = await openWire(place, vhost, undefined);
  const { amqp } = wire;
  await amqp.openChannel();
  await amqp.confirmSelect();
  const send = async (
    exchange: string,
    routingKey: string,
    body: string | Buffer,
    properties = plain(),
  ): Promise<void> => amqp.publish({ exchange, routingKey, properties, body: Buffer.from(body) });
  for (let index = 0; index < 1000; index += 1)
    await send('', 'classic', `message ${String(index)}`, plain({ persistent: index % 2 === 0 }));
  await send('events', 'order.7.created', 'to classic and quorum', everyProperty);
  await send('second', 'order.8.created', 'over two exchanges');
  await send('events', 'other', Buffer.from([0, 255, 254]));
  await send('jobs', 'job', 'to classic and dead');
  await send('all', 'ignored', randomBytes(400_000));
  await send('', 'classic', '');
  for (let index = 0; index < 50; index += 1)
    await send('', 'priorities', `p ${String(index)}`, plain({ priority: index % 7 }));
  for (let index = 0; index < 300; index += 1) await send('', 'quorum', `q ${String(index)}`);
  await send('', 'stream', 'in a stream');
  await send('', 'short lived', 'expires');
  const red = entry('color', 'S', new AmqpWriter().longString(Buffer.from('red')));
  await send(
    'match',
    'none',
    'red',
    new AmqpWriter()
      .short(1 << 13)
      .longString(red)
      .bytes(),
  );
  const copy = entry(
    'CC',
    'A',
    new AmqpWriter().longString(new AmqpWriter().octet(0x53).longString(Buffer.from('copies')).bytes()),
  );
  await send(
    '',
    'empty',
    'with a copy',
    new AmqpWriter()
      .short(1 << 13)
      .longString(copy)
      .bytes(),
  );
  // As the user says who it is, which the broker checks.
  await send(
    '',
    'dead',
    'signed',
    new AmqpWriter()
      .short(1 << 4)
      .shortString('app')
      .bytes(),
  );
  await send(
    '',
    'dead',
    'expires by itself',
    new AmqpWriter()
      .short(1 << 8)
      .shortString('6000000')
      .bytes(),
  );
  await amqp.confirmed();
}

async function restoreAll(place: RabbitmqPlace, replace = false): Promise<void> {
  for (const { stored, bytes } of parts)
    await rabbitmqAdapter.restore(place, stored, chunked(bytes, 1000), { replace });
}

async function differences(place: RabbitmqPlace): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { stored, fingerprint } of parts) {
    const actual = await rabbitmqAdapter.fingerprint(place, stored);
    for (const { kind, name, problem } of compareFingerprints(fingerprint, actual))
      found.push(`${problem}: ${kind} ${name}`);
  }
  return found;
}

// The broker's own account of a queue, in its order: another reader than ours.
async function peek(place: RabbitmqPlace, queue: string): Promise<readonly unknown[]> {
  await using api = await ManagementApi.open(place, undefined);
  const list = (await api.ask('POST', ['queues', vhost, queue, 'get'], {
    count: 5000,
    ackmode: 'ack_requeue_true',
    encoding: 'base64',
  })) as readonly { exchange: string; routing_key: string; properties: Record<string, unknown>; payload: string }[];
  return list.map(({ exchange, routing_key, properties, payload }) => {
    const { headers: sent, ...rest } = properties;
    const { 'x-delivery-count': _count, ...kept } = (sent ?? {}) as Record<string, unknown>;
    return { exchange, routing_key, payload, ...rest, headers: kept };
  });
}

describe('RabbitMQ', { timeout: 300_000 }, () => {
  it('is dumped without taking a message away, and says what it leaves out', async () => {
    expect(parts.map(({ stored }) => [stored.kind, stored.consistency, stored.isSecret ?? false])).toEqual([
      ['rabbitmq-definitions', 'exact', true],
      ['rabbitmq-messages', 'exact', false],
    ]);
    expect(parts[1]?.stored.metadata).toMatchObject({
      messages: 1365,
      leftOut: [`${vhost}/stream (a stream)`],
      userIds: true,
    });
    const text = parts[0]?.bytes.toString() ?? '';
    expect(text).toContain('password_hash');
    expect(text).not.toContain('devstack-backup');
    // Again and again: nothing is lost, delivered to a dead letter queue, or put in another order.
    for (let round = 0; round < 3; round += 1) expect(await differences(source)).toEqual([]);
  });

  it('comes back into a throwaway with the same fingerprint, and the broker says the same of each message', async () => {
    await using place = await rabbitmqAdapter.throwaway({ docker, image, labels });
    await using watch = watchProcesses(place.password?.reveal() ?? 'none');
    await restoreAll(place);
    expect(await differences(place)).toEqual([]);
    for (const queue of ['classic', 'priorities', 'quorum', 'dead', 'by headers', 'short lived'])
      expect(await peek(place, queue), queue).toEqual(await peek(source, queue));
    for (const { stored } of parts) expect(await rabbitmqAdapter.check(place, stored)).toEqual([]);
    expect(watch.stop().found).toEqual([]);

    // Once more: refused unless told, and no message twice.
    await expect(restoreAll(place)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('replacing them was not allowed') as unknown,
    });
    await using api = await ManagementApi.open(place, undefined);
    await api.ask('PUT', ['queues', vhost, 'extra'], { durable: true });
    await api.ask('PUT', ['vhosts', 'extra'], {});
    await api.ask('PUT', ['users', 'extra'], { password: 'x', tags: '' });
    await api.ask('POST', ['bindings', vhost, 'e', 'all', 'q', 'empty'], { routing_key: 'extra' });
    await api.ask('DELETE', ['queues', vhost, 'priorities']);
    await api.ask('PUT', ['queues', vhost, 'priorities'], { durable: true });
    expect((await differences(place)).length).toBeGreaterThan(4);
    await restoreAll(place, true);
    expect(await differences(place)).toEqual([]);
  });

  it('with one message lost, changed, doubled or moved, or another definition, is reported', async () => {
    await using place = await rabbitmqAdapter.throwaway({ docker, image, labels });
    await restoreAll(place);
    const [definitions, messages] = parts;
    if (definitions === undefined || messages === undefined) throw new Error('there are no parts');
    const lines = messages.bytes.toString().split('\n');
    const line = lines.findIndex((text) => text.includes('"classic"'));
    const at = (index: number): string => lines[index] ?? '';
    const kept = (changed: readonly string[], count: number): Buffer =>
      Buffer.from(changed.join('\n').replace(/"messages":\d+/, `"messages":${String(count)}`));
    const cases: Readonly<Record<string, readonly [Buffer, string]>> = {
      lost: [kept(lines.toSpliced(line, 1), 1364), 'count: messages'],
      changed: [kept(lines.with(line, at(line).replace(/"body":"."?/, '"body":"A')), 1365), 'content: messages'],
      doubled: [kept(lines.toSpliced(line, 0, at(line)), 1366), 'count: messages'],
      moved: [kept(lines.with(line, at(line + 1)).with(line + 1, at(line)), 1365), 'content: order of messages'],
    };
    for (const [name, [bytes, expected]] of Object.entries(cases)) {
      await rabbitmqAdapter.restore(place, messages.stored, chunked(bytes), { replace: true });
      const found = await differences(place);
      expect(
        found.some((text) => text.startsWith(expected) && text.endsWith('/classic')),
        name,
      ).toBe(true);
      expect(
        found.every((text) => text.endsWith('/classic')),
        name,
      ).toBe(true);
    }
    await rabbitmqAdapter.restore(place, messages.stored, chunked(messages.bytes), { replace: true });
    await using api = await ManagementApi.open(place, undefined);
    await api.ask('PUT', ['users', 'app'], { password: 'another', tags: 'monitoring,policymaker' });
    expect(await differences(place)).toEqual(['content: users app']);
    await rabbitmqAdapter.restore(place, definitions.stored, chunked(definitions.bytes), { replace: true });
    expect(await differences(place)).toEqual([]);
    await api.ask('DELETE', ['topic-permissions', vhost, 'app']);
    expect(await differences(place)).toEqual([`missing: topic permissions ${vhost} app events`]);
  });

  it('that is restored in part only keeps its bindings and says so', async () => {
    await using place = await rabbitmqAdapter.throwaway({ docker, image, labels });
    const [definitions, messages] = parts;
    if (definitions === undefined || messages === undefined) throw new Error('there are no parts');
    await expect(
      rabbitmqAdapter.restore(place, definitions.stored, chunked(definitions.bytes.subarray(0, 500))),
    ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await rabbitmqAdapter.restore(place, definitions.stored, chunked(definitions.bytes));
    for (const length of [0, 10, messages.bytes.length >> 1, messages.bytes.length - 20])
      await expect(
        rabbitmqAdapter.restore(place, messages.stored, chunked(messages.bytes.subarray(0, length)), { replace: true }),
      ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    const actual = await rabbitmqAdapter.fingerprint(place, definitions.stored);
    expect(compareFingerprints(definitions.fingerprint, actual)).toEqual([]);
    await rabbitmqAdapter.restore(place, messages.stored, chunked(messages.bytes), { replace: true });
    expect(await differences(place)).toEqual([]);
    await expect(
      rabbitmqAdapter.restore(
        place,
        { ...messages.stored, engine: { ...messages.stored.engine, name: 'redis' } },
        chunked(messages.bytes),
      ),
    ).rejects.toMatchObject({ code: 'ENGINE_MISMATCH' });
    await expect(
      rabbitmqAdapter.restore(place, messages.stored, chunked(messages.bytes), {
        replace: true,
        signal: AbortSignal.abort(),
      }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(dumpAll(rabbitmqAdapter, { ...place, password: new Secret('wrong') })).rejects.toMatchObject({
      code: 'DUMP_FAILED',
    });
  });

  it('that is published to meanwhile, or has consumers, is called approximate', async () => {
    await using place = await rabbitmqAdapter.throwaway({ docker, image, labels });
    await using wire = await openWire(place, '/', undefined);
    await using api = await ManagementApi.open(place, undefined);
    for (const name of ['a', 'b']) await api.ask('PUT', ['queues', '/', name], { durable: true });
    await wire.amqp.openChannel();
    await wire.amqp.confirmSelect();
    const stop = new AbortController();
    const publishing = (async (): Promise<void> => {
      while (!stop.signal.aborted) {
        await wire.amqp.publish({ exchange: '', routingKey: 'a', properties: plain(), body: Buffer.from('x') });
        await wire.amqp.confirmed();
      }
    })();
    const [, messages] = await dumpAll(rabbitmqAdapter, place);
    stop.abort();
    await publishing;
    expect(messages?.stored).toMatchObject({ consistency: 'approximate', consistencyReason: '/a changed meanwhile' });
    const [, quiet] = await dumpAll(rabbitmqAdapter, place);
    expect(quiet?.stored).toMatchObject({ consistency: 'exact' });
  });
});
