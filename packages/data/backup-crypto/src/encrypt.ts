import type { Secret } from '@devstack-core/redaction';
import { abortable } from './abortable.ts';
import { BackupCryptoErrorCode, inputError } from './errors.ts';
import { Meter, ProgressReport } from './meter.ts';
import { writeNewFile } from './new-file.ts';
import { OpenPgpFailure, readRecipient, type OpenPgpJob } from './openpgp-message.ts';
import { runOpenPgp } from './openpgp-thread.ts';
import { checkPassphrase } from './passphrase.ts';
import type { Compression, EncryptOptions, EncryptToFileOptions, Measured } from './types.ts';
import { compressFrames, compressOneFrame } from './zstd.ts';

const what = 'The encryption';

/**
 * Compresses and encrypts a stream, as an OpenPGP message that every gpg reads, in flat memory. Throws `PASSPHRASE_INVALID`,
 * `BACKUP_RECIPIENT_INVALID`, `INTERRUPTED`, and what the source throws.
 */
export async function* encrypt(source: AsyncIterable<Uint8Array>, options: EncryptOptions): AsyncGenerator<Uint8Array> {
  yield* locked(abortable(source, options.signal, what), options, false);
}

/**
 * Writes a new artifact: mode 0600, never over an existing file, synced with its folder. On any failure, the source's own too, nothing is left.
 * Throws `BACKUP_DISK_FULL`, `BACKUP_FILE_FAILED`, `PASSPHRASE_INVALID`, `BACKUP_RECIPIENT_INVALID`, `INTERRUPTED`.
 */
export async function encryptToFile(
  source: AsyncIterable<Uint8Array>,
  path: string,
  options: EncryptToFileOptions,
): Promise<Measured> {
  const plain = new Meter(options.plainKey);
  const cipher = new Meter();
  const progress = new ProgressReport(options.onProgress);
  const content = plain.through(abortable(source, options.signal, what));
  const sealed =
    options.encrypted === false ? onlyCompressed(content, options.compress) : locked(content, options, true);
  const written = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of sealed) {
      cipher.update(chunk);
      progress.step(plain.bytes, cipher.bytes);
      yield chunk;
    }
  };
  await writeNewFile(path, written());
  progress.last(plain.bytes, cipher.bytes);
  return { plain: plain.measure(), cipher: cipher.measure() };
}

// Nothing but its own end tells where such a stream was cut, so it is one frame.
function onlyCompressed(source: AsyncIterable<Uint8Array>, compress: Compression = 'zstd'): AsyncIterable<Uint8Array> {
  return compress === 'none' ? source : compressOneFrame(source);
}

async function* locked(
  source: AsyncIterable<Uint8Array>,
  { passphrases, recipients = [], compress = 'zstd' }: Omit<EncryptOptions, 'signal'>,
  reusesOutput: boolean,
): AsyncGenerator<Uint8Array> {
  const job = await jobOf(passphrases, recipients);
  const isCompressed = compress === 'zstd';
  try {
    yield* runOpenPgp(job, isCompressed ? compressFrames(source) : source, { ownsInput: isCompressed, reusesOutput });
  } catch (error) {
    throw error instanceof OpenPgpFailure && error.at === 'recipient' ? recipientInvalid(error.message) : error;
  }
}

/** The fingerprint of an armored public key that can encrypt, 40 or 64 upper-case hex digits. Throws `BACKUP_RECIPIENT_INVALID`. */
export async function recipientFingerprint(armoredKey: string): Promise<string> {
  try {
    return (await readRecipient(armoredKey)).getFingerprint().toUpperCase();
  } catch (error) {
    throw recipientInvalid(error instanceof Error ? error.message : 'unknown');
  }
}

async function jobOf(passphrases: readonly Secret[], recipients: readonly string[]): Promise<OpenPgpJob> {
  if (passphrases.length + recipients.length === 0)
    throw inputError(
      BackupCryptoErrorCode.passphraseInvalid,
      'Neither a passphrase nor a recipient was given: nobody could open the backup.',
      'Give a passphrase, a recipient, or say that the backup is not to be encrypted.',
    );
  for (const passphrase of passphrases) checkPassphrase(passphrase);
  // Before anything is read from the source.
  for (const recipient of recipients) await recipientFingerprint(recipient);
  return { kind: 'lock', passphrases: passphrases.map((passphrase) => passphrase.reveal()), recipients };
}

function recipientInvalid(why: string): Error {
  return inputError(
    BackupCryptoErrorCode.recipientInvalid,
    `A recipient's key cannot be used: ${why}.`,
    'Give an armored OpenPGP public key that can encrypt and has not expired: gpg --armor --export NAME',
  );
}
