import { randomUUID } from 'node:crypto';
import type { ChannelModel, ConfirmChannel, ConsumeMessage, SocketOptions } from 'amqplib';
import type { Classify } from './failure.ts';
import { failure, type Target } from './failure.ts';
import { Lifetime } from './lifetime.ts';
import { passwordOf, tlsOptions, type Connection, type ConnectionOptions } from './options.ts';

/** Options of `connectAmqp`. */
export interface AmqpOptions extends Omit<ConnectionOptions, 'database'> {
  /** The virtual host; `/` by default. */
  readonly vhost?: string;
}

/** A message to send. */
export interface AmqpMessage {
  /** The default exchange, which delivers to the queue named by the routing key, by default. */
  readonly exchange?: string;
  readonly routingKey: string;
  readonly content: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string | number | boolean>>;
  readonly persistent?: boolean;
}

/** A message that came. */
export interface AmqpDelivery {
  readonly content: Uint8Array;
  readonly routingKey: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly redelivered: boolean;
}

/** How a queue is declared; not durable, exclusive or self-deleting by default. */
export interface AmqpQueueOptions {
  readonly durable?: boolean;
  readonly exclusive?: boolean;
  readonly autoDelete?: boolean;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** A connection to an AMQP 0-9-1 broker. */
export interface AmqpConnection extends Connection {
  /** What the broker says of itself: product, version, cluster name. */
  readonly server: Readonly<Record<string, string>>;
  /** Makes a queue, with a name of the broker's choice where none is given. */
  declareQueue(
    queue?: string,
    options?: AmqpQueueOptions,
  ): Promise<{ queue: string; messages: number; consumers: number }>;
  deleteQueue(queue: string): Promise<void>;
  /** Resolves when the broker has taken the message (publisher confirm). */
  publish(message: AmqpMessage): Promise<void>;
  /** Delivers until it is cancelled; a message is acknowledged when the handler has resolved, and put back when it rejects. */
  consume(
    queue: string,
    handler: (delivery: AmqpDelivery) => void | Promise<void>,
  ): Promise<{ cancel(): Promise<void> }>;
  /** Publishes a message to a temporary exclusive queue and waits until it comes back. */
  roundTrip(queue?: string, timeoutMs?: number): Promise<{ queue: string; latencyMs: number }>;
}

/** Connects to RabbitMQ. */
export async function connectAmqp(options: AmqpOptions): Promise<AmqpConnection> {
  const { host, port, username, vhost = '/', connectTimeoutMs, commandTimeoutMs, signal } = options;
  const password = await passwordOf(options.password);
  const { default: amqp } = await import('amqplib');
  const target: Target = { engine: 'RabbitMQ', host, port, username, password };
  const tls = tlsOptions(options);
  const lifetime = await Lifetime.open<Holder>({
    target,
    classify,
    connectTimeoutMs,
    commandTimeoutMs,
    signal,
    create: (report) => ({ socket: new AbortController(), model: undefined, channel: undefined, report }),
    login: async (holder) => {
      // Passed on to `net.connect`, so that an attempt can be ended before there is anything else to end.
      const socketOptions: SocketOptions & { signal: AbortSignal } = {
        ...tls,
        signal: holder.socket.signal,
        noDelay: true,
        clientProperties: { connection_name: 'devstack' },
      };
      const model = await amqp.connect(
        {
          protocol: tls === undefined ? 'amqp' : 'amqps',
          hostname: host,
          port,
          username,
          password: password.reveal(),
          vhost: encodeURIComponent(vhost),
          heartbeat: 30,
        },
        socketOptions,
      );
      holder.model = model;
      model.on('error', holder.report);
      model.on('close', holder.report);
      if (holder.socket.signal.aborted) destroy(holder);
    },
    leave: async (holder) => holder.model?.close(),
    destroy,
  });
  return connectionOf(lifetime, target);
}

interface Holder {
  readonly socket: AbortController;
  readonly report: (error: unknown) => void;
  model: ChannelModel | undefined;
  channel: Promise<ConfirmChannel> | undefined;
}

function connectionOf(lifetime: Lifetime<Holder>, target: Target): AmqpConnection {
  const on = async <T>(work: (channel: ConfirmChannel) => Promise<T>): Promise<T> =>
    lifetime.run(async (holder) => work(await channelOf(holder)));
  const declareQueue: AmqpConnection['declareQueue'] = async (name = '', options = {}) =>
    on(async (channel) => {
      const { queue, messageCount, consumerCount } = await channel.assertQueue(name, { durable: false, ...options });
      return { queue, messages: messageCount, consumers: consumerCount };
    });
  const publish: AmqpConnection['publish'] = async ({
    exchange = '',
    routingKey,
    content,
    headers = {},
    persistent = false,
  }) =>
    on(
      async (channel) =>
        new Promise<void>((resolve, reject) => {
          channel.publish(
            exchange,
            routingKey,
            Buffer.from(content),
            { headers: { ...headers }, persistent, mandatory: false },
            (error: unknown) => {
              if (error === null || error === undefined) resolve();
              else reject(error instanceof Error ? error : new Error('the broker refused the message'));
            },
          );
        }),
    );
  const consume: AmqpConnection['consume'] = async (queue, handler) =>
    lifetime.run(async (holder) => {
      // A channel of its own: one that another operation got closed would end the deliveries without a word.
      const channel = await newChannel(holder);
      const { consumerTag } = await channel.consume(queue, (message) => {
        if (message !== null) void deliver(channel, message, handler);
      });
      return {
        cancel: async () =>
          lifetime.run(async () => {
            await channel.cancel(consumerTag);
            await channel.close();
          }),
      };
    });
  return {
    server: serverOf(lifetime.driver),
    declareQueue,
    deleteQueue: async (queue) =>
      on(async (channel) => {
        await channel.deleteQueue(queue);
      }),
    publish,
    consume,
    roundTrip: async (name, timeoutMs = 5000) => {
      const start = performance.now();
      const { queue } = await declareQueue(name, { exclusive: true, autoDelete: true });
      const body = randomUUID();
      const back = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => {
        back.reject(
          failure(
            target,
            'timedOut',
            `a message to the queue "${queue}" did not come back within ${String(timeoutMs)} ms`,
          ),
        );
      }, timeoutMs);
      try {
        const consumer = await consume(queue, ({ content }) => {
          if (Buffer.from(content).toString() === body) back.resolve(undefined);
        });
        await publish({ routingKey: queue, content: body });
        await lifetime.run(async () => back.promise);
        const latencyMs = performance.now() - start;
        await consumer.cancel();
        return { queue, latencyMs };
      } finally {
        clearTimeout(timer);
        back.promise.catch(() => undefined);
      }
    },
    close: async () => lifetime.close(),
    [Symbol.asyncDispose]: async () => lifetime.close(),
  };
}

