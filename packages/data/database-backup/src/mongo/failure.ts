import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';

type Code = (typeof DatabaseBackupErrorCode)[keyof typeof DatabaseBackupErrorCode];

const hints: Readonly<Record<string, string>> = {
  [DatabaseBackupErrorCode.dumpFailed]: 'Nothing of it is kept. Mend what the server says and back up again.',
  [DatabaseBackupErrorCode.restoreFailed]: 'What the database held before is in its place.',
  [DatabaseBackupErrorCode.placeUnusable]: 'Look whether the service is healthy: devstack health mongodb',
};

/** An error of this engine. */
export function mongoFailure(
  code: Code,
  message: string,
  hint: string | undefined = hints[code],
  cause?: unknown,
): DevstackError {
  return new DevstackError({
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The same work with errors of the driver as errors of a dump or a restore; those of this package and interruptions stay as they are. */
export async function asFailure<T>(code: Code, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failureOf(code, what, error);
  }
}

export function failureOf(code: Code, what: string, error: unknown): unknown {
  const own: readonly string[] = Object.values(DatabaseBackupErrorCode);
  if (!isDevstackError(error) || own.includes(error.code) || error.code === 'INTERRUPTED') return error;
  return mongoFailure(code, `${what}: ${error.message}`, hints[code], error);
}
