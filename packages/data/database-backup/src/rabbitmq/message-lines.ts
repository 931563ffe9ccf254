import { createHash, type Hash } from 'node:crypto';
import type { FingerprintItem } from '../types.ts';
import { propertyFacts } from './amqp-properties.ts';

/** A message as it stands on a line of a dump. */
export interface DumpedMessage {
  readonly vhost: string;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** Flags and values of an AMQP 0-9-1 content header. */
  readonly properties: Buffer;
  readonly body: Buffer;
}

export const format = 'devstack/rabbitmq-messages/1';

/** The first line, one for a message, and the last one, without which a dump is not whole. */
export const lines = {
  head: (): string => `${JSON.stringify({ format })}\n`,
  message: ({ properties, body, ...envelope }: DumpedMessage): string =>
    `${JSON.stringify({ ...envelope, properties: properties.toString('base64'), body: body.toString('base64') })}\n`,
  end: (messages: number): string => `${JSON.stringify({ end: true, messages })}\n`,
};

/** Reads a dump. Throws an `Error` for one that is no dump, or not all of one. */
export async function* readLines(content: AsyncIterable<Uint8Array>): AsyncGenerator<DumpedMessage, void, undefined> {
  let messages = -1;
  let isEnded = false;
  for await (const line of splitLines(content)) {
    if (isEnded) throw new Error('the dump goes on behind its end');
    const record = JSON.parse(line) as Readonly<Record<string, unknown>>;
    if (messages < 0) {
      if (record['format'] !== format) throw new Error('this is no dump of messages, or one of another version');
      messages = 0;
    } else if (record['end'] === true) {
      if (record['messages'] !== messages) throw new Error('messages are missing from the dump');
      isEnded = true;
    } else {
      messages += 1;
      yield messageOf(record);
    }
  }
  if (!isEnded) throw new Error('the dump ends before its end mark');
}

function messageOf(record: Readonly<Record<string, unknown>>): DumpedMessage {
  const text = (key: string): string => {
    const value = record[key];
    if (typeof value !== 'string') throw new Error(`a message of the dump has no ${key}`);
    return value;
  };
  return {
    vhost: text('vhost'),
    queue: text('queue'),
    exchange: text('exchange'),
    routingKey: text('routingKey'),
    properties: Buffer.from(text('properties'), 'base64'),
    body: Buffer.from(text('body'), 'base64'),
  };
}

async function* splitLines(content: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let rest: Buffer[] = [];
  for await (const chunk of content) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      yield Buffer.concat([...rest, bytes.subarray(from, end)]).toString('utf8');
      rest = [];
      from = end + 1;
    }
    if (from < bytes.length) rest.push(Buffer.from(bytes.subarray(from)));
  }
  if (rest.length > 0) throw new Error('the dump ends in the middle of a line');
}

/** Sums up the messages of one queue: in any order, and in their order. */
export class QueueDigest {
  readonly #name: string;
  readonly #expiry: { readonly validUntil: string; readonly expires: boolean };
  readonly #lanes = new Uint32Array(8);
  readonly #order: Hash = createHash('sha256');
  #lasting = 0;
  #expiring = 0;

  /** `validUntil` is for what expires: the queue's messages where `expires` says so, and those that do so by themselves. */
  constructor(name: string, expiry: { readonly validUntil: string; readonly expires: boolean }) {
    this.#name = name;
    this.#expiry = expiry;
  }

  add(message: Omit<DumpedMessage, 'vhost' | 'queue'>): void {
    const { headers, hasExpiration } = propertyFacts(message.properties);
    if (this.#expiry.expires || hasExpiration) {
      this.#expiring += 1;
      return;
    }
    const hash = createHash('sha256');
    // One with carbon copies cannot be sent again as it was sent.
    if (!headers.includes('CC')) hash.update(`${JSON.stringify([message.exchange, message.routingKey])}\n`);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.properties.length);
    const digest = hash.update(length).update(message.properties).update(message.body).digest();
    this.#order.update(digest);
    this.#lasting += 1;
    for (let lane = 0; lane < 8; lane += 1)
      this.#lanes[lane] = ((this.#lanes[lane] ?? 0) + digest.readUInt32LE(4 * lane)) >>> 0;
  }

  get count(): number {
    return this.#lasting + this.#expiring;
  }

  items(): FingerprintItem[] {
    const about = { name: this.#name, count: this.#lasting };
    const sum = [...this.#lanes].map((lane) => lane.toString(16).padStart(8, '0')).join('');
    const expiring: FingerprintItem = {
      kind: 'expiring messages',
      name: this.#name,
      count: this.#expiring,
      checksum: '',
      validUntil: this.#expiry.validUntil,
    };
    return [
      { kind: 'messages', ...about, checksum: sum },
      { kind: 'order of messages', ...about, checksum: this.#order.digest('hex') },
      ...(this.#expiring === 0 ? [] : [expiring]),
    ];
  }
}
