import { chooseSet } from './choose.ts';
import { readHistory } from './history.ts';
import { planRecovery, type RecoveryPlan } from './plan.ts';
import type { RecoveryOptions } from './recover.ts';
import { defaultObjectives } from './recovery-point.ts';
import { recoveryStepNames, type RecoveryStepName } from './types.ts';

/** What a dry run found. */
export interface DryRunReport {
  readonly schema: 'devstack/recovery-dry-run/1';
  readonly plan: RecoveryPlan;
  /** The whole set was restored for a trial, and no step has an objection. */
  readonly isRestorable: boolean;
  readonly problems: readonly { readonly step: RecoveryStepName; readonly problem: string }[];
  /** How long the verification took. */
  readonly verificationSeconds: number;
}

/** Proves that a recovery would succeed, by a trial restore of the whole set, and changes nothing. Throws `NO_RESTORABLE_BACKUP`. */
export async function dryRun(options: Omit<RecoveryOptions, 'directory'>): Promise<DryRunReport> {
  const { steps, objectives = defaultObjectives, now = () => new Date(), signal } = options;
  const startedAt = now();
  const clock = performance.now();
  const choice = await chooseSet({ ...options, level: 3, now: startedAt });
  const verificationSeconds = (performance.now() - clock) / 1000;
  const history = await readHistory(options.historyFile);
  const plan = await planRecovery({ choice, steps, history, objectives, now: startedAt });
  const problems: { step: RecoveryStepName; problem: string }[] = [];
  if (choice.verdict.verdict !== 'valid')
    problems.push(...choice.verdict.reasons.map((problem) => ({ step: 'backup' as const, problem })));
  for (const step of recoveryStepNames) {
    if (step === 'backup') continue;
    for (const problem of (await steps[step].preflight?.(plan.set, signal)) ?? []) problems.push({ step, problem });
  }
  const isRestorable = choice.verdict.verdict === 'valid' && problems.length === 0;
  return { schema: 'devstack/recovery-dry-run/1', plan, isRestorable, problems, verificationSeconds };
}
