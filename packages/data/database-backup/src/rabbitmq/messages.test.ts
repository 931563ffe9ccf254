import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { chunked, collect } from '../../test/parts.ts';
import { AmqpReader, AmqpWriter } from './amqp-bytes.ts';
import { propertyFacts, withoutHeaders } from './amqp-properties.ts';
import { definitionsFingerprint, nameOf, normalizeDefinitions } from './definitions.ts';
import { lines, QueueDigest, readLines, type DumpedMessage } from './message-lines.ts';
import { expiringQueues, exchangeTypes } from './read-messages.ts';
import { Spool } from './spool.ts';

const text = (value: string): AmqpWriter => new AmqpWriter().longString(Buffer.from(value));

function table(...entries: readonly (readonly [name: string, type: string, value: AmqpWriter])[]): Buffer {
  return Buffer.concat(
    entries.map(([name, type, value]) =>
      new AmqpWriter().shortString(name).octet(type.charCodeAt(0)).raw(value.bytes()).bytes(),
    ),
  );
}

const withHeaders = (headers: Buffer): Buffer =>
  new AmqpWriter()
    .short((1 << 15) | (1 << 13) | (1 << 12))
    .shortString('text/plain')
    .longString(headers)
    .octet(2)
    .bytes();

describe('properties of a message', () => {
  it('lose the headers that a delivery adds, and nothing else', () => {
    const kept = [
      ['a', 'S', text('x')],
      ['b', 'l', new AmqpWriter().longlong(1)],
      ['c', 'F', new AmqpWriter().longString(table(['x-delivery-count', 'I', new AmqpWriter().long(1)]))],
    ] as const;
    const added = ['x-delivery-count', 'l', new AmqpWriter().longlong(3)] as const;
    const strip = (properties: Buffer): Buffer => withoutHeaders(properties, ['x-delivery-count']);
    expect(strip(withHeaders(table(kept[0], added, kept[1], kept[2])))).toEqual(withHeaders(table(...kept)));
    expect(strip(withHeaders(table(...kept)))).toEqual(withHeaders(table(...kept)));
    const none = new AmqpWriter()
      .short((1 << 15) | (1 << 12))
      .shortString('text/plain')
      .octet(2)
      .bytes();
    expect(strip(withHeaders(table(added)))).toEqual(none);
    expect(strip(withHeaders(table()))).toEqual(none);
    expect(strip(none)).toEqual(none);
  });

  it('tell what matters for sending it again', () => {
    expect(propertyFacts(withHeaders(table(['CC', 'A', new AmqpWriter().longString(Buffer.alloc(0))])))).toEqual({
      headers: ['CC'],
      hasExpiration: false,
      hasUserId: false,
    });
    const both = new AmqpWriter()
      .short((1 << 8) | (1 << 4))
      .shortString('100')
      .shortString('app')
      .bytes();
    expect(propertyFacts(both)).toEqual({ headers: [], hasExpiration: true, hasUserId: true });
  });

  it('that are damaged or unknown are refused', () => {
    expect(() => propertyFacts(Buffer.from([0xff, 0xff]))).toThrow('unknown kind');
    expect(() => propertyFacts(withHeaders(table(['a', 'q', text('x')])))).toThrow('unknown type');
    expect(() => propertyFacts(withHeaders(table(['a', 'S', text('x')])).subarray(0, -3))).toThrow('too early');
    expect(() => new AmqpWriter().shortString('x'.repeat(256))).toThrow('too long');
    expect(new AmqpReader(Buffer.from([2, 0xff, 0xfe])).shortText()).toBeUndefined();
  });
});

const message = (body: string, more: Partial<DumpedMessage> = {}): DumpedMessage => ({
  vhost: '/',
  queue: 'q',
  exchange: '',
  routingKey: 'q',
  properties: Buffer.from([0x10, 0, 2]),
  body: Buffer.from(body),
  ...more,
});

async function read(bytes: string): Promise<DumpedMessage[]> {
  const list: DumpedMessage[] = [];
  for await (const one of readLines(chunked(Buffer.from(bytes), 7))) list.push(one);
  return list;
}

