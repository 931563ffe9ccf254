import { isDevstackError } from './devstack-error.ts';

/** What every DevStack command exits with. Other numbers are never used; readers treat an unknown one as failed. */
export const ExitCode: {
  readonly done: 0;
  readonly failed: 1;
  readonly usage: 2;
  readonly findings: 3;
  readonly interrupted: 130;
} = { done: 0, failed: 1, usage: 2, findings: 3, interrupted: 130 };

const usageCodes = new Set(['USAGE']);

/** The exit code for an error: 2 for code `USAGE` and for details `{usage: true}`, 130 for `INTERRUPTED`, otherwise 1. */
export function exitCodeFor(error: unknown): number {
  if (!isDevstackError(error)) return ExitCode.failed;
  if (error.code === 'INTERRUPTED') return ExitCode.interrupted;
  return usageCodes.has(error.code) || error.details['usage'] === true ? ExitCode.usage : ExitCode.failed;
}
