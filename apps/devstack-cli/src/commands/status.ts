import { networkWarning, status } from '@devstack-core/stack-lifecycle';
import type { Arguments, Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { ago, table } from '../output/table.ts';

export async function run(_args: Arguments, context: Context): Promise<Outcome> {
  const report = await status(await context.stack());
  const rows = report.services.map((service) => [
    service.service,
    service.state,
    service.health === 'none' ? '' : `${service.health} ${ago(service.since)}`.trimEnd(),
    service.addresses.join(' '),
    service.profiles[0] ?? '',
    `${service.imageSource}${service.engine === '' ? '' : ` (${service.engine})`}`,
    service.authentication,
    { false: '', true: 'offered', required: 'required' }[service.tls],
  ]);
  const warning = networkWarning(report.networks);
  const networks = warning === undefined ? '' : `WARNING: ${warning.text}\n  next: ${warning.hint}\n`;
  const head = `Project ${report.project}, Vault ${report.vault.state} at ${report.vault.address}\n${networks}\n`;
  return {
    data: { schema: 'devstack/status/1', ...report },
    text: head + table(['service', 'state', 'health', 'address', 'profile', 'image', 'logs in by', 'tls'], rows),
  };
}
