import { DevstackError } from '@devstack-core/errors';

/** The codes of the errors that this package throws. */
export const DurableFilesErrorCode = {
  diskFull: 'DISK_FULL',
  notPermitted: 'FILE_NOT_PERMITTED',
  fileMissing: 'FILE_MISSING',
  fileFailed: 'FILE_FAILED',
  fileTooOpen: 'FILE_TOO_OPEN',
  fileForeign: 'FILE_FOREIGN',
  notADirectory: 'NOT_A_DIRECTORY',
  leaseHeld: 'LEASE_HELD',
  leaseLost: 'LEASE_LOST',
  journalDamaged: 'JOURNAL_DAMAGED',
} as const;

/** True for an error of the file system with that code (`ENOENT`, …). */
export function hasErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** The error of a file operation, with what to do next. File system errors hold paths, never contents, so the cause stays. */
export function fileError(error: unknown, doing: string, path: string): DevstackError {
  const errno = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  const [code, why, hint] = explanations.find(([, , , ...errnos]) => errnos.includes(errno)) ?? fallback;
  return new DevstackError({
    code,
    message: `Could not ${doing} ${path}: ${why} (${errno}).`,
    hint,
    cause: error,
    details: { path, errno },
  });
}

type Explanation = readonly [code: string, why: string, hint: string, ...errnos: string[]];

const fallback: Explanation = [
  DurableFilesErrorCode.fileFailed,
  'the file system refused',
  'Look at the file system with df, ls -l and dmesg.',
];

const explanations: readonly Explanation[] = [
  [
    DurableFilesErrorCode.diskFull,
    'the disk is full',
    'Free some space (df -h shows the file system) and run it again.',
    'ENOSPC',
    'EDQUOT',
  ],
  [
    DurableFilesErrorCode.notPermitted,
    'this user may not',
    'Check owner and mode with ls -ld.',
    'EACCES',
    'EPERM',
    'EROFS',
  ],
  [DurableFilesErrorCode.fileMissing, 'it is not there', 'Check the path.', 'ENOENT'],
  [DurableFilesErrorCode.notADirectory, 'a part of the path is not a folder', 'Check the path.', 'ENOTDIR', 'ELOOP'],
];
