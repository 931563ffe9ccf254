import { setTimeout as delay } from 'node:timers/promises';
import type { AmqpConnection } from '@devstack-core/database-connections';
import type { Backend } from '../backends/backend.ts';
import type { Logger } from '../logger.ts';
import type { NoteCounts } from './note-counts.ts';
import type { NoteRevisions } from './note-revisions.ts';
import type { NoteStore } from './note-store.ts';
import type { NoteEvent } from './note.ts';

/** The durable queue of RabbitMQ that the events go through. */
export const noteEventsQueue: string = 'reference-api.note-events';

/** Makes the queue, and begins to record what comes through it. For every new connection. */
export async function consumeNoteEvents(
  connection: AmqpConnection,
  record: (event: NoteEvent) => Promise<void>,
): Promise<void> {
  await connection.declareQueue(noteEventsQueue, { durable: true });
  await connection.consume(noteEventsQueue, async ({ content }) =>
    record(JSON.parse(Buffer.from(content).toString('utf8')) as NoteEvent),
  );
}

/** Writes an event where it can be asked for: a document in MongoDB, a count in MySQL. The same event may come twice. */
export function eventRecorder(options: {
  readonly revisions: NoteRevisions;
  readonly counts: NoteCounts;
  readonly logger: Logger;
  readonly retryAfterMs?: number;
}): (event: NoteEvent) => Promise<void> {
  return async (event) => {
    try {
      await Promise.all([options.revisions.record(event), options.counts.record(event)]);
    } catch (error) {
      options.logger.warn(
        { err: error, eventId: event.id },
        'an event could not be recorded, it will be delivered again',
      );
      // The broker delivers it again at once.
      await delay(options.retryAfterMs ?? 1000, undefined, { ref: false });
      throw error;
    }
  };
}

/** Publishes what waits in the outbox, one run at a time. */
export class OutboxRelay implements Disposable {
  readonly #store: NoteStore;
  readonly #rabbitmq: Backend<AmqpConnection>;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #isStuck = false;

  constructor(options: {
    readonly store: NoteStore;
    readonly rabbitmq: Backend<AmqpConnection>;
    readonly logger: Logger;
  }) {
    this.#store = options.store;
    this.#rabbitmq = options.rabbitmq;
    this.#logger = options.logger;
  }

  /** Looks every few seconds, for what was left when the broker was away, and so that the consumer is connected. */
  start(intervalMs = 3000): void {
    this.#timer = setInterval(() => {
      this.wake();
    }, intervalMs);
    this.#timer.unref();
    this.wake();
  }

  /** There is something to publish. */
  wake(): void {
    this.#isWanted = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#isWanted) this.wake();
    });
  }

  /** Resolves when what is being published is. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#isWanted = false;
  }

  async #run(): Promise<void> {
    this.#isWanted = false;
    try {
      await this.#rabbitmq.use(async (connection) => {
        for (
          let batch = await this.#store.pendingEvents(100);
          batch.length > 0;
          batch = await this.#store.pendingEvents(100)
        ) {
          for (const { event } of batch) {
            await connection.publish({ routingKey: noteEventsQueue, content: JSON.stringify(event), persistent: true });
          }
          await this.#store.forgetEvents(batch.map(({ position }) => position));
        }
      });
      if (this.#isStuck) this.#logger.info('events are published again');
      this.#isStuck = false;
    } catch (error) {
      // Once per change, not once per try.
      if (!this.#isStuck) this.#logger.warn({ err: error }, 'no events are published, they wait in the outbox');
      this.#isStuck = true;
    }
  }
}
