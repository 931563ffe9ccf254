import { randomBytes } from 'node:crypto';
import { abortReason } from '@devstack-core/errors';
import { propertyFacts } from './amqp-properties.ts';
import type { AmqpWire } from './amqp-wire.ts';
import { normalizeDefinitions, type Definition } from './definitions.ts';
import type { ManagementApi } from './management-api.ts';
import { readLines, type DumpedMessage } from './message-lines.ts';
import type { RabbitmqPlace } from './rabbitmq-place.ts';
import { exchangeTypes, expiringQueues, isReadable, openWire } from './read-messages.ts';
import { deleteBinding } from './restore-definitions.ts';

export interface RestoreMessagesOptions {
  readonly place: RabbitmqPlace;
  readonly api: ManagementApi;
  /** Delete first what is in the queues; refused otherwise. */
  readonly replace: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Publishes each message into the one queue that it was in, confirmed and in order, with its exchange and routing key: all other bindings of
 * that exchange are away meanwhile and come back at the end. Throws `Error`.
 */
export async function restoreMessages(
  content: AsyncIterable<Uint8Array>,
  { place, api, replace, signal }: RestoreMessagesOptions,
): Promise<void> {
  await emptyQueues(place, api, replace, signal);
  const definitions = normalizeDefinitions(await api.ask('GET', ['definitions']));
  const typeOf = exchangeTypes(definitions);
  const counts = new Map<string, { readonly vhost: string; readonly queue: string; count: number }>();
  await using detached = new DetachedBindings(api);
  await using stack = new AsyncDisposableStack();
  const connections = new Map<string, AmqpWire>();
  let way: Way | undefined;
  for await (const message of readLines(content)) {
    const aborted = abortReason(signal, 'The restore of messages');
    if (aborted !== undefined) throw aborted;
    const { vhost, queue } = message;
    let amqp = connections.get(vhost);
    if (amqp === undefined) {
      amqp = stack.use(await openWire(place, vhost, signal)).amqp;
      await amqp.openChannel();
      await amqp.confirmSelect();
      connections.set(vhost, amqp);
    }
    if (way?.vhost !== vhost || way.queue !== queue) {
      await way?.close();
      way = new Way(amqp, vhost, queue, typeOf);
    }
    if (message.exchange !== '') await detached.detach(vhost, message.exchange);
    await way.publish(message);
    const key = JSON.stringify([vhost, queue]);
    const entry = counts.get(key) ?? { vhost, queue, count: 0 };
    entry.count += 1;
    counts.set(key, entry);
  }
  await way?.close();
  await checkCounts(expiringQueues(definitions), connections, counts.values());
}

/** How messages come into one queue and no other. */
class Way {
  readonly vhost: string;
  readonly queue: string;
  readonly #amqp: AmqpWire;
  readonly #typeOf: ReturnType<typeof exchangeTypes>;
  readonly #bound = new Map<string, readonly [exchange: string, routingKey: string]>();
  #copies: string | undefined;

  constructor(amqp: AmqpWire, vhost: string, queue: string, typeOf: ReturnType<typeof exchangeTypes>) {
    this.#amqp = amqp;
    this.vhost = vhost;
    this.queue = queue;
    this.#typeOf = typeOf;
  }

  async publish(message: DumpedMessage): Promise<void> {
    const { exchange, routingKey, properties, body } = message;
    if (exchange !== '') await this.#bind(exchange, routingKey);
    // Carbon copies would go to other queues once more: an exchange of its own knows none.
    const isCopied = exchange === '' && propertyFacts(properties).headers.includes('CC');
    await this.#amqp.publish({ exchange: isCopied ? await this.#private() : exchange, routingKey, properties, body });
  }

  async close(): Promise<void> {
    await this.#amqp.confirmed();
    for (const [exchange, key] of this.#bound.values()) await this.#amqp.unbind(this.queue, exchange, key);
    this.#bound.clear();
    if (this.#copies !== undefined) await this.#amqp.unbind(this.queue, this.#copies, '');
  }

  async #bind(exchange: string, routingKey: string): Promise<void> {
    const type = this.#typeOf(this.vhost, exchange);
    const key = type === 'topic' ? '#' : type === 'direct' ? routingKey : '';
    const name = JSON.stringify([exchange, key]);
    if (this.#bound.has(name)) return;
    // Confirmations of earlier messages would come between the request and its answer.
    await this.#amqp.confirmed();
    await this.#amqp.bind(this.queue, exchange, key);
    this.#bound.set(name, [exchange, key]);
  }

  async #private(): Promise<string> {
    if (this.#copies !== undefined) return this.#copies;
    const name = `devstack-restore-${randomBytes(6).toString('hex')}`;
    await this.#amqp.confirmed();
    await this.#amqp.declareFanout(name);
    await this.#amqp.bind(this.queue, name, '');
    this.#copies = name;
    return name;
  }
}

/** Bindings that are away while messages are published, and back at the end of the scope. */
class DetachedBindings implements AsyncDisposable {
  readonly #api: ManagementApi;
  readonly #exchanges = new Map<string, readonly [vhost: string, exchange: string]>();
  readonly #bindings: Definition[] = [];

  constructor(api: ManagementApi) {
    this.#api = api;
  }

  async detach(vhost: string, exchange: string): Promise<void> {
    const name = JSON.stringify([vhost, exchange]);
    if (this.#exchanges.has(name)) return;
    this.#exchanges.set(name, [vhost, exchange]);
    this.#bindings.push(...(await this.#deleteAll(vhost, exchange)));
  }

  async #deleteAll(vhost: string, exchange: string): Promise<readonly Definition[]> {
    const path = ['exchanges', vhost, exchange, 'bindings', 'source'];
    const listed = (await this.#api.ask('GET', path)) as Definition[];
    for (const one of listed) await deleteBinding(this.#api, one);
    return listed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a restore that failed has bound for itself.
    for (const [vhost, exchange] of this.#exchanges.values()) await this.#deleteAll(vhost, exchange);
    const fields = ['vhost', 'source', 'destination', 'destination_type', 'routing_key', 'arguments'];
    const bindings = this.#bindings.map((one) => Object.fromEntries(fields.map((field) => [field, one[field]])));
    if (bindings.length > 0) await this.#api.ask('POST', ['definitions'], { bindings });
  }
}

async function emptyQueues(
  place: RabbitmqPlace,
  api: ManagementApi,
  replace: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const queues = (await api.queues()).filter(isReadable);
  for (const [vhost, group] of Map.groupBy(queues, (queue) => queue.vhost)) {
    await using wire = await openWire(place, vhost, signal);
    await wire.amqp.openChannel();
    for (const { name } of group) {
      const { messages } = await wire.amqp.count(name);
      if (messages > 0 && !replace)
        throw new Error(`the queue ${name} has ${String(messages)} messages, and replacing them was not allowed`);
      if (messages > 0) await wire.amqp.purge(name);
    }
  }
}

// Confirmed is not yet proof that each came into its queue once: that is counted, where nothing takes messages away.
async function checkCounts(
  expires: ReturnType<typeof expiringQueues>,
  connections: ReadonlyMap<string, AmqpWire>,
  counts: Iterable<{ readonly vhost: string; readonly queue: string; readonly count: number }>,
): Promise<void> {
  for (const { vhost, queue, count } of counts) {
    const found = await connections.get(vhost)?.count(queue);
    if (found === undefined || found.consumers > 0 || expires({ vhost, name: queue })) continue;
    if (found.messages > count)
      throw new Error(
        `the queue ${queue} has ${String(found.messages)} messages where ${String(count)} were published`,
      );
  }
}
