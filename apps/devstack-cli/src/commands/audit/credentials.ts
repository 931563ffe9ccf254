import { runInteractive } from '@devstack-core/command-runner';
import { selfTest, watchProcesses } from '@devstack-core/credential-audit';
import { DevstackError, ExitCode } from '@devstack-core/errors';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { credentialsOf } from '../../audits/credentials.ts';
import { stackNeedles } from '../../audits/needles.ts';
import { present } from '../../audits/present.ts';
import { listArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  if (args['self-test'] === true) return runSelfTest(context);
  if (args['watch'] === true) return runWatch(args, stack);
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

/** Follows every program that is started while a command runs: its arguments and its environment. */
async function runWatch(args: Arguments, stack: Stack): Promise<Outcome> {
  const [program, ...rest] = listArgument(args, '--');
  if (program === undefined) {
    throw new DevstackError({
      code: 'USAGE',
      message: 'Say what to run after --.',
      hint: 'devstack audit credentials --watch -- ./backup.sh',
      details: { usage: true },
    });
  }
  const needles = await stackNeedles(stack);
  // It is the caller's own command, and gets what it would get without us.
  const watched = await watchProcesses({
    needles,
    run: () => runInteractive([program, ...rest], { inheritEnv: true }),
  });
  const { report, mode, processesSeen, processesUnread, value: status } = watched;
  const how = mode === 'kernel-events' ? "by the kernel's events" : `by looking every ${String(watched.pollMs)} ms`;
  const outcome = present(args, {
    name: 'watch',
    report,
    defaultFile: 'infrastructure/compose/compose.yaml',
    data: { mode, processesSeen, processesUnread, status },
    text: `${program} ended with ${String(status)}; ${String(processesSeen)} programs were started meanwhile, seen ${how}, ${String(processesUnread)} of them unread.\n\n`,
  });
  // A command that failed did not do what it was watched for.
  return status === 0 || outcome.exitCode !== ExitCode.done ? outcome : { ...outcome, exitCode: ExitCode.failed };
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
