import type { OnRecoveryEvent, RecoveryPlan, RecoveryReport } from '@devstack-core/disaster-recovery';
import { DevstackError, ExitCode } from '@devstack-core/errors';
import { drillStack, dryRunStack, recoverStack, type RecoverStackOptions } from '@devstack-core/stack-backup';
import { openStore } from '../../backup/store.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const action = stringArgument(args, 'action');
  if (action !== undefined && action !== 'drill')
    throw new DevstackError({
      code: 'USAGE',
      message: `${action} is nothing that recover does.`,
      hint: 'See: devstack recover --help',
    });
  // On a machine that lost everything there is no project yet: the set says which it was.
  const project = context.env['DEVSTACK_PROJECT'] ?? 'devstack';
  const store = await openStore(args, context, { project, use: 'existing' });
  const options: RecoverStackOptions = {
    store,
    root: context.root,
    configHome: context.configHome,
    env: context.env,
    backup: stringArgument(args, 'backup'),
    acceptUnverified: args['accept-unverified'] === true,
    resume: args['resume'] === true,
    confirm: async (plan) => {
      // With --json standard output is the report's alone, and whoever is asked still sees the plan.
      if (args['json'] !== true) context.write(planText(plan));
      else if (args['force'] !== true) process.stderr.write(planText(plan));
      await context.confirm(
        'This brings the stack to that state; what is there is kept aside until it is proven.',
        args['force'] === true,
      );
      return true;
    },
    onRecoveryEvent: narrate(context),
    onEvent: (event) => {
      if (event.type === 'progress' || event.type === 'waiting' || event.type === 'warning') context.onEvent(event);
    },
    signal: context.signal,
  };
  if (args['dry-run'] === true) {
    const report = await dryRunStack(options);
    const problems = report.problems.map(({ step, problem }) => `Problem: ${step}: ${problem}`);
    return {
      data: report,
      text: `${planText(report.plan)}${problems.map((line) => `${line}\n`).join('')}${report.isRestorable ? 'It can be restored: every part was, for a trial.' : 'It cannot be restored as it is.'} Nothing was changed.\n`,
      exitCode: report.isRestorable ? ExitCode.done : ExitCode.findings,
    };
  }
  const report = await (action === 'drill' ? drillStack(options) : recoverStack(options));
  return { data: report, text: reportText(report) };
}

function narrate(context: Context): OnRecoveryEvent {
  return (event) => {
    if (event.type === 'step-started') context.onEvent({ type: 'step-started', step: event.step, title: event.step });
    else if (event.type === 'step-progress')
      context.onEvent({ type: 'progress', step: event.step, text: event.message });
    else if (event.type === 'step-finished')
      context.onEvent({
        type: 'step-done',
        step: event.step,
        title: event.step,
        changed: true,
        detail: event.did.join('; '),
        durationMs: event.seconds * 1000,
      });
    else if (event.type === 'candidate' && !event.isUsed)
      context.onEvent({
        type: 'warning',
        code: 'BACKUP_SKIPPED',
        text: `${event.id} is not used: ${event.reason}`,
        hint: '',
      });
    else if (event.type === 'step-failed')
      context.onEvent({
        type: 'warning',
        code: 'STEP_FAILED',
        text: `${event.step}: ${event.message}`,
        hint: 'What was there is put back.',
      });
    else if (event.type === 'put-back')
      context.onEvent({ type: 'progress', step: 'rollback', text: `put back ${event.aside.what}` });
  };
}

function planText(plan: RecoveryPlan): string {
  const { set, recoveryPoint } = plan;
  const rows = plan.steps.map(({ step, seconds, source, will }, index) => [
    String(index + 1),
    step,
    `${seconds.toFixed(0)} s${source === 'history' ? '' : ' (guess)'}`,
    will.join('; '),
  ]);
  return [
    `Backup ${set.id}, made ${set.createdAt}, number ${String(set.sequence)}, ${set.kind}; ${plan.provenAt === null ? 'never restored for a trial' : `restored for a trial ${plan.provenAt}`}.\n`,
    `What would be lost: ${durationText(recoveryPoint.worstSeconds)} of ${recoveryPoint.worstService} (objective ${durationText(plan.objectives.rpoSeconds)}${plan.isRpoMet ? '' : ', MISSED'}).\n`,
    ...plan.skipped.map(({ id, reason }) => `Not used: ${id}: ${reason}\n`),
    ...plan.warnings.map((warning) => `Note: ${warning}\n`),
    `\n${table(['', 'step', 'takes', 'what'], rows)}`,
    `About ${durationText(plan.estimateSeconds)} (objective ${durationText(plan.objectives.rtoSeconds)}).\n`,
  ].join('');
}

function reportText({ record, steps, trend, leftovers }: RecoveryReport): string {
  const rows = steps.map(({ step, seconds, did }, index) => [
    String(index + 1),
    step,
    `${seconds.toFixed(1)} s`,
    did.join('; '),
  ]);
  const times = `RTO ${durationText(record.rtoSeconds)} (objective ${durationText(record.objectives.rtoSeconds)}, ${record.isRtoMet ? 'met' : 'MISSED'}), RPO ${durationText(record.rpoSeconds)} (objective ${durationText(record.objectives.rpoSeconds)}, ${record.isRpoMet ? 'met' : 'MISSED'})`;
  return [
    table(['', 'step', 'took', 'what'], rows),
    `${record.kind === 'drill' ? 'Drill' : 'Recovery'} from ${record.backupId}: ${record.outcome}. ${times}.\n`,
    trendText(trend),
    ...leftovers.map(({ aside, reason }) => `Left over: ${aside.what} (${reason})\n`),
  ].join('');
}

function trendText({ direction, lastFive, fiveBefore }: RecoveryReport['trend']): string {
  if (lastFive === null) return '';
  const before = fiveBefore === null ? '' : `, ${direction} than ${durationText(fiveBefore)} of the five before`;
  return `The last five took ${durationText(lastFive)} (median)${direction === 'steady' ? ', as the five before' : before}.\n`;
}

function durationText(seconds: number): string {
  if (seconds < 90) return `${seconds.toFixed(0)} s`;
  const minutes = seconds / 60;
  return minutes < 90 ? `${minutes.toFixed(1)} min` : `${(minutes / 60).toFixed(1)} h`;
}
