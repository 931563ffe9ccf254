import { DevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';

type Code = (typeof DatabaseBackupErrorCode)[keyof typeof DatabaseBackupErrorCode];

const hints: Readonly<Record<string, string>> = {
  [DatabaseBackupErrorCode.dumpFailed]: 'Nothing of it is kept. Mend what the server says and back up again.',
  [DatabaseBackupErrorCode.restoreFailed]: 'What the database held before is in its place.',
  [DatabaseBackupErrorCode.placeUnusable]: 'Look whether the service is healthy: devstack health mysql',
};

/** An error of this engine, with what its program said last. */
export function mariadbFailure(
  code: Code,
  what: string,
  said: string = '',
  hint: string | undefined = hints[code],
): DevstackError {
  const why = serverErrors(said);
  return new DevstackError({
    code,
    message: why === '' ? `${what}.` : `${what}: ${why}`,
    ...(hint === undefined ? {} : { hint }),
  });
}

/**
 * The lines of an output that are the server's or the program's own errors. What the client repeats of a statement stays out: it may be
 * a row of somebody's table, or hold the hash of a password.
 */
export function serverErrors(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter(
      (line) =>
        /^(ERROR|(\S*\/)?(mariadb|mysql)[\w-]*:|sh:|OCI runtime)/.test(line) &&
        !line.includes('Deprecated program name'),
    );
  return lines
    .slice(-2)
    .map((line) => line.replaceAll(/'\*?[0-9A-Fa-f]{32,}'?/g, "'…'").replace(/near '.*/, 'near …'))
    .join(' ')
    .slice(0, 400);
}
