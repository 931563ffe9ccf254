import type { Choice, SetVerdict } from './choose.ts';
import { estimateSteps, type RecoveryRecord, type StepEstimate } from './history.ts';
import { recoveryPoint, type Objectives, type RecoveryPoint } from './recovery-point.ts';
import { recoveryStepNames, type RecoverySet, type RecoverySteps } from './types.ts';

/** What will be done, shown before anything is. */
export interface RecoveryPlan {
  readonly schema: 'devstack/recovery-plan/1';
  readonly set: RecoverySet;
  readonly provenAt: string | null;
  readonly verdict: SetVerdict;
  /** Newer sets that were not taken. */
  readonly skipped: readonly { readonly id: string; readonly reason: string }[];
  readonly warnings: readonly string[];
  readonly steps: readonly (StepEstimate & { readonly will: readonly string[] })[];
  readonly estimateSeconds: number;
  readonly recoveryPoint: RecoveryPoint;
  readonly objectives: Objectives;
  readonly isRtoMet: boolean;
  readonly isRpoMet: boolean;
}

export interface PlanOptions {
  readonly choice: Choice;
  readonly steps: RecoverySteps;
  readonly history: readonly RecoveryRecord[];
  readonly objectives: Objectives;
  readonly now: Date;
}

export async function planRecovery(options: PlanOptions): Promise<RecoveryPlan> {
  const { choice, objectives, now } = options;
  const { provenAt, unusable: _unusable, ...set } = choice.set;
  const estimates = new Map(estimateSteps(options.history).map((estimate) => [estimate.step, estimate]));
  const steps: RecoveryPlan['steps'][number][] = [];
  for (const step of recoveryStepNames) {
    const estimate = estimates.get(step) ?? { step, seconds: 0, source: 'budget' };
    const will =
      step === 'backup'
        ? [`verify backup ${set.id}, made ${set.createdAt}`]
        : ((await options.steps[step].describe?.(set)) ?? []);
    steps.push({ ...estimate, will });
  }
  const estimateSeconds = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  const point = recoveryPoint(set, now);
  return {
    schema: 'devstack/recovery-plan/1',
    set,
    provenAt: provenAt ?? null,
    verdict: choice.verdict,
    skipped: choice.skipped,
    warnings: choice.warnings,
    steps,
    estimateSeconds,
    recoveryPoint: point,
    objectives,
    isRtoMet: estimateSeconds <= objectives.rtoSeconds,
    isRpoMet: point.worstSeconds <= objectives.rpoSeconds,
  };
}
