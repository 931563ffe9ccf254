import { ExitCode } from '@devstack-core/errors';
import { renewCertificates, selectServices, usesTls, type RenewedCertificate } from '@devstack-core/stack-lifecycle';
import { requireRunning, requireVault } from '../../audits/require-running.ts';
import { listArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const named = listArgument(args, 'services');
  if (usesTls(stack.model)) await requireRunning(stack, named);
  const isForced = args['force'] === true;
  // Every one of them would wait for Vault, and fail for the same reason. Vault's own comes from the root.
  if (isForced && usesTls(stack.model) && named.join() !== 'vault') await requireVault(stack);
  const renewed = await renewCertificates(stack, {
    services: named.length === 0 ? undefined : selectServices(stack.model, { services: named }),
    force: isForced,
    onEvent: context.onEvent,
    signal: context.signal,
  });
  const isFailed = renewed.some((one) => one.outcome === 'failed');
  return {
    data: { schema: 'devstack/certs-renew/1', project: stack.project.id, certificates: renewed },
    text: renderRenewed(renewed),
    exitCode: isFailed ? ExitCode.failed : ExitCode.done,
  };
}

/** One line for each certificate, with what to do about those that failed. */
export function renderRenewed(renewed: readonly RenewedCertificate[]): string {
  if (renewed.length === 0) return 'No running service speaks TLS.\n';
  const rows = renewed.map((one) => [
    one.service,
    one.outcome === 'failed' ? 'FAILED' : one.outcome,
    one.taken === null ? '' : `by ${one.taken}`,
    one.notAfter?.slice(0, 16).replace('T', ' ') ?? '',
    one.nextStep === null ? one.reason : `${one.reason} Next: ${one.nextStep}`,
  ]);
  return table(['service', 'outcome', 'taken', 'until (UTC)', 'why'], rows);
}
