import { DevstackError } from '@devstack-core/errors';
import { DisasterRecoveryErrorCode } from './errors.ts';
import type { Failure, RunHead, RunJournal } from './run-journal.ts';
import { recoveryStepNames, type OnRecoveryEvent, type RecoverySteps } from './types.ts';

export interface RollBackOptions {
  readonly head: RunHead;
  readonly journal: RunJournal;
  readonly steps: RecoverySteps;
  readonly onEvent: OnRecoveryEvent | undefined;
}

/**
 * Takes everything back, the latest first: each step's own undoing, then what it put aside. Cut off, it goes on where it stopped.
 * Throws `RECOVERY_ROLLBACK_FAILED`; the journal stays then.
 */
export async function rollBack(options: RollBackOptions, failure: Failure, cause?: unknown): Promise<void> {
  const { journal, steps, head, onEvent } = options;
  if (journal.failure === undefined) await journal.beginRollback(failure);
  for (const step of recoveryStepNames.toReversed()) {
    if (step === 'backup' || journal.attempts(step) === 0) continue;
    const implementation = steps[step];
    try {
      await journal.once(`undo ${step}`, async () => {
        await implementation.undo?.(head.set);
        onEvent?.({ type: 'undone', step });
      });
      for (const aside of journal.aside(step).toReversed()) {
        await journal.once(`put back ${step} ${aside.id}`, async () => {
          await implementation.putBack?.(aside);
          onEvent?.({ type: 'put-back', aside });
        });
      }
    } catch (error) {
      throw notRolledBack(step, failure, journal, error, cause);
    }
  }
}

function notRolledBack(
  step: string,
  failure: Failure,
  journal: RunJournal,
  error: unknown,
  cause: unknown,
): DevstackError {
  const kept = journal.aside().flatMap(({ what, keptAt }) => (keptAt === undefined ? [] : [`${what} at ${keptAt}`]));
  return new DevstackError({
    code: DisasterRecoveryErrorCode.rollbackFailed,
    message: `The step ${failure.step} failed (${failure.message}), and taking back the step ${step} failed, too: ${error instanceof Error ? error.message : String(error)}`,
    hint: `Nothing is lost: what was there is kept (${kept.join(', ') || 'nothing had to be'}). Mend what the message names, then resume: the rollback goes on.`,
    cause: new AggregateError(cause === undefined ? [error] : [cause, error]),
    details: { step, failedStep: failure.step, kept },
  });
}
