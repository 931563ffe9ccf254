import { abortReason, DevstackError } from '@devstack-core/errors';
import { BackupVerificationErrorCode } from './errors.ts';

/**
 * Work that gets a signal, and is given up when it does not follow it: what it gives later is handed to `late`, so that nothing stays behind.
 * Throws `VERIFICATION_TIMED_OUT`, and the reason of the caller's signal.
 */
export async function withDeadline<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
  late: (result: T) => Promise<void> = () => Promise.resolve(),
): Promise<T> {
  const timer = new AbortController();
  const given = Promise.withResolvers<never>();
  given.promise.catch(() => undefined);
  const timeout = setTimeout(() => {
    const error = timedOut(what, timeoutMs);
    timer.abort(error);
    given.reject(error);
  }, timeoutMs);
  const onAbort = (): void => {
    const reason = abortReason(signal, what);
    if (reason !== undefined) given.reject(reason);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  onAbort();
  const both = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal]);
  const working = work(both);
  let isGivenUp = false;
  try {
    return await Promise.race([working, given.promise]);
  } catch (error) {
    isGivenUp = true;
    throw error;
  } finally {
    clearTimeout(timeout);
    signal?.removeEventListener('abort', onAbort);
    if (isGivenUp) working.then(late).catch(() => undefined);
  }
}

function timedOut(what: string, timeoutMs: number): DevstackError {
  return new DevstackError({
    code: BackupVerificationErrorCode.timedOut,
    message: `${what} took longer than ${String(Math.round(timeoutMs / 1000))} s and was given up.`,
    hint: 'Allow it more time, or look what the machine is doing.',
  });
}
