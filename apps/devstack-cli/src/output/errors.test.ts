import { DevstackError } from '@devstack-core/errors';
import { expect, test } from 'vitest';
import { firstError, renderError } from './errors.ts';

test('an error is not hidden by one of giving back what was taken', async () => {
  const full = new DevstackError({ code: 'DISK_FULL', message: 'The disk is full.', hint: 'Make room.' });
  const failing = (): AsyncDisposable => ({
    [Symbol.asyncDispose]: () => Promise.reject(new Error('also failed')),
  });
  const caught = await (async () => {
    await using _outer = failing();
    await using _inner = failing();
    throw full;
  })().catch((error: unknown) => error);
  expect(caught).not.toBe(full);
  expect(firstError(caught)).toBe(full);
  expect(renderError(firstError(caught), { json: false, color: false })).toBe(
    'error The disk is full. [DISK_FULL]\n  next: Make room.\n',
  );
});
