import { Artifact } from './artifact.ts';
import { encryptToFile } from './encrypt.ts';
import { writeNewFile } from './new-file.ts';
import { release } from './release.ts';
import { stageFor } from './staging.ts';
import type { DecryptOptions, Measured, ReencryptOptions } from './types.ts';
import { Reading } from './verify.ts';

/**
 * Decrypts and decompresses a whole artifact into nothing and gives what it measured. Throws `BACKUP_WRONG_PASSPHRASE`, `BACKUP_DAMAGED`,
 * `BACKUP_TRUNCATED`, `BACKUP_TRAILING_DATA`, `BACKUP_NOT_OPENPGP`, `BACKUP_FILE_FAILED`, `PASSPHRASE_INVALID`, `INTERRUPTED`.
 */
export async function verifyFile(path: string, options: DecryptOptions): Promise<Measured> {
  await using artifact = await Artifact.open(path, options.expect);
  return await verified(artifact, options);
}

/**
 * Like `verifyFile`, into a new file of mode 0600: it is staged in a private folder beside `target` and gets its name only when all of it is
 * authentic and as expected. Never replaces a file. Also throws `BACKUP_DISK_FULL`.
 */
export async function decryptToFile(path: string, target: string, options: DecryptOptions): Promise<Measured> {
  await using artifact = await Artifact.open(path, options.expect);
  await using staging = await stageFor(target);
  const reading = new Reading(artifact, options);
  await writeNewFile(staging.path, reading.content(), release);
  await staging.promote(target);
  return reading.measured;
}

/**
 * The content as a stream, of which nothing is given before the whole file was verified in a first pass. The second pass reads the same file again
 * and throws `BACKUP_DAMAGED` in place of the first block that is no longer the one that was verified. Otherwise as `verifyFile`.
 */
export async function* openVerified(path: string, options: DecryptOptions): AsyncGenerator<Uint8Array> {
  await using artifact = await Artifact.open(path, options.expect);
  const expect = await verified(artifact, options);
  yield* new Reading(artifact, { ...options, expect }).content();
}

/** The same content under other passphrases, as a new file; the old one stays. Gives what it measured of the new one; errors as above. */
export async function reencryptFile(path: string, target: string, options: ReencryptOptions): Promise<Measured> {
  const { next, passphrase, plainKey, signal, onProgress, compress, expect } = options;
  await using artifact = await Artifact.open(path, expect);
  const { plain } = await verified(artifact, { passphrase, plainKey, signal, compress, expect });
  // As it was compressed.
  const payload = new Reading(artifact, { passphrase, signal }).payload();
  const { cipher } = await encryptToFile(payload, target, { ...next, compress: 'none', signal, onProgress });
  return { plain, cipher };
}

async function verified(artifact: Artifact, options: DecryptOptions): Promise<Measured> {
  const reading = new Reading(artifact, options);
  await drained(reading.content());
  return reading.measured;
}

async function drained(source: AsyncGenerator<Uint8Array>): Promise<void> {
  for await (const chunk of source) release(chunk);
}
