const tickMs = 50;
const ticksUntilStalled = 60;

/**
 * Waits for work that is done in this thread, or in answer to what it asks for, and may stop without a word: openpgp.js never settles when the
 * first packet inside of a message makes no sense. Ticks are counted, not time: a machine that slept has not stalled.
 */
export class StallWatch {
  readonly #isWaitingForInput: () => boolean;
  readonly #error: () => Error;
  #ticks = 0;
  #reject: ((error: Error) => void) | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(isWaitingForInput: () => boolean, error: () => Error) {
    this.#isWaitingForInput = isWaitingForInput;
    this.#error = error;
    this.#timer = setInterval(() => {
      this.#tick();
    }, tickMs);
  }

  /** The work's own end, or the error after 3 s in which it neither ended nor waited for input. */
  wait<T>(work: Promise<T>): Promise<T> {
    this.#ticks = 0;
    return new Promise<T>((resolve, reject) => {
      this.#reject = reject;
      work.then(resolve, reject).finally(() => (this.#reject = undefined));
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    this.#ticks = this.#isWaitingForInput() ? 0 : this.#ticks + 1;
    if (this.#ticks >= ticksUntilStalled) this.#reject?.(this.#error());
  }
}
