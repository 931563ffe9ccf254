import { DevstackError } from '@devstack-core/errors';

/** The codes of the errors that this package throws. */
export const BackupCryptoErrorCode = {
  /** The passphrase is empty, too weak, or not one line. */
  passphraseInvalid: 'PASSPHRASE_INVALID',
  /** The passphrase opens nothing here; the format cannot always tell a wrong one from a damaged header. */
  wrongPassphrase: 'BACKUP_WRONG_PASSPHRASE',
  /** The content was changed, or is not what was expected. */
  damaged: 'BACKUP_DAMAGED',
  /** The file ends too early. */
  truncated: 'BACKUP_TRUNCATED',
  /** The file goes on after its end. */
  trailingData: 'BACKUP_TRAILING_DATA',
  /** There is no space for what was to be written; nothing of it is left. */
  diskFull: 'BACKUP_DISK_FULL',
  /** What is there is not in the format: no OpenPGP message of the one profile that is read, or no zstd stream where none is encrypted. */
  notOpenPgp: 'BACKUP_NOT_OPENPGP',
  /** A recipient's public key cannot be read or cannot encrypt. */
  recipientInvalid: 'BACKUP_RECIPIENT_INVALID',
  /** The file could not be read or written for another reason. */
  fileFailed: 'BACKUP_FILE_FAILED',
} as const;

type Code = (typeof BackupCryptoErrorCode)[keyof typeof BackupCryptoErrorCode];

/** Where the next step is the same whatever was wrong with a file. */
const otherCopy = 'Use another copy or another set; this file cannot be restored from.';

type ArtifactFault = 'wrongPassphrase' | 'damaged' | 'truncated' | 'trailingData' | 'notOpenPgp';

/** Words and hint of what can be wrong with an artifact. */
const faults: Readonly<Record<ArtifactFault, readonly [what: string, hint: string]>> = {
  wrongPassphrase: [
    'was not opened (wrong passphrase or damaged)',
    'Check the passphrase (the recovery card says which); if it is right, use another copy of the file.',
  ],
  damaged: ['is damaged', otherCopy],
  truncated: ['is not complete', otherCopy],
  trailingData: ['is followed by bytes that do not belong to it', otherCopy],
  notOpenPgp: ['is not in the format of a backup', 'Check the path, and whether the set was made with --no-encrypt.'],
};

/** The error of an artifact that cannot be read. `why` is one sentence without its full stop and holds no content. */
export function artifactError(
  fault: ArtifactFault,
  path: string,
  why: string,
  details: Readonly<Record<string, unknown>> = {},
): DevstackError {
  const [what, hint] = faults[fault];
  return new DevstackError({
    code: BackupCryptoErrorCode[fault],
    message: `${path} ${what}: ${why}.`,
    hint,
    details: { path, ...details },
  });
}

/** Errors of this package that are not about an artifact's content. */
export function inputError(code: Code, message: string, hint: string): DevstackError {
  return new DevstackError({ code, message, hint });
}

/** The error of a file operation; the system's own errors hold paths, never contents. */
export function fileError(error: unknown, doing: string, path: string): DevstackError {
  const errno = errnoOf(error) ?? 'unknown';
  const full = errno === 'ENOSPC' || errno === 'EDQUOT';
  return new DevstackError({
    code: full ? BackupCryptoErrorCode.diskFull : BackupCryptoErrorCode.fileFailed,
    message: full
      ? `No space left to ${doing} ${path} (${errno}); nothing of it was kept.`
      : `Could not ${doing} ${path}: ${reasons[errno] ?? 'the file system refused'} (${errno}).`,
    hint: full ? 'Free some space (df -h shows the file system) and run it again.' : 'Check the path with ls -ld.',
    cause: error,
    details: { path, errno },
  });
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'it is not there',
  EEXIST: 'something of that name is there, and is never replaced',
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
};

/** The code of an error of the system (`ENOSPC`), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined;
}
