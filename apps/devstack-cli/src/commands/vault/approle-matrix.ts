import { ExitCode } from '@devstack-core/errors';
import { provePrivileges } from '@devstack-core/stack-lifecycle';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(_args: Arguments, context: Context): Promise<Outcome> {
  const report = await provePrivileges(await context.stack());
  const verdict =
    report.violations.length === 0
      ? 'Every role is denied everything outside its own paths.'
      : `${String(report.violations.length)} cells are open that should not be.`;
  return {
    data: { schema: 'devstack/approle-matrix/1', ...report },
    text: `${table(report.tableHead, report.tableRows)}\n${String(report.cells.length)} tries. ${verdict}\n`,
    exitCode: report.violations.length === 0 ? ExitCode.done : ExitCode.findings,
  };
}
