import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StepContext } from '@devstack-core/disaster-recovery';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { bringUp, withStackLease, type Stack } from '@devstack-core/stack-lifecycle';
import { readKeys, readRootToken, restoreVault, unsealVault, type VaultKeys } from '@devstack-core/vault-lifecycle';
import { StackBackupErrorCode } from './errors.ts';
import { oldStackAside } from './old-stack.ts';
import type { StackRecoveryOptions } from './recovery-steps.ts';
import { replaceFolders } from './replace-files.ts';
import { bytesOf, partOf, unpackPart } from './set-files.ts';

/** Takes the old stack aside and makes a Vault of the set's keys, data, logins and certificates, as one thing for everybody else. */
export async function restoreVaultStep(
  options: StackRecoveryOptions,
  context: StepContext,
): Promise<{ readonly did: readonly string[] }> {
  const stack = await options.stack();
  const { signal } = context;
  return withStackLease(stack, { owner: 'devstack recover', signal }, () => intoNewVault(options, context, stack));
}

async function intoNewVault(
  options: StackRecoveryOptions,
  context: StepContext,
  stack: Stack,
): Promise<{ readonly did: readonly string[] }> {
  const { store, onEvent } = options;
  const { signal } = context;
  const manifest = await store.read(context.set.id);
  const snapshot = await bytesOf(store.open(manifest.id, partOf(manifest, 'vault', 'raft').artifact));
  const did = [...(await oldStackAside(stack, context))];
  const folder = stack.project.configDirectory;
  await ensurePrivateDirectory(folder);
  const unpacked = await unpackPart(store, manifest, {
    service: 'vault',
    part: 'vault',
    directory: stagingOf(options),
    signal,
  });
  const keys = await readKeys({ directory: join(unpacked, 'vault') });
  // The root first: the new Vault is reached by the certificates that clients trust already.
  await replaceFolders(unpacked, folder, ['certificates']);
  await bringUp(stack, { services: ['vault'], signal, ...(onEvent === undefined ? {} : { onEvent }) });
  refuseOtherShares(keys, await readKeys({ directory: stack.directories.vault }));
  const client = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  await restoreVault({ client, data: snapshot, force: true });
  // From here on the old keys are the right ones, and what the throw-away Vault has left is not.
  await replaceFolders(unpacked, folder, ['vault', 'approles', 'state']);
  // What was delivered into volumes that are gone is delivered again.
  await rm(join(folder, 'state', 'delivered.json'), { force: true });
  await rm(stagingOf(options), { recursive: true, force: true });
  await unsealVault({ client: stack.vault(), directory: stack.directories.vault });
  did.push(`Vault is restored and unsealed with its own keys (${String(keys.threshold)} of ${String(keys.shares)})`);
  return { did };
}

/** Where a set's keys are for a moment, in the clear: gone at the end of the step and after a rollback. */
export function stagingOf({ work }: Pick<StackRecoveryOptions, 'work'>): string {
  return join(work, 'vault');
}

/** Vault takes a snapshot by force only where its keys are of the same number. Throws VAULT_OTHER_SHARES. */
export function refuseOtherShares(ofSet: VaultKeys, here: VaultKeys): void {
  if (here.shares === ofSet.shares && here.threshold === ofSet.threshold) return;
  throw new DevstackError({
    code: StackBackupErrorCode.otherShares,
    message: `The Vault of the backup has ${String(ofSet.threshold)} of ${String(ofSet.shares)} keys, and the one here ${String(here.threshold)} of ${String(here.shares)}.`,
    hint: "Restore Vault by hand: the set's RECOVERY.md says how.",
  });
}
