import { ExitCode } from '@devstack-core/errors';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

export async function run(_args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const state = await stack.vault().health({ deadlineMs: 0 });
  const words = !state.initialized ? 'not initialised' : state.sealed ? 'sealed' : 'unsealed';
  const next = !state.initialized ? ' Next: devstack up' : state.sealed ? ' Next: devstack vault unseal' : '';
  return {
    data: {
      schema: 'devstack/vault-status/1',
      address: stack.vaultAddress,
      initialized: state.initialized,
      sealed: state.sealed,
      version: state.version,
    },
    text: `Vault ${state.version} at ${stack.vaultAddress} is ${words}.${next}\n`,
    exitCode: state.initialized && !state.sealed ? ExitCode.done : ExitCode.findings,
  };
}
