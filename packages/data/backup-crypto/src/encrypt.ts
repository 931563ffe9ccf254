import type { EncryptOptions, EncryptToFileOptions, Measured } from './types.ts';

/** Compresses and encrypts a stream, as an OpenPGP message that every gpg can read, in flat memory. Throws what the source throws. */
export function encrypt(source: AsyncIterable<Uint8Array>, options: EncryptOptions): AsyncIterable<Uint8Array> {
  throw new Error(`not written yet ${typeof source} ${typeof options}`);
}

/**
 * Writes a new artifact: mode 0600, never over an existing file, synced with its folder. On any failure, the source's own too, nothing is left.
 * Throws `BACKUP_DISK_FULL`, `BACKUP_FILE_FAILED`, `PASSPHRASE_INVALID`, `BACKUP_RECIPIENT_INVALID`, `INTERRUPTED`.
 */
export function encryptToFile(
  source: AsyncIterable<Uint8Array>,
  path: string,
  options: EncryptToFileOptions,
): Promise<Measured> {
  return Promise.reject(new Error(`not written yet ${typeof source} ${path} ${typeof options}`));
}
