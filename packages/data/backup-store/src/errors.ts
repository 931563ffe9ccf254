import { DevstackError, isDevstackError } from '@devstack-core/errors';

/** The codes of the errors that this package throws. */
export const BackupStoreErrorCode = {
  /** No set of that id in the folder, or no such artifact in the set. */
  notFound: 'BACKUP_NOT_FOUND',
  /** Another backup, rotation or change of the passphrase is at it; `details` name the holder. */
  locked: 'BACKUP_LOCKED',
  /** Less space than the last set took, and a third. */
  noSpace: 'BACKUP_NO_SPACE',
  /** A set without a manifest, or without one of its artifacts. */
  incomplete: 'BACKUP_INCOMPLETE',
  /** The manifest cannot be read, or says something that no manifest of ours says. */
  manifestDamaged: 'BACKUP_MANIFEST_DAMAGED',
  /** The passphrase is right, and the manifest is not the one that was written. */
  manifestForged: 'BACKUP_MANIFEST_FORGED',
  /** A newer version of this program wrote the set. */
  formatNewer: 'BACKUP_FORMAT_NEWER',
  /** An older set, or an older state of it, in the place of a newer one. */
  replayed: 'BACKUP_REPLAYED',
  /** An artifact of another set, or another artifact of this one, in the place of an artifact. */
  swapped: 'BACKUP_SWAPPED',
  /** A set without encryption where one with it is expected: anybody can have written it. */
  unencrypted: 'BACKUP_UNENCRYPTED',
  /** The passphrase opens nothing of the set; the code is that of backup-crypto, which says the same of an artifact. */
  wrongPassphrase: 'BACKUP_WRONG_PASSPHRASE',
  /** The set is encrypted, and no passphrase was given. */
  passphraseNeeded: 'BACKUP_PASSPHRASE_NEEDED',
  /** The draft cannot become a set: something of it failed, is named twice, or is missing. */
  draftInvalid: 'BACKUP_DRAFT_INVALID',
  /** The plan does not hold any more: what it removes has changed, or is needed now. */
  planStale: 'BACKUP_PLAN_STALE',
  /** Another set cannot be restored without this one. */
  needed: 'BACKUP_NEEDED',
  /** A set of that id is there already. */
  exists: 'BACKUP_EXISTS',
  /** The off-site target cannot be reached, refuses, or holds something else than was sent. */
  targetFailed: 'BACKUP_TARGET_FAILED',
} as const;

/** One of the codes. */
export type StoreErrorCode = (typeof BackupStoreErrorCode)[keyof typeof BackupStoreErrorCode];

/** An error of this package. */
export function storeError(
  code: StoreErrorCode,
  message: string,
  hint: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): DevstackError {
  return new DevstackError({ code, message, hint, details, cause });
}

/** True for an error of the file system with one of these codes. */
export function hasErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** The code of an error; `FAILED` for one that has none. */
export function codeOf(error: unknown): string {
  return isDevstackError(error) ? error.code : 'FAILED';
}
