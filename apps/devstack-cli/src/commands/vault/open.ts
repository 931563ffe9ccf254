import { openVault, startVault } from '@devstack-core/stack-lifecycle';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

/** `vault init` and `vault unseal`: both bring Vault to unsealed, from wherever it is. */
export async function run(_args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  await startVault(stack, { onEvent: context.onEvent, signal: context.signal });
  const outcome = await openVault(stack, { onEvent: context.onEvent, signal: context.signal });
  return {
    data: {
      schema: 'devstack/vault-open/1',
      address: stack.vaultAddress,
      changed: outcome.changed,
      detail: outcome.detail,
      keysDirectory: stack.directories.vault,
    },
    text: `Vault at ${stack.vaultAddress}: ${outcome.detail}. Keys: ${stack.directories.vault}\n`,
  };
}
