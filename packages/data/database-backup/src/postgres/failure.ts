import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';

/** What was being done, and so what its failure is called. */
export type Purpose = 'dump' | 'restore';

/**
 * The error of a program of PostgreSQL that failed. Of what it said only the messages are kept: details, context and the statement's own
 * text show rows and password verifiers.
 */
export function failure(purpose: Purpose, what: string, exitCode: number, stderr: string): DevstackError {
  const said = messagesIn(stderr);
  const [, sqlState] = /(?:ERROR|FATAL): {2}([0-9A-Z]{5}):/.exec(stderr) ?? [];
  // psql ends with 2, and the others say so, where the connection could not be made or was lost.
  const isConnection =
    /connection to server|server closed the connection|terminating connection|could not connect/.test(stderr);
  const code =
    isConnection && !/server closed|terminating/.test(stderr)
      ? DatabaseBackupErrorCode.placeUnusable
      : purpose === 'dump'
        ? DatabaseBackupErrorCode.dumpFailed
        : DatabaseBackupErrorCode.restoreFailed;
  return new DevstackError({
    code,
    message: `${what} failed (exit code ${String(exitCode)}): ${said}`,
    hint: hintOf(said, isConnection),
    details: { exitCode, sqlState: sqlState ?? null },
  });
}

/** The same where no program failed: what came is not what it should be. */
export function refusal(purpose: Purpose, message: string, hint?: string): DevstackError {
  return new DevstackError({
    code: purpose === 'dump' ? DatabaseBackupErrorCode.dumpFailed : DatabaseBackupErrorCode.restoreFailed,
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}

function hintOf(said: string, isConnection: boolean): string {
  if (/password authentication failed|no password supplied/.test(said))
    return 'The password in Vault is not the one that the server has: restart the service.';
  if (isConnection) return 'Look whether the server runs: devstack status.';
  if (said.includes('No space left')) return 'Free some disk space, then run it again.';
  return 'What was there before is unchanged. Run it again when the cause is gone.';
}

function messagesIn(stderr: string): string {
  const lines = stderr.split('\n').flatMap((line) => {
    const [, message] = /(?:error|ERROR|FATAL|PANIC): +(.*)$/.exec(line) ?? [];
    return message === undefined ? [] : [message.slice(0, 300)];
  });
  return lines.length === 0 ? 'it gave no reason' : [...new Set(lines)].slice(0, 3).join('; ');
}

/** The same error with what was being done said first. Others are given back as they are. */
export function failureAt(error: unknown, what: string): unknown {
  if (!isDevstackError(error, DatabaseBackupErrorCode.dumpFailed)) return error;
  return new DevstackError({
    code: error.code,
    message: `${what}: ${error.message}`,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: error.details,
    cause: error.cause,
  });
}
