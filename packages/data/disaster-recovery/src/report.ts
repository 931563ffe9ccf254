import { recoveryTrend, type RecoveryRecord, type RecoveryTrend } from './history.ts';
import { recoveryPoint } from './recovery-point.ts';
import type { Failure, RunHead, RunJournal } from './run-journal.ts';
import { recoveryStepNames, type KeptAside, type RecoveryStepName } from './types.ts';

/** What came of a recovery or a drill. */
export interface RecoveryReport {
  readonly schema: 'devstack/recovery-report/1';
  readonly record: RecoveryRecord;
  readonly steps: readonly {
    readonly step: RecoveryStepName;
    readonly seconds: number;
    readonly did: readonly string[];
  }[];
  readonly trend: RecoveryTrend;
  /** What was kept aside and could not be removed afterwards. */
  readonly leftovers: readonly { readonly aside: KeptAside; readonly reason: string }[];
}

/** The line for the history. */
export function recordOf(
  head: RunHead,
  journal: RunJournal,
  outcome: RecoveryRecord['outcome'],
  failure: Failure | undefined,
  now: Date,
): RecoveryRecord {
  const steps = recoveryStepNames.flatMap((step) => {
    const done = journal.stepDone(step);
    return done === undefined ? [] : [{ step, seconds: done.seconds }];
  });
  const rtoSeconds = journal.proof?.rtoSeconds ?? steps.reduce((sum, { seconds }) => sum + seconds, 0);
  const point = recoveryPoint(head.set, new Date(head.startedAt));
  return {
    schema: 'devstack/recovery/1',
    runId: head.runId,
    kind: head.kind,
    outcome,
    failedStep: failure?.step ?? null,
    backupId: head.set.id,
    sizeBytes: head.set.sizeBytes,
    startedAt: head.startedAt,
    finishedAt: journal.proof?.finishedAt ?? now.toISOString(),
    isResumed: journal.isResumed,
    steps,
    rtoSeconds,
    rpoSeconds: point.worstSeconds,
    rpoService: point.worstService,
    objectives: head.objectives,
    isRtoMet: outcome === 'recovered' && rtoSeconds <= head.objectives.rtoSeconds,
    isRpoMet: outcome === 'recovered' && point.worstSeconds <= head.objectives.rpoSeconds,
  };
}

export function reportOf(
  record: RecoveryRecord,
  journal: RunJournal,
  history: readonly RecoveryRecord[],
  leftovers: RecoveryReport['leftovers'],
): RecoveryReport {
  const steps = recoveryStepNames.flatMap((step) => {
    const done = journal.stepDone(step);
    return done === undefined ? [] : [{ step, ...done }];
  });
  return { schema: 'devstack/recovery-report/1', record, steps, trend: recoveryTrend(history), leftovers };
}
