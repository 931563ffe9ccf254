import type { DecryptOptions, Measured, ReencryptOptions } from './types.ts';

/**
 * Decrypts and decompresses a whole artifact into nothing and gives what it measured. Throws `BACKUP_WRONG_PASSPHRASE`, `BACKUP_DAMAGED`,
 * `BACKUP_TRUNCATED`, `BACKUP_TRAILING_DATA`, `BACKUP_NOT_OPENPGP`, `BACKUP_FILE_FAILED`, `INTERRUPTED`.
 */
export function verifyFile(path: string, options: DecryptOptions): Promise<Measured> {
  return Promise.reject(new Error(`not written yet ${path} ${typeof options}`));
}

/**
 * Like `verifyFile`, into a new file: it is staged in a private folder beside `target` and gets its name only when all of it is authentic
 * and as expected. Never replaces a file. Also throws `BACKUP_DISK_FULL`.
 */
export function decryptToFile(path: string, target: string, options: DecryptOptions): Promise<Measured> {
  return Promise.reject(new Error(`not written yet ${path} ${target} ${typeof options}`));
}

/**
 * The content as a stream, of which nothing is given before the whole file was verified in a first pass. The second pass measures again and
 * throws `BACKUP_DAMAGED` before its last piece when the file has changed in between.
 */
export function openVerified(path: string, options: DecryptOptions): AsyncIterable<Uint8Array> {
  throw new Error(`not written yet ${path} ${typeof options}`);
}

/** The same content under other passphrases, as a new file; the old one stays. Gives what it measured of the new one. */
export function reencryptFile(path: string, target: string, options: ReencryptOptions): Promise<Measured> {
  return Promise.reject(new Error(`not written yet ${path} ${target} ${typeof options}`));
}

/** Removes what killed runs left in a folder: staging folders and unfinished artifacts of processes that are gone. Gives their names. */
export function sweepStaging(directory: string): Promise<readonly string[]> {
  return Promise.reject(new Error(`not written yet ${directory}`));
}
