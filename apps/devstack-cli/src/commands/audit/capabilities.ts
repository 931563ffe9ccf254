import { capabilitiesOf } from '../../audits/capabilities.ts';
import { present } from '../../audits/present.ts';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const { report, containers, accepted, score } = await capabilitiesOf(await context.stack(), context);
  const rows = containers.map((one) => [
    one.service,
    one.state,
    one.configured.join(' ') || 'none',
    one.reachable.join(' ') || 'none',
    one.risk,
    one.user,
    one.drift.join(' '),
  ]);
  const parts = score.parts.map((part) => `${part.name} ${String(part.value)} of ${String(part.max)}`).join(', ');
  return present(args, {
    name: 'capabilities',
    report,
    defaultFile: 'infrastructure/compose/compose.yaml',
    data: { containers, accepted, score },
    text: `${table(['service', 'state', 'added', 'reachable', 'risk', 'user', 'drift'], rows)}\nScore ${String(score.value)} of 100: ${parts}\n\n`,
  });
}
