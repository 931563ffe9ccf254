import { DevstackError } from '@devstack-core/errors';
import { expect, test } from 'vitest';
import { throwIfAborted, until } from './timing.ts';

const late = new DevstackError({ code: 'LATE', message: 'too late' });
const options = { what: 'a thing', everyMs: 5, deadlineMs: 1000, expired: () => late };

test('waiting ends with the first value, after telling of each pause', async () => {
  let looks = 0;
  const waits: number[] = [];
  const attempt = (): Promise<string | undefined> => Promise.resolve((looks += 1) < 3 ? undefined : 'there');
  expect(await until({ ...options, attempt, onWait: (elapsedMs) => waits.push(elapsedMs) })).toBe('there');
  expect(waits).toHaveLength(2);
});

test('waiting ends at the deadline with what the caller says', async () => {
  await expect(until({ ...options, deadlineMs: 10, attempt: () => Promise.resolve(undefined) })).rejects.toBe(late);
});

test('an abort ends a pause at once and names what was waited for', async () => {
  const stop = new AbortController();
  const waiting = until({
    ...options,
    everyMs: 60_000,
    signal: stop.signal,
    attempt: () => Promise.resolve(undefined),
    onWait: () =>
      setTimeout(() => {
        stop.abort();
      }, 1),
  });
  await expect(waiting).rejects.toMatchObject({
    code: 'INTERRUPTED',
    message: expect.stringContaining('a thing') as string,
  });
  expect(() => {
    throwIfAborted(undefined, 'x');
  }).not.toThrow();
});
