import { renderMatrix } from '@devstack-core/network-audit';
import { egressTargetsOf } from '../../audits/egress.ts';
import { networkOf } from '../../audits/network.ts';
import { present } from '../../audits/present.ts';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const { report, matrix, methods } = await networkOf(stack, context, { egressTargets: egressTargetsOf(args) });
  const { columns, rows, legend } = renderMatrix(matrix);
  const words = Object.entries(legend).map(([word, meaning]) => `${word}: ${meaning}`);
  return present(args, {
    name: 'network',
    report,
    defaultFile: 'infrastructure/compose/compose.yaml',
    data: { matrix, methods },
    text: `${table(
      ['from', ...columns],
      rows.map(({ from, cells }) => [from, ...cells]),
    )}\n${words.join('\n')}\n\n`,
  });
}
