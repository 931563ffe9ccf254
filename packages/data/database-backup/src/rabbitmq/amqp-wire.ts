import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { abortReason } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { AmqpReader, AmqpWriter } from './amqp-bytes.ts';

/** A message, with its properties as the bytes that they travel as. */
export interface RawMessage {
  readonly exchange: string;
  /** Undefined where it is no text. */
  readonly routingKey: string | undefined;
  /** Flags and values of a content header. */
  readonly properties: Buffer;
  readonly body: Buffer;
}

export interface AmqpWireOptions {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: Secret;
  readonly vhost: string;
  readonly signal?: AbortSignal | undefined;
}

interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

const frameEnd = 0xce;
const kind = { method: 1, header: 2, body: 3 } as const;
/** Class and method, as one number. */
const method = {
  connectionStart: 10 * 65_536 + 10,
  connectionTune: 10 * 65_536 + 30,
  connectionOpenOk: 10 * 65_536 + 41,
  connectionClose: 10 * 65_536 + 50,
  channelOpenOk: 20 * 65_536 + 11,
  channelClose: 20 * 65_536 + 40,
  channelCloseOk: 20 * 65_536 + 41,
  queueDeclareOk: 50 * 65_536 + 11,
  queueBindOk: 50 * 65_536 + 21,
  queuePurgeOk: 50 * 65_536 + 31,
  queueUnbindOk: 50 * 65_536 + 51,
  exchangeDeclareOk: 40 * 65_536 + 11,
  exchangeDeleteOk: 40 * 65_536 + 21,
  basicReturn: 60 * 65_536 + 50,
  basicGetOk: 60 * 65_536 + 71,
  basicGetEmpty: 60 * 65_536 + 72,
  basicAck: 60 * 65_536 + 80,
  basicNack: 60 * 65_536 + 120,
  confirmSelectOk: 85 * 65_536 + 11,
  connectionBlocked: 10 * 65_536 + 60,
  connectionUnblocked: 10 * 65_536 + 61,
} as const;

/** How many `basic.get` are on their way at once. */
const getWindow = 64;
/** How many messages are published before their confirmations are waited for. */
const publishWindow = 256;

/**
 * Just as much of AMQP 0-9-1 as it takes to read messages without loss and to publish them again: properties stay bytes, which no driver
 * offers, as decoding loses the width of numbers. One channel at a time. Every refusal of the broker is an `Error` in its words.
 */
