import { setTimeout as delay } from 'node:timers/promises';
import { Secret } from '@devstack-core/redaction';
import type { Fingerprint, FingerprintItem } from '../types.ts';
import { propertyFacts, withoutHeaders } from './amqp-properties.ts';
import { AmqpWire, type RawMessage } from './amqp-wire.ts';
import { fieldOf, type Definition, type Definitions } from './definitions.ts';
import type { ListedQueue, ManagementApi } from './management-api.ts';
import { QueueDigest, type DumpedMessage } from './message-lines.ts';
import { peekLimit, peekQuorum } from './peek-quorum.ts';
import { ownQueue, type RabbitmqPlace } from './rabbitmq-place.ts';

export interface ReadMessagesOptions {
  readonly place: RabbitmqPlace;
  readonly api: ManagementApi;
  readonly definitions: Definitions;
  readonly snapshotAt: string;
  readonly signal: AbortSignal | undefined;
  /** Queues that an earlier reading has left out, as it told them: they are left out again. */
  readonly leftOut?: readonly string[];
  /** Hears of every message in the order of its queue. */
  readonly onMessage?: (message: DumpedMessage) => Promise<void>;
}

/** What was found in the durable queues. */
export interface FoundMessages {
  readonly fingerprint: Fingerprint;
  readonly messages: number;
  /** Why it may not be of one moment; empty where it is. */
  readonly disturbances: readonly string[];
  /** Queues that messages were not read of, and why. */
  readonly leftOut: readonly string[];
  readonly hasUserIds: boolean;
}

/**
 * Reads every message of every durable queue and leaves it where it is: those of classic queues are got, not acknowledged, and back in their
 * place when the channel closes; consumers do not see them meanwhile, and they count as redelivered. Quorum queues are only looked into.
 */
export async function readMessages(options: ReadMessagesOptions): Promise<FoundMessages> {
  const { place, api, signal } = options;
  const listed = await api.queues();
  const before = options.leftOut ?? [];
  const wasLeftOut = (queue: ListedQueue): boolean => before.some((told) => told.startsWith(`${nameOf(queue)} (`));
  const queues = listed
    .filter((queue) => isReadable(queue) && !wasLeftOut(queue))
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const leftOut = listed
    .filter((queue) => !isReadable(queue) && queue.name !== ownQueue)
    .map((queue) => `${nameOf(queue)} (${queue.type === 'stream' ? 'a stream' : 'not durable'})`);
  const exchanges = exchangeTypes(options.definitions);
  const expires = expiringQueues(options.definitions);
  const items: FingerprintItem[] = [];
  const disturbances: string[] = [];
  let messages = 0;
  let hasUserIds = false;
  for (const [vhost, group] of Map.groupBy(queues, (queue) => queue.vhost)) {
    await using wire = await openWire(place, vhost, signal);
    const { amqp } = wire;
    const read = new Map<ListedQueue, number>();
    for (const queue of group) {
      const digest = new QueueDigest(nameOf(queue), { validUntil: options.snapshotAt, expires: expires(queue) });
      await amqp.openChannel();
      const { consumers, messages: ready } = await amqp.count(queue.name);
      if (consumers > 0) disturbances.push(`${nameOf(queue)} has consumers`);
      if (queue.type === 'quorum' && ready > peekLimit) {
        leftOut.push(`${nameOf(queue)} (a quorum queue of more than ${String(peekLimit)} messages)`);
        continue;
      }
      const found =
        queue.type !== 'quorum'
          ? amqp.getAll(queue.name)
          : ready === 0
            ? []
            : await peekQuorum(place, vhost, queue.name, signal);
      for await (const message of found) {
        const dumped = dumpedMessage(message, queue, exchanges);
        digest.add(dumped);
        hasUserIds ||= propertyFacts(dumped.properties).hasUserId;
        await options.onMessage?.(dumped);
      }
      await amqp.closeChannel();
      read.set(queue, digest.count);
      messages += digest.count;
      items.push(...digest.items());
    }
    for (const [queue, count] of read)
      if (!(await holds(amqp, queue, count))) disturbances.push(`${nameOf(queue)} changed meanwhile`);
  }
  return {
    fingerprint: { schema: 'devstack/fingerprint/1', items },
    messages,
    disturbances,
    leftOut,
    hasUserIds,
  };
}

