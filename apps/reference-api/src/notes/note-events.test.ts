import { describe, expect, it, vi } from 'vitest';
import type { AmqpConnection } from '@devstack-core/database-connections';
import { memoryStore } from '../../test/fakes.ts';
import type { Backend } from '../backends/backend.ts';
import { eventRecorder, OutboxRelay } from './note-events.ts';
import type { PendingEvent } from './note-store.ts';
import type { NoteEvent } from './note.ts';

const event = (id: string): NoteEvent => ({
  id,
  kind: 'created',
  noteId: 'n',
  version: 1,
  title: 't',
  body: 'b',
  occurredAt: '2026-01-01T00:00:00.000Z',
});
const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };

function outboxOf(...ids: string[]): { pending: PendingEvent[]; store: ReturnType<typeof memoryStore> } {
  const pending = ids.map((id) => ({ position: id, event: event(id) }));
  const store = {
    ...memoryStore(),
    pendingEvents: async () => pending.slice(0, 2),
    forgetEvents: async (positions: readonly string[]) => {
      for (const position of positions)
        pending.splice(
          pending.findIndex((entry) => entry.position === position),
          1,
        );
    },
  };
  return { pending, store };
}

function brokerOf(publish: (message: { content: string }) => Promise<void>): Backend<AmqpConnection> {
  return {
    use: (work: (connection: object) => Promise<unknown>) => work({ publish }),
  } as unknown as Backend<AmqpConnection>;
}

describe('the outbox', () => {
  it('publishes everything once, in order', async () => {
    const { pending, store } = outboxOf('1', '2', '3');
    const published: string[] = [];
    using relay = new OutboxRelay({
      store,
      logger,
      rabbitmq: brokerOf(async ({ content }) => void published.push((JSON.parse(content) as NoteEvent).id)),
    });
    relay.start(60_000);
    relay.wake();
    await relay.idle();
    expect([published, pending]).toEqual([['1', '2', '3'], []]);
  });

  it('keeps what the broker has not confirmed, and publishes it later', async () => {
    const { pending, store } = outboxOf('1', '2');
    const publish = vi
      .fn()
      .mockRejectedValueOnce(new Error('gone'))
      .mockRejectedValueOnce(new Error('gone'))
      .mockResolvedValue(undefined);
    using relay = new OutboxRelay({ store, logger, rabbitmq: brokerOf(publish) });
    relay.wake();
    await relay.idle();
    expect(pending).toHaveLength(2);
    relay.wake();
    await relay.idle();
    expect(pending).toHaveLength(2);
    expect(logger.warn).toHaveBeenCalledTimes(1);
    relay.start(20);
    await vi.waitFor(() => {
      expect(pending).toHaveLength(0);
    });
  });
});

describe('an event', () => {
  it('is recorded in both places, and given back to the broker when one is away', async () => {
    const record = vi.fn(async () => undefined);
    const failing = vi.fn(async () => Promise.reject(new Error('away')));
    await eventRecorder({
      revisions: { record, of: async () => [] },
      counts: { record, read: async () => ({ created: 0, updated: 0, deleted: 0 }) },
      logger,
    })(event('1'));
    expect(record).toHaveBeenCalledTimes(2);
    const recorder = eventRecorder({
      revisions: { record: failing, of: async () => [] },
      counts: { record, read: async () => ({ created: 0, updated: 0, deleted: 0 }) },
      logger,
      retryAfterMs: 1,
    });
    await expect(recorder(event('2'))).rejects.toThrow('away');
  });
});
