import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { DisasterRecoveryErrorCode } from './errors.ts';
import { rollBack } from './rollback.ts';
import type { RunHead, RunJournal } from './run-journal.ts';
import {
  recoveryStepNames,
  type Aside,
  type OnRecoveryEvent,
  type RecoveryStep,
  type RecoveryStepName,
  type RecoverySteps,
  type StepContext,
  type StepOutcome,
} from './types.ts';

export interface ExecuteOptions {
  readonly head: RunHead;
  readonly journal: RunJournal;
  readonly steps: RecoverySteps;
  /** Seconds that each step will take. */
  readonly estimates: ReadonlyMap<RecoveryStepName, number>;
  /** False for a target that is thrown away as a whole. */
  readonly canRollBack: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: OnRecoveryEvent | undefined;
  readonly now: () => Date;
}

/**
 * Does the steps that are not done yet, up to the proof. A step that fails has everything rolled back; an abort leaves all as it is, to be
 * resumed. Throws `RECOVERY_ROLLED_BACK`, `RECOVERY_ROLLBACK_FAILED`, `INTERRUPTED`.
 */
export async function execute(options: ExecuteOptions): Promise<void> {
  const { journal, onEvent, signal } = options;
  for (const step of recoveryStepNames) {
    if (step === 'backup') continue;
    if (journal.stepDone(step) !== undefined) {
      onEvent?.({ type: 'step-skipped', step, reason: 'done in an earlier run' });
      continue;
    }
    const early = abortReason(signal, 'The recovery');
    if (early !== undefined) throw early;
    try {
      await runStep(options, step);
    } catch (error) {
      if (isDevstackError(error, 'INTERRUPTED') || signal?.aborted === true) throw error;
      const failure = { step, message: error instanceof Error ? error.message : String(error) };
      onEvent?.({ type: 'step-failed', ...failure });
      if (!options.canRollBack) throw error;
      await rollBack(options, failure, error);
      throw rolledBack(failure, error);
    }
  }
  await journal.prove(proofOf(options));
  onEvent?.({ type: 'proven' });
}

async function runStep(options: ExecuteOptions, step: Exclude<RecoveryStepName, 'backup'>): Promise<void> {
  const { journal, onEvent, estimates } = options;
  const implementation = options.steps[step];
  const attempt = await journal.beginStep(step);
  onEvent?.({ type: 'step-started', step, attempt, estimateSeconds: estimates.get(step) ?? 0 });
  const startedAt = performance.now();
  const { did }: StepOutcome = await implementation.run({
    set: options.head.set,
    attempt,
    signal: options.signal,
    aside: journal.aside(step),
    keepAside: (aside, move) => keepAside(options, step, implementation, aside, move),
    report: (message) => onEvent?.({ type: 'step-progress', step, message }),
  } satisfies StepContext);
  if (did.length === 0) throw empty(step);
  const seconds = (performance.now() - startedAt) / 1000;
  await journal.finishStep(step, { seconds, did });
  onEvent?.({ type: 'step-finished', step, seconds, did });
}

async function keepAside(
  { journal, onEvent }: ExecuteOptions,
  step: RecoveryStepName,
  implementation: RecoveryStep,
  aside: Aside,
  move: (aside: Aside) => Promise<void>,
): Promise<void> {
  if (implementation.putBack === undefined)
    throw new TypeError(`The step ${step} puts something aside and has no way to put it back.`);
  const known = journal.aside(step).find(({ id }) => id === aside.id);
  if (known?.isComplete === true) return;
  // Where the first attempt said that it would be is where the move may have brought it.
  const first: Aside = known ?? (await journal.keepAside(step, aside, false));
  // Where there was nothing at first, what is there now is this step's own.
  if (first.keptAt !== undefined) await move(first);
  const kept = await journal.keepAside(step, first, true);
  onEvent?.({ type: 'kept-aside', aside: kept });
}

function proofOf({ head, journal, now }: ExecuteOptions): { finishedAt: string; rtoSeconds: number } {
  const finished = now();
  const measured = recoveryStepNames.reduce((sum, step) => sum + (journal.stepDone(step)?.seconds ?? 0), 0);
  // What was cut off was not measured; the clock of the wall tells at least how long the user waited.
  const elapsed = (finished.getTime() - Date.parse(head.startedAt)) / 1000;
  return { finishedAt: finished.toISOString(), rtoSeconds: journal.isResumed ? Math.max(measured, elapsed) : measured };
}

/** The error of a recovery whose every change was taken back. */
export function rolledBack(
  failure: { readonly step: RecoveryStepName; readonly message: string },
  cause?: unknown,
): DevstackError {
  const hint = isDevstackError(cause) ? cause.hint : undefined;
  return new DevstackError({
    code: DisasterRecoveryErrorCode.rolledBack,
    message: `The step ${failure.step} failed, and everything is as it was before: ${failure.message}`,
    ...(hint === undefined ? {} : { hint }),
    cause,
    details: { step: failure.step },
  });
}

function empty(step: RecoveryStepName): DevstackError {
  return new DevstackError({
    code: DisasterRecoveryErrorCode.stepEmpty,
    message: `The step ${step} ended without having done or found anything.`,
    hint: 'That is a defect of the step: a step that did nothing must not count as a success.',
    details: { step },
  });
}
