import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason, type DevstackError } from '@devstack-core/errors';

/** What `until` waits for, how often it looks, and what it says when time is up. */
export interface UntilOptions<T> {
  /** One look: a value ends the waiting, undefined means not yet; a throw ends it too. */
  readonly attempt: () => Promise<T | undefined>;
  /** Completes “Waiting for …” where the signal is aborted. */
  readonly what: string;
  readonly everyMs: number;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called before each pause. */
  readonly onWait?: (elapsedMs: number) => void;
  readonly expired: () => DevstackError | Promise<DevstackError>;
}

/** Looks again and again until there is a value. Throws INTERRUPTED on abort (also in the middle of a pause), and what `expired` gives at the deadline. */
export async function until<T>(options: UntilOptions<T>): Promise<T> {
  const started = performance.now();
  for (;;) {
    const value = await options.attempt();
    if (value !== undefined) return value;
    throwIfAborted(options.signal, `Waiting for ${options.what}`);
    const elapsedMs = performance.now() - started;
    if (elapsedMs > options.deadlineMs) throw await options.expired();
    options.onWait?.(elapsedMs);
    await sleep(options.everyMs, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

/** Throws INTERRUPTED (or the signal's own reason) where the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  const aborted = abortReason(signal, what);
  if (aborted !== undefined) throw aborted;
}
