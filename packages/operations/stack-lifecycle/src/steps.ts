import { join } from 'node:path';
import { ensurePrivateDirectory, openJournal, type Journal } from '@devstack-core/durable-files';
import { abortReason } from '@devstack-core/errors';
import type { OnEvent } from './events.ts';
import type { Stack } from './stack.ts';

/** What a step tells about itself: whether it changed anything, and one short line. */
export interface StepOutcome<T = undefined> {
  readonly changed: boolean;
  readonly detail: string;
  readonly value: T;
}

/**
 * Runs named steps in order with events, and notes each begin and end in a journal. Every step is idempotent, so a run that was
 * killed is repeated from the start: the journal is there to say where it stopped, not to skip.
 */
export class StepRunner implements AsyncDisposable {
  readonly #journal: Journal;
  readonly #onEvent: OnEvent;
  readonly #signal: AbortSignal | undefined;
  readonly resumedAfter: string | null;
  changed = false;

  private constructor(journal: Journal, onEvent: OnEvent, signal: AbortSignal | undefined) {
    this.#journal = journal;
    this.#onEvent = onEvent;
    this.#signal = signal;
    this.resumedAfter = journal.steps().at(-1)?.step ?? null;
  }

  static async open(
    stack: Stack,
    name: string,
    onEvent: OnEvent,
    signal: AbortSignal | undefined,
  ): Promise<StepRunner> {
    await ensurePrivateDirectory(stack.directories.state);
    const journal = await openJournal({ path: join(stack.directories.state, `${name}.journal`) });
    const runner = new StepRunner(journal, onEvent, signal);
    await journal.reset();
    return runner;
  }

  async run<T>(step: string, title: string, work: () => Promise<StepOutcome<T>>): Promise<T> {
    const aborted = abortReason(this.#signal, title);
    if (aborted !== undefined) throw aborted;
    const started = performance.now();
    // Noted before it is told: who was told of a step and kills the run finds that step in the journal.
    await this.#journal.begin(step);
    this.#onEvent({ type: 'step-started', step, title });
    const outcome = await work();
    await this.#journal.done(step);
    this.changed ||= outcome.changed;
    this.#onEvent({
      type: 'step-done',
      step,
      title,
      changed: outcome.changed,
      detail: outcome.detail,
      durationMs: performance.now() - started,
    });
    return outcome.value;
  }

  /** Everything was done: the next run has nothing to resume. */
  async finish(): Promise<void> {
    await this.#journal.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#journal.close();
  }
}