describe('a dump of messages', () => {
  const list = [message('a'), message('ünï\n', { queue: 'leer ü', exchange: 'e', routingKey: 'x' }), message('')];
  const dump = lines.head() + list.map(lines.message).join('') + lines.end(3);

  it('is read as it was written, and refused unless it is whole', async () => {
    expect(await read(dump)).toEqual(list);
    for (const length of [0, 10, dump.length >> 1, dump.length - 1])
      await expect(read(dump.slice(0, length)), String(length)).rejects.toThrow();
    await expect(read(lines.head() + lines.message(message('a')) + lines.end(2))).rejects.toThrow('missing');
    await expect(read(`${dump}${lines.message(message('a'))}`)).rejects.toThrow('behind its end');
    await expect(read(`{"format":"another/2"}\n${lines.end(0)}`)).rejects.toThrow('another version');
    await expect(read(`${lines.head()}{"vhost":"/"}\n${lines.end(1)}`)).rejects.toThrow('has no queue');
    await expect(read(lines.head())).rejects.toThrow('end mark');
  });

  it('waits in a file without a name', async () => {
    const before = await readdir(tmpdir());
    await using spool = await Spool.create();
    const written: string[] = [];
    for (let index = 0; index < 3000; index += 1) {
      written.push(`${String(index)} ${'é'.repeat(200)}\n`);
      await spool.write(written.at(-1) ?? '');
    }
    expect((await readdir(tmpdir())).filter((name) => !before.includes(name) && name.includes('spool'))).toEqual([]);
    expect((await collect(spool.read())).toString()).toBe(written.join(''));
  });

  it('is summed up in any order and in its own, without what expires', () => {
    const sum = (...bodies: readonly DumpedMessage[]): Record<string, unknown> => {
      const digest = new QueueDigest('/q', { validUntil: '2026-01-01T00:00:00Z', expires: false });
      for (const one of bodies) digest.add(one);
      return Object.fromEntries(digest.items().map((item) => [item.kind, `${String(item.count)} ${item.checksum}`]));
    };
    const [a, b, c] = [message('a'), message('b'), message('c')];
    expect(sum(a, b, c)['messages']).toBe(sum(c, a, b)['messages']);
    expect(sum(a, b, c)['order of messages']).not.toBe(sum(c, a, b)['order of messages']);
    for (const other of [
      message('x'),
      message('a', { routingKey: 'other' }),
      message('a', { exchange: 'e' }),
      message('a', { properties: Buffer.from([0x10, 0, 1]) }),
    ])
      expect(sum(other, b)['messages']).not.toBe(sum(a, b)['messages']);
    const expiring = message('a', {
      properties: new AmqpWriter()
        .short(1 << 8)
        .shortString('1')
        .bytes(),
    });
    expect(sum(a, expiring)).toMatchObject({ messages: sum(a)['messages'], 'expiring messages': '1 ' });
    const all = new QueueDigest('/q', { validUntil: '2026-01-01T00:00:00Z', expires: true });
    all.add(a);
    expect(all.items().at(-1)).toMatchObject({
      kind: 'expiring messages',
      count: 1,
      validUntil: '2026-01-01T00:00:00Z',
    });
  });
});

describe('definitions', () => {
  const exported = {
    rabbit_version: '4.0.5',
    users: [
      { name: 'b', password_hash: 'x', tags: ['one', 'two'] },
      { name: 'a', password_hash: 'y', tags: [] },
      { name: 'devstack-health', password_hash: 'z' },
    ],
    vhosts: [{ name: '/' }],
    permissions: [{ user: 'devstack-health', vhost: '/' }],
    global_parameters: [{ name: 'internal_cluster_id', value: 'x' }],
    queues: [
      { vhost: '/', name: 'devstack.health', arguments: {} },
      { vhost: '/', name: 'short', arguments: { 'x-message-ttl': 1 } },
      { vhost: '/', name: 'p.1', arguments: {} },
      { vhost: '/', name: 'o.1', arguments: {} },
      { vhost: '/', name: 'long', arguments: {} },
    ],
    exchanges: [{ vhost: '/', name: 'e', type: 'topic' }],
    policies: [{ vhost: '/', name: 'p', pattern: '^p\\.', definition: { 'message-ttl': 1 } }],
    parameters: [
      { vhost: '/', component: 'operator_policy', name: 'o', value: { pattern: '^o', definition: { expires: 1 } } },
    ],
    bindings: [
      {
        vhost: '/',
        source: 'e',
        destination: 'devstack.health',
        destination_type: 'queue',
        routing_key: '',
        arguments: {},
      },
    ],
  };

  it('are the same in any order, and without what is the broker’s own', () => {
    const one = normalizeDefinitions(exported);
    expect(Object.keys(one)).toEqual(['exchanges', 'parameters', 'policies', 'queues', 'users', 'vhosts']);
    expect(one['users']?.map((user) => user['name'])).toEqual(['a', 'b']);
    const other = normalizeDefinitions({
      ...exported,
      rabbit_version: '4.1.0',
      users: exported.users.toReversed().map((user) => ({ ...user, tags: user.tags?.toReversed() })),
    });
    const sum = (definitions: typeof one): Map<string, string> =>
      new Map(definitionsFingerprint(definitions).items.map((item) => [`${item.kind} ${item.name}`, item.checksum]));
    expect(sum(other)).toEqual(sum(one));
    const changed = normalizeDefinitions({ ...exported, users: [{ ...exported.users[0], password_hash: 'w' }] });
    expect(sum(changed).get('users b')).not.toBe(sum(one).get('users b'));
    expect(nameOf('something new', { b: 1, a: 'x' })).toBe('x 1');
  });

  it('tell types of exchanges, and which queues forget', () => {
    const definitions = normalizeDefinitions(exported);
    const typeOf = exchangeTypes(definitions);
    expect([typeOf('/', 'e'), typeOf('other', 'e'), typeOf('/', 'amq.topic')]).toEqual(['topic', undefined, 'topic']);
    const expires = expiringQueues(definitions);
    const of = (name: string): boolean => expires({ vhost: '/', name });
    expect([of('short'), of('p.1'), of('o.1'), of('long')]).toEqual([true, true, true, false]);
  });
});
