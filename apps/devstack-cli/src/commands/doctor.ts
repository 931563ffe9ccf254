import { ExitCode } from '@devstack-core/errors';
import { doctor } from '@devstack-core/stack-lifecycle';
import type { Arguments, Outcome } from '../command.ts';
import type { Context } from '../context.ts';
import { table } from '../output/table.ts';

export async function run(_args: Arguments, context: Context): Promise<Outcome> {
  const report = await doctor(() => context.stack());
  const rows = report.checks.map((check) => [check.status, check.check, check.finding, check.fix ?? '']);
  const failed = report.checks.filter((check) => check.status === 'fail').length;
  return {
    data: { schema: 'devstack/doctor/1', ...report },
    text: `${table(['', 'check', 'finding', 'fix'], rows)}\n${failed === 0 ? 'Nothing must be mended.' : `${String(failed)} to mend.`}\n`,
    exitCode: report.healthy ? ExitCode.done : ExitCode.findings,
  };
}
