import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rootFolder, serve, type RootFolder } from '../test/served.ts';
import { issueFromRoot, probeTls, readLeaf, renew, watch, type WatchEvent, type WatchOptions } from './index.ts';

const day = 86_400_000;
let folder: RootFolder;
beforeAll(async () => {
  folder = await rootFolder();
});
afterAll(async () => folder[Symbol.asyncDispose]());

/** A clock that only the loop's own pauses move; the loop ends at `untilMs`. */
function simulate(untilMs: number) {
  const start = Date.now();
  let at = start;
  const end = new AbortController();
  const pauses: number[] = [];
  const events: WatchEvent[] = [];
  const now = (): Date => new Date(at);
  const options: Omit<WatchOptions, 'certificates'> = {
    signal: end.signal,
    now,
    random: () => 0.5,
    onEvent: (event) => events.push(event),
    sleep: (ms) => {
      pauses.push(ms);
      at += ms;
      if (at - start > untilMs) end.abort();
      return Promise.resolve();
    },
  };
  return { options, events, pauses, now, elapsedMs: () => at - start };
}

describe('watch', () => {
  it('installs what is missing, looks every hour, and renews each certificate once in its window, not both at once', async () => {
    const { options, events, now, pauses } = simulate(70 * day);
    let random = 0;
    const certificate = (name: string) => ({
      name,
      directory: join(folder.path, name),
      issue: () => issueFromRoot({ root: folder.root, commonName: name, now: now() }),
    });
    await watch({
      ...options,
      intervalMs: day,
      random: () => (random = (random + 0.4) % 1),
      certificates: [certificate('one'), certificate('two')],
    });
    const renewals = events.filter(({ type }) => type === 'renewed');
    expect(renewals.map(({ name }) => name).toSorted()).toEqual(['one', 'one', 'two', 'two']);
    expect(renewals[2]?.name).not.toBe(renewals[3]?.name);
    const [, , third, fourth] = renewals;
    for (const renewal of [third, fourth]) {
      const notAfter = renewal !== undefined && 'notAfter' in renewal ? renewal.notAfter.getTime() : 0;
      const day60 = (notAfter - 90 * day - Date.now()) / day;
      expect(day60).toBeGreaterThan(59);
      expect(day60).toBeLessThan(61.1);
    }
    expect(Math.max(...pauses)).toBeLessThanOrEqual(day);
    expect(events.filter(({ type }) => type === 'failed')).toEqual([]);
  });

  it('tries again after a failure, sooner where less time is left, and goes on when it works', async () => {
    const { options, events, now, elapsedMs } = simulate(120_000);
    const directory = join(folder.path, 'failing');
    const failedAt: number[] = [];
    let isAway = false;
    await watch({
      ...options,
      certificates: [
        {
          name: 'failing',
          directory,
          issue: async () => {
            if (isAway) {
              failedAt.push(elapsedMs());
              isAway = failedAt.length < 3;
              throw new Error('away');
            }
            isAway = failedAt.length < 3;
            return issueFromRoot({ root: folder.root, commonName: 'x', ttlS: 60, now: now() });
          },
        },
      ],
    });
    const types = events.map(({ type }) => type).filter((type) => type !== 'checked');
    expect(types.slice(0, 5)).toEqual(['renewed', 'failed', 'failed', 'failed', 'renewed']);
    expect(failedAt[0]).toBeGreaterThanOrEqual(39_000);
    expect(failedAt[2]).toBeLessThan(60_000);
    expect((await readLeaf(directory)).notAfter.getTime()).toBeGreaterThan(now().getTime());
  });

  it('backs off to the interval when there is nothing to lose, and never gives up', async () => {
    const { options, events, pauses } = simulate(day);
    const issue = () => Promise.reject(new Error('away'));
    await watch({ ...options, certificates: [{ name: 'never', directory: join(folder.path, 'never'), issue }] });
    expect(events.every(({ type }) => type === 'failed')).toBe(true);
    expect(pauses.slice(0, 3)).toEqual([60_000, 120_000, 240_000]);
    expect(pauses.at(-1)).toBe(3_600_000);
  });

  it('a certificate that lives for seconds renews by itself under load, and no connection sees a bad one', async () => {
    await using server = await serve(folder, 'short');
    const end = new AbortController();
    const serials = new Set<string>();
    const verdicts = new Set<string>();
    const client = (async () => {
      while (!end.signal.aborted) {
        const seen = await probeTls({
          host: '127.0.0.1',
          port: server.port,
          servername: 'server',
          ca: folder.root.bundlePem,
        });
        verdicts.add(seen.verdict);
        serials.add(seen.certificate?.serial ?? '');
        if (serials.size === 4) end.abort();
      }
    })();
    // The first of the server lives for 90 days; each that follows is due 4 s after it was made and over after 6.
    const short = () => issueFromRoot({ root: folder.root, commonName: 'server', ttlS: 6 });
    await renew({ ...server.options, issue: short, force: true });
    await watch({
      signal: AbortSignal.any([end.signal, AbortSignal.timeout(25_000)]),
      certificates: [{ ...server.options, name: 'short', issue: short }],
    });
    end.abort();
    await client;
    expect(serials.size).toBe(4);
    expect([...verdicts]).toEqual(['ok']);
  });

  it('ends at once when it is told to, and not in the middle of a renewal', async () => {
    await watch({
      certificates: [{ name: 'x', directory: folder.path, issue: () => Promise.reject(new Error('x')) }],
      signal: AbortSignal.abort(),
    });
    await watch({ certificates: [] });
    const end = new AbortController();
    const directory = join(folder.path, 'ending');
    const started = performance.now();
    await watch({
      signal: end.signal,
      certificates: [
        {
          name: 'ending',
          directory,
          issue: () => {
            end.abort();
            return issueFromRoot({ root: folder.root, commonName: 'x' });
          },
        },
      ],
    });
    expect((await readLeaf(directory)).serial).not.toBe('');
    const later = new AbortController();
    setTimeout(() => {
      later.abort();
    }, 50);
    await watch({
      signal: later.signal,
      certificates: [{ name: 'ending', directory, issue: () => Promise.reject(new Error('not due')) }],
    });
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