/** Durable, for everybody, and not a stream: those have no messages to get. */
export function isReadable({ durable, exclusive, type, name }: ListedQueue): boolean {
  return durable && !exclusive && type !== 'stream' && name !== ownQueue;
}

/** An AMQP connection into the container's loopback. */
export async function openWire(
  place: RabbitmqPlace,
  vhost: string,
  signal: AbortSignal | undefined,
): Promise<AsyncDisposable & { readonly amqp: AmqpWire }> {
  await using stack = new AsyncDisposableStack();
  const { host, port } = stack.use(await place.docker.forward(place.container, place.amqpPort ?? 5672));
  const { username, password = new Secret('') } = place;
  const amqp = stack.use(await AmqpWire.open({ host, port, username, password, vhost, signal }));
  const open = stack.move();
  return { amqp, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/** Types of exchanges by virtual host and name; those that every broker has are not among its definitions. */
export function exchangeTypes(definitions: Definitions): (vhost: string, name: string) => string | undefined {
  const types = new Map(
    (definitions['exchanges'] ?? []).map((one) => [
      JSON.stringify([fieldOf(one, 'vhost'), fieldOf(one, 'name')]),
      fieldOf(one, 'type'),
    ]),
  );
  const builtIn: Readonly<Record<string, string>> = {
    'amq.direct': 'direct',
    'amq.fanout': 'fanout',
    'amq.topic': 'topic',
    'amq.headers': 'headers',
    'amq.match': 'headers',
  };
  return (vhost, name) => builtIn[name] ?? types.get(JSON.stringify([vhost, name]));
}

/**
 * Whether messages of a queue, or it itself, go after a time: by its arguments, or by any policy whose pattern it matches. What the API
 * tells of a queue's policy would lag behind.
 */
export function expiringQueues(definitions: Definitions): (queue: Pick<ListedQueue, 'vhost' | 'name'>) => boolean {
  const has = (one: Definition, field: string, keys: readonly string[]): boolean => {
    const settings = one[field];
    return typeof settings === 'object' && settings !== null && keys.some((key) => key in settings);
  };
  const own = new Set(
    (definitions['queues'] ?? [])
      .filter((one) => has(one, 'arguments', ['x-message-ttl', 'x-expires']))
      .map((one) => JSON.stringify([one['vhost'], one['name']])),
  );
  const parameters = (definitions['parameters'] ?? []).filter((one) => one['component'] === 'operator_policy');
  const operator = parameters.map((one): Definition => ({ ...one, ...(one['value'] as Definition) }));
  const policies = [...(definitions['policies'] ?? []), ...operator].filter((one) =>
    has(one, 'definition', ['message-ttl', 'expires']),
  );
  return ({ vhost, name }) =>
    own.has(JSON.stringify([vhost, name])) ||
    policies.some((one) => one['vhost'] === vhost && new RegExp(fieldOf(one, 'pattern'), 'u').test(name));
}

const knownTypes = ['direct', 'fanout', 'topic', 'headers'];

// A message whose way to its queue cannot be gone again is addressed to the queue itself.
function dumpedMessage(
  { exchange, routingKey, properties, body }: RawMessage,
  { vhost, name }: ListedQueue,
  typeOf: ReturnType<typeof exchangeTypes>,
): DumpedMessage {
  const isKept = routingKey !== undefined && exchange !== '' && knownTypes.includes(typeOf(vhost, exchange) ?? '');
  return {
    vhost,
    queue: name,
    exchange: isKept ? exchange : '',
    routingKey: isKept ? routingKey : name,
    properties: withoutHeaders(properties, ['x-delivery-count', 'x-acquired-count']),
    body,
  };
}

// The queue takes its messages back a moment after the channel is closed.
async function holds(amqp: AmqpWire, { name }: ListedQueue, expected: number): Promise<boolean> {
  const deadline = performance.now() + 5000;
  await amqp.openChannel();
  try {
    for (;;) {
      const { messages } = await amqp.count(name);
      if (messages === expected) return true;
      if (messages > expected || performance.now() > deadline) return false;
      await delay(20);
    }
  } finally {
    await amqp.closeChannel();
  }
}

function nameOf({ vhost, name }: ListedQueue): string {
  return `${vhost === '/' ? '' : vhost}/${name}`;
}
