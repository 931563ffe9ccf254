import { createServer } from 'node:net';
import { freePort } from '@devstack-core/database-connections/test/faulty-servers';
import { describe, expect, it } from 'vitest';
import { waitHealthy, type WaitEvent } from './index.ts';

describe('waiting for health', () => {
  it('goes on until every service is healthy, and tells each attempt', async () => {
    const [early, late] = [await freePort(), await freePort()];
    await using first = createServer().listen(early, '127.0.0.1');
    const events: WaitEvent[] = [];
    const second = createServer();
    const results = await waitHealthy({
      probes: [
        { service: 'early', protocol: 'tcp', host: '127.0.0.1', port: early },
        { service: 'late', protocol: 'tcp', host: '127.0.0.1', port: late },
      ],
      deadlineMs: 10_000,
      intervalMs: 20,
      onEvent: (event) => {
        events.push(event);
        if (event.service === 'late' && event.attempt === 2) second.listen(late, '127.0.0.1');
      },
    });
    second.close();
    expect(first.listening).toBe(true);
    expect(results.map(({ service, healthy }) => [service, healthy])).toEqual([
      ['early', true],
      ['late', true],
    ]);
    expect(events.filter(({ service }) => service === 'early').map(({ type }) => type)).toEqual(['healthy']);
    const lateEvents = events.filter(({ service }) => service === 'late');
    expect(lateEvents[0]).toMatchObject({
      type: 'waiting',
      attempt: 1,
      result: { reason: expect.stringContaining('ECONNREFUSED') as string },
      remainingMs: expect.any(Number) as number,
    });
    expect(lateEvents.at(-1)).toMatchObject({ type: 'healthy' });
  });

  it('names what it waited for at the deadline, after no more attempts than its pauses allow', async () => {
    let attempts = 0;
    const port = await freePort();
    const waiting = waitHealthy({
      probes: [{ service: 'redis-2', protocol: 'tcp', host: '127.0.0.1', port }],
      deadlineMs: 400,
      intervalMs: 100,
      onEvent: () => (attempts += 1),
    });
    await expect(waiting).rejects.toMatchObject({
      code: 'HEALTH_DEADLINE_EXCEEDED',
      message: expect.stringMatching(/for redis-2\. redis-2: .*ECONNREFUSED/) as string,
      details: { results: [{ service: 'redis-2', healthy: false }] },
    });
    expect(attempts).toBeLessThanOrEqual(5);
  });

  it('stops when the signal is aborted', async () => {
    const stop = new AbortController();
    const waiting = waitHealthy({
      probes: [{ service: 'x', protocol: 'tcp', host: '127.0.0.1', port: await freePort() }],
      intervalMs: 5000,
      signal: stop.signal,
      onEvent: () => {
        stop.abort();
      },
    });
    await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});
