import { join } from 'node:path';
import { setWalArchiving, walArchiveState, type WalArchiveState } from '@devstack-core/database-backup';
import { withStackLease, type Stack } from '@devstack-core/stack-lifecycle';
import { loginWithFiles } from '@devstack-core/vault-approle';
import { StackPlaces } from './places.ts';

/** How PostgreSQL's write-ahead log is archived. Throws SERVICE_NOT_RUNNING, PLACE_UNUSABLE. */
export async function walArchiving(stack: Stack): Promise<WalArchiveState> {
  await using session = await loginWithFiles({
    client: stack.vault(),
    directory: join(stack.directories.approles, 'backup'),
  });
  return await walArchiveState(await (await StackPlaces.open(stack, session.client)).postgres());
}

/**
 * Turns it on or off, for later starts as well, and gives the state that the server has taken. Throws LEASE_HELD besides the errors of
 * `walArchiving`.
 */
export async function changeWalArchiving(
  stack: Stack,
  isOn: boolean,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<WalArchiveState> {
  return withStackLease(stack, { owner: 'devstack backup wal', signal }, async () => {
    await using session = await loginWithFiles({
      client: stack.vault(),
      directory: join(stack.directories.approles, 'backup'),
    });
    const place = await (await StackPlaces.open(stack, session.client)).postgres();
    await setWalArchiving(place, isOn);
    return await walArchiveState(place);
  });
}
