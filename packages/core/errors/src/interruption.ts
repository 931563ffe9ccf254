import { DevstackError, isDevstackError } from './devstack-error.ts';

/** The error of work that was stopped by the user or the caller. Code `INTERRUPTED`, exit code 130. */
export function interrupted(what: string, cause?: unknown): DevstackError {
  return new DevstackError({
    code: 'INTERRUPTED',
    message: `${what} was interrupted.`,
    hint: 'Run the same command again: it goes on where it stopped.',
    cause,
  });
}

/** The error to throw when the signal is aborted (otherwise undefined): its own reason where that is a `DevstackError`, otherwise `INTERRUPTED`. */
export function abortReason(signal: AbortSignal | undefined, what: string): DevstackError | undefined {
  if (signal?.aborted !== true) return undefined;
  return isDevstackError(signal.reason) ? signal.reason : interrupted(what, signal.reason);
}
