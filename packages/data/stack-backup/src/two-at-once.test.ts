import { join } from 'node:path';
import { withStackLease, type Stack } from '@devstack-core/stack-lifecycle';
import { expect, it } from 'vitest';
import { storeIn } from '../test/fake-service.ts';
import { temporaryFolder } from '../test/folder.ts';
import { backUpStack, restoreStack } from './index.ts';

// Of the stack nothing but its folder: whoever asks for its engine is already at work.
function stackIn(folder: string): Stack {
  const stack = {
    project: { id: 'p', configDirectory: folder },
    directories: { state: join(folder, 'state'), approles: join(folder, 'approles') },
    engine: () => Promise.reject(new Error('somebody is at work')),
    vault: () => {
      throw new Error('somebody is at work');
    },
  };
  return stack as unknown as Stack;
}

it('a backup or a restore while another one is at work is told who that is, and touches nothing', async () => {
  await using folder = await temporaryFolder();
  const stack = stackIn(folder.path);
  const store = storeIn(join(folder.path, 'sets'));
  await withStackLease(stack, { owner: 'devstack backup restore' }, async () => {
    const refused = { code: 'LEASE_HELD', message: expect.stringContaining('devstack backup restore') as string };
    await expect(restoreStack(stack, store, { id: '20261120_020000' })).rejects.toMatchObject(refused);
    await expect(backUpStack(stack, store)).rejects.toMatchObject(refused);
  });
  // The control: when it is over the next one goes to work.
  await expect(backUpStack(stack, store)).rejects.toThrow('somebody is at work');
});
