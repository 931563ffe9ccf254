import { selfTest } from '@devstack-core/credential-audit';
import { ExitCode } from '@devstack-core/errors';
import { credentialsOf } from '../../audits/credentials.ts';
import { present } from '../../audits/present.ts';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  if (args['self-test'] === true) return runSelfTest(context);
  const report = await credentialsOf(stack, context, { history: args['history'] === true });
  const { searched, coverage } = report;
  const surfaces = coverage.map(({ surface, checked }) => `${surface} ${String(checked)}`).join(', ');
  return present(args, {
    name: 'credentials',
    report,
    defaultFile: 'infrastructure/compose/compose.yaml',
    data: {
      searched,
      coverage,
      unsearchable: report.unsearchable,
      ignored: report.ignored,
      skipped: report.skipped,
      gone: report.gone,
    },
    text: `${String(searched.values)} values in every encoding, ${(searched.bytes / 1e6).toFixed(1)} MB searched: ${surfaces}\n\n`,
  });
}

async function runSelfTest(context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const result = await selfTest({
    engine: await stack.engine(),
    image: 'devstack/base:local',
    signal: context.signal,
  });
  const rows = result.surfaces.map((one) => [
    one.surface,
    one.found ? 'found' : one.planted ? 'MISSED' : 'not planted',
    one.reason ?? '',
  ]);
  return {
    data: { schema: 'devstack/audit-self-test/1', passed: result.passed, surfaces: result.surfaces },
    text: `${table(['surface', 'canary', 'why'], rows)}\n${result.passed ? 'Every canary was found.' : 'A canary was missed: this audit cannot be trusted here.'}\n`,
    exitCode: result.passed ? ExitCode.done : ExitCode.failed,
  };
}
