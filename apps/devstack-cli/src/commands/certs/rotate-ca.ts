import { ExitCode } from '@devstack-core/errors';
import { exchangeRoot, retireRoots } from '@devstack-core/stack-lifecycle';
import { requireTls, requireVault } from '../../audits/require-running.ts';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { renderRenewed } from './renew.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const isEnd = args['retire'] === true;
  await requireTls(stack);
  // Otherwise the new root would be made, and wait for a Vault that can take it.
  await requireVault(stack);
  await context.confirm(
    isEnd
      ? 'The old root is trusted no longer: whoever has only its certificate will refuse the stack.'
      : 'This makes a new root and renews every certificate; the old root stays trusted until --retire.',
    args['yes'] === true,
  );
  const options = { onEvent: context.onEvent, signal: context.signal };
  const exchange = await (isEnd ? retireRoots(stack, options) : exchangeRoot(stack, options));
  const isFailed = exchange.renewed.some((one) => one.outcome === 'failed');
  const old = exchange.previous.join(', ');
  const head = isEnd
    ? old === ''
      ? `Root ${exchange.root} is the only one: nothing to retire.\n`
      : `Root ${old} is trusted no longer; ${exchange.root} is the only one.\n`
    : `Root ${exchange.root} signs now; ${old} is still trusted. Next: devstack certs rotate-ca --retire\n`;
  return {
    data: { schema: 'devstack/certs-rotate-ca/1', project: stack.project.id, retired: isEnd, ...exchange },
    text: `${head}${exchange.renewed.length === 0 ? '' : `\n${renderRenewed(exchange.renewed)}`}`,
    exitCode: isFailed ? ExitCode.failed : ExitCode.done,
  };
}
