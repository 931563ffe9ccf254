import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { BackupStore } from '@devstack-core/backup-store';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { compareStack, restoreDatabases } from './stack-backup.ts';

// Git hosting stops for it: nobody else may start or stop anything meanwhile.
it.each([
  ['comparison', compareStack],
  ['restore', restoreDatabases],
])('a %s with a backup holds the lease of the stack, and gives it back', async (_, work) => {
  await using folder = await temporaryFolder();
  const state = join(folder.path, 'state');
  const stack = {
    project: { id: 'p', configDirectory: folder.path },
    directories: { state },
  } as unknown as Stack;
  const held: boolean[] = [];
  const store = {
    read: () => {
      held.push(existsSync(join(state, 'stack.lock')));
      return Promise.reject(new Error('enough'));
    },
  } as unknown as BackupStore;
  expect(existsSync(join(state, 'stack.lock'))).toBe(false);
  await expect(work(stack, store, { id: '20261121_020000' })).rejects.toThrow('enough');
  expect(held).toEqual([true]);
  await expect(work(stack, store, { id: '20261121_020000' })).rejects.toThrow('enough');
});