export class AmqpWire implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #frames: AsyncIterator<Frame>;
  #frameMax = 131_072;
  #channel = 0;
  #published = 0;
  readonly #unconfirmed = new Set<number>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#frames = framesOf(socket)[Symbol.asyncIterator]();
  }

  static async open(options: AmqpWireOptions): Promise<AmqpWire> {
    const { signal } = options;
    const early = abortReason(signal, 'The connection to RabbitMQ');
    if (early !== undefined) throw early;
    const socket = connect({ host: options.host, port: options.port, noDelay: true });
    const onAbort = (): void => {
      socket.destroy(abortReason(signal, 'The connection to RabbitMQ'));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('close', () => signal?.removeEventListener('abort', onAbort));
    // Whoever reads next meets it.
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const wire = new AmqpWire(socket);
    try {
      await wire.#login(options);
      return wire;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Opens the next channel. */
  async openChannel(): Promise<void> {
    this.#channel += 1;
    this.#published = 0;
    this.#unconfirmed.clear();
    await this.#call(methodOf(20, 10).shortString(''), method.channelOpenOk);
  }

  /** Closes the channel: whatever was got on it is in its classic queue again, where it was. From a quorum queue it comes back in no order. */
  async closeChannel(): Promise<void> {
    await this.#call(methodOf(20, 40).short(200).shortString('').short(0).short(0), method.channelCloseOk);
  }

  /** Messages that are ready, and consumers; as the queue itself knows them. */
  async count(queue: string): Promise<{ readonly messages: number; readonly consumers: number }> {
    const reply = await this.#call(
      methodOf(50, 10).short(0).shortString(queue).octet(1).long(0),
      method.queueDeclareOk,
    );
    reply.shortString();
    return { messages: reply.long(), consumers: reply.long() };
  }

  /** Every message that is ready, in the queue's order, without acknowledging any. */
  async *getAll(queue: string): AsyncGenerator<RawMessage, void, undefined> {
    const request = methodOf(60, 70).short(0).shortString(queue).octet(0).bytes();
    let isEmpty = false;
    while (!isEmpty) {
      await this.#write(Array.from({ length: getWindow }, () => frame(kind.method, this.#channel, request)));
      // All are answered, those after the end too.
      for (let answer = 0; answer < getWindow; answer += 1) {
        const reply = await this.#method(method.basicGetOk, method.basicGetEmpty);
        if (reply.id === method.basicGetEmpty) {
          isEmpty = true;
          continue;
        }
        const { reader } = reply;
        reader.longlong();
        reader.octet();
        const exchange = reader.shortString();
        const routingKey = reader.shortText();
        yield { exchange, routingKey, ...(await this.#content()) };
      }
    }
  }

  async purge(queue: string): Promise<void> {
    await this.#call(methodOf(50, 30).short(0).shortString(queue).octet(0), method.queuePurgeOk);
  }

  async bind(queue: string, exchange: string, routingKey: string): Promise<void> {
    const request = methodOf(50, 20).short(0).shortString(queue).shortString(exchange).shortString(routingKey);
    await this.#call(request.octet(0).long(0), method.queueBindOk);
  }

  async unbind(queue: string, exchange: string, routingKey: string): Promise<void> {
    const request = methodOf(50, 50).short(0).shortString(queue).shortString(exchange).shortString(routingKey);
    await this.#call(request.long(0), method.queueUnbindOk);
  }

  /** Gone with this connection at the latest. */
  async declareFanout(exchange: string): Promise<void> {
    const request = methodOf(40, 10).short(0).shortString(exchange).shortString('fanout');
    // Neither passive nor durable; deleted with its last binding.
    await this.#call(request.octet(0b100).long(0), method.exchangeDeclareOk);
  }

  /** From now on every message that is published is confirmed. */
  async confirmSelect(): Promise<void> {
    await this.#call(methodOf(85, 10).octet(0), method.confirmSelectOk);
  }

  /** Returns before the message is confirmed, but never with more than a few hundred that are not. Throws for one that reached no queue. */
  async publish({ exchange, routingKey = '', properties, body }: RawMessage): Promise<void> {
    const publish = methodOf(60, 40).short(0).shortString(exchange).shortString(routingKey).octet(1).bytes();
    const header = new AmqpWriter().short(60).short(0).longlong(body.length).raw(properties).bytes();
    const frames = [frame(kind.method, this.#channel, publish), frame(kind.header, this.#channel, header)];
    const most = this.#frameMax - 8;
    for (let from = 0; from < body.length; from += most)
      frames.push(frame(kind.body, this.#channel, body.subarray(from, from + most)));
    await this.#write(frames);
    this.#published += 1;
    this.#unconfirmed.add(this.#published);
    if (this.#unconfirmed.size >= publishWindow) await this.confirmed();
  }

  /** Resolves when the broker has taken every message. */
  async confirmed(): Promise<void> {
    while (this.#unconfirmed.size > 0) {
      const { id, reader } = await this.#method(method.basicAck, method.basicNack, method.basicReturn);
      if (id === method.basicReturn) {
        const text = `${String(reader.short())} ${reader.shortString()}`;
        throw new Error(`a message reached no queue (${text})`);
      }
      if (id === method.basicNack) throw new Error('the broker did not take a message');
      const tag = reader.longlong();
      // Confirmations come one by one, in any order, or for all up to one.
      const isMultiple = (reader.octet() & 1) === 1;
      if (!isMultiple) this.#unconfirmed.delete(tag);
      else for (const one of this.#unconfirmed) if (one <= tag) this.#unconfirmed.delete(one);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#socket.destroyed) {
      const goodbye = methodOf(10, 50).short(200).shortString('').short(0).short(0).bytes();
      await this.#write([frame(kind.method, 0, goodbye)]).catch(() => undefined);
    }
    this.#socket.destroy();
  }

  async #login({ username, password, vhost }: AmqpWireOptions): Promise<void> {
    await this.#write([Buffer.from('AMQP\0\0\x09\x01', 'latin1')]);
    await this.#method(method.connectionStart);
    const login = Buffer.from(`\0${username}\0${password.reveal()}`, 'utf8');
    // Otherwise a wrong password would only close the socket.
    const capabilities = Buffer.concat([trueEntry('authentication_failure_close'), trueEntry('publisher_confirms')]);
    const properties = new AmqpWriter().shortString('capabilities').octet(0x46).longString(capabilities).bytes();
    const startOk = methodOf(10, 11).longString(properties).shortString('PLAIN').longString(login).shortString('en_US');
    await this.#send(0, startOk);
    const { reader: tune } = await this.#method(method.connectionTune);
    const channelMax = tune.short();
    const frameMax = tune.long();
    if (frameMax > 0) this.#frameMax = Math.min(this.#frameMax, frameMax);
    await this.#send(0, methodOf(10, 31).short(channelMax).long(this.#frameMax).short(0));
    await this.#send(0, methodOf(10, 40).shortString(vhost).shortString('').octet(0));
    await this.#method(method.connectionOpenOk);
  }

  async #call(request: AmqpWriter, expected: number): Promise<AmqpReader> {
    await this.#send(this.#channel, request);
    return (await this.#method(expected)).reader;
  }

  async #send(channel: number, request: AmqpWriter): Promise<void> {
    await this.#write([frame(kind.method, channel, request.bytes())]);
  }

  async #write(frames: readonly Buffer[]): Promise<void> {
    if (this.#socket.destroyed) throw new Error('the connection to RabbitMQ has ended');
    if (!this.#socket.write(Buffer.concat(frames))) {
      const settled = new AbortController();
      const { signal } = settled;
      await Promise.race([once(this.#socket, 'drain', { signal }), once(this.#socket, 'close', { signal })]);
      settled.abort();
    }
  }

  // The next method, which has to be one of those. What was returned comes with its content, which nobody wants.
  async #method(...expected: readonly number[]): Promise<{ readonly id: number; readonly reader: AmqpReader }> {
    for (;;) {
      const { type, payload, channel } = await this.#next();
      if (type !== kind.method) throw new Error('RabbitMQ sent content where an answer should be');
      const id = payload.readUInt32BE();
      const reader = new AmqpReader(payload);
      reader.long();
      if (expected.includes(id)) return { id, reader };
      if (id === method.connectionBlocked)
        throw new Error('the broker takes no messages: it lacks memory or disk space');
      if (id === method.connectionUnblocked) continue;
      if (id === method.channelClose || id === method.connectionClose) {
        const text = `${String(reader.short())} ${reader.shortString()}`;
        if (id === method.channelClose) await this.#send(channel, methodOf(20, 41));
        throw new Error(`RabbitMQ refused: ${text}`);
      }
      throw new Error(`RabbitMQ sent something unexpected (${String(id >> 16)}.${String(id & 0xffff)})`);
    }
  }

  async #content(): Promise<Pick<RawMessage, 'properties' | 'body'>> {
    const header = await this.#next();
    if (header.type !== kind.header) throw new Error('RabbitMQ sent a message without a header');
    const reader = new AmqpReader(header.payload);
    reader.long();
    const size = reader.longlong();
    const properties = Buffer.from(reader.rest());
    const parts: Buffer[] = [];
    for (let left = size; left > 0;) {
      const { type, payload } = await this.#next();
      if (type !== kind.body || payload.length > left) throw new Error('RabbitMQ sent a message that is not whole');
      parts.push(payload);
      left -= payload.length;
    }
    return { properties, body: Buffer.concat(parts) };
  }

  async #next(): Promise<Frame> {
    const next = await this.#frames.next();
    if (next.done === true) throw this.#socket.errored ?? new Error('the connection to RabbitMQ has ended');
    return next.value;
  }
}

async function* framesOf(socket: Socket): AsyncGenerator<Frame, void, undefined> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 7) {
      if (pending.toString('latin1', 0, 4) === 'AMQP') throw new Error('RabbitMQ speaks another version of AMQP');
      const end = 7 + pending.readUInt32BE(3);
      if (pending.length <= end) break;
      if (pending[end] !== frameEnd) throw new Error('this is not AMQP');
      yield { type: pending.readUInt8(0), channel: pending.readUInt16BE(1), payload: pending.subarray(7, end) };
      pending = pending.subarray(end + 1);
    }
  }
}

function methodOf(classId: number, methodId: number): AmqpWriter {
  return new AmqpWriter().short(classId).short(methodId);
}

function frame(type: number, channel: number, payload: Buffer): Buffer {
  return new AmqpWriter().octet(type).short(channel).longString(payload).octet(frameEnd).bytes();
}

function trueEntry(name: string): Buffer {
  return new AmqpWriter().shortString(name).octet(0x74).octet(1).bytes();
}
