/** The codes of the errors that this package throws. */
export const BackupCryptoErrorCode = {
  /** The passphrase is empty, too weak, or not one line, or others may read its file. */
  passphraseInvalid: 'PASSPHRASE_INVALID',
  /** The passphrase opens nothing here; the format cannot tell a wrong one from a damaged header. */
  wrongPassphrase: 'BACKUP_WRONG_PASSPHRASE',
  /** The content was changed, or is not what was expected. */
  damaged: 'BACKUP_DAMAGED',
  /** The file ends too early. */
  truncated: 'BACKUP_TRUNCATED',
  /** The file goes on after its end. */
  trailingData: 'BACKUP_TRAILING_DATA',
  /** There is no space for what was to be written; nothing of it is left. */
  diskFull: 'BACKUP_DISK_FULL',
  /** What is there is no OpenPGP message (or no zstd stream where none is encrypted). */
  notOpenPgp: 'BACKUP_NOT_OPENPGP',
  /** A recipient's public key cannot be read or cannot encrypt. */
  recipientInvalid: 'BACKUP_RECIPIENT_INVALID',
  /** The file could not be read or written for another reason. */
  fileFailed: 'BACKUP_FILE_FAILED',
} as const;