// The broker closes a channel on every refused operation; the next operation gets a new one.
async function channelOf(holder: Holder): Promise<ConfirmChannel> {
  holder.channel ??= openChannel(holder);
  return holder.channel;
}

async function openChannel(holder: Holder): Promise<ConfirmChannel> {
  const forget = (): void => {
    holder.channel = undefined;
  };
  try {
    const channel = await newChannel(holder);
    channel.on('close', forget);
    return channel;
  } catch (error) {
    forget();
    throw error;
  }
}

async function newChannel({ model }: Holder): Promise<ConfirmChannel> {
  if (model === undefined) throw new Error('Connection closed');
  const channel = await model.createConfirmChannel();
  // The operation that the broker refused rejects; nobody else needs to hear of it.
  channel.on('error', () => undefined);
  return channel;
}

async function deliver(
  channel: ConfirmChannel,
  message: ConsumeMessage,
  handler: (delivery: AmqpDelivery) => void | Promise<void>,
): Promise<void> {
  const { fields, properties, content } = message;
  try {
    try {
      await handler({
        content,
        routingKey: fields.routingKey,
        headers: properties.headers ?? {},
        redelivered: fields.redelivered,
      });
    } catch {
      channel.nack(message);
      return;
    }
    channel.ack(message);
  } catch {
    // The channel is closed: the broker delivers the message again.
  }
}

function serverOf({ model }: Holder): Readonly<Record<string, string>> {
  const properties: Record<string, unknown> = { ...model?.connection.serverProperties };
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

function destroy({ socket, model }: Holder): void {
  socket.abort();
  (model?.connection as unknown as { stream?: { destroy(): void } } | undefined)?.stream?.destroy();
}

const classify: Classify = ({ message, code }) => {
  if (/ACCESS[-_]REFUSED/.test(message)) {
    const login = /Login was refused|Handshake terminated/i.test(message);
    return { kind: login ? 'authenticationFailed' : 'database', serverCode: '403', text: message };
  }
  if (/Expected ConnectionOpenOk|NOT_ALLOWED/.test(message))
    return { kind: 'database', serverCode: '530', text: message };
  // CONNECTION_FORCED: a broker that shuts down, or an operator, has ended the connection.
  if (code === 320) return { kind: 'lost', serverCode: '320', text: message };
  if (typeof code === 'number') return { kind: 'database', serverCode: String(code), text: message };
  if (/^connect ETIMEDOUT$/.test(message)) return { kind: 'timedOut' };
  if (/Invalid frame|Frame size|protocol|Expected|Unexpected frame|Unknown frame|Bad (?:frame|reply)/i.test(message))
    return { kind: 'protocolMismatch' };
  if (/closed|ended|ending|closing|aborted|Heartbeat/i.test(message)) return { kind: 'lost' };
  return undefined;
};
