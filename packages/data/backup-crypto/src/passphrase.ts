import { randomInt } from 'node:crypto';
import type { Readable } from 'node:stream';
import { readPrivateFile } from '@devstack-core/durable-files';
import { Secret } from '@devstack-core/redaction';
import { BackupCryptoErrorCode, inputError } from './errors.ts';

const minimumCharacters = 20;
const minimumDifferent = 6;
// What gpg's agent takes.
const maximumBytes = 255;
// Digits and letters that are not taken for one another when read from paper.
const alphabet = '23456789abcdefghjkmnpqrstuvwxyz';
const groups = 7;
const groupLength = 4;

/**
 * Throws `PASSPHRASE_INVALID`, which says what is wrong, unless it is one line of 20 characters or more (255 bytes at most), of at least 6 different
 * ones, without a control character and without blanks at its ends.
 */
export function checkPassphrase(passphrase: Secret): void {
  checkForm(passphrase);
  const text = passphrase.reveal();
  const characters = Array.from(text);
  if (characters.length < minimumCharacters)
    throw invalid(`is too short: ${String(characters.length)} characters`, longer);
  if (new Set(characters).size < minimumDifferent)
    throw invalid(`is too easy to guess: fewer than ${String(minimumDifferent)} different characters`, longer);
  if (text.trim() !== text)
    throw invalid('begins or ends with a blank, which nobody sees on paper', 'Leave the blank out.');
}

/** A new one of 138 random bits: 7 groups of 4 letters and digits that can be told apart when read from paper. */
export function generatePassphrase(): Secret {
  const group = (): string =>
    Array.from({ length: groupLength }, () => alphabet.charAt(randomInt(alphabet.length))).join('');
  return new Secret(Array.from({ length: groups }, group).join('-'));
}

/**
 * The first line of a file that only its owner may read, as gpg's `--passphrase-file` takes it. It may be one that `checkPassphrase` would refuse
 * as weak: old backups must open. Throws `PASSPHRASE_INVALID`, and the codes of `readPrivateFile` (`FILE_TOO_OPEN`, `FILE_MISSING`, …).
 */
export async function readPassphraseFile(path: string): Promise<Secret> {
  return firstLine((await readPrivateFile(path)).reveal());
}

/** The first line of a stream (stdin), read as `readPassphraseFile` does; what follows it is not read. Throws `PASSPHRASE_INVALID`. */
export async function readPassphraseStream(readable: Readable | AsyncIterable<Uint8Array | string>): Promise<Secret> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of readable as AsyncIterable<Uint8Array | string>) {
    const part = typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk);
    chunks.push(part);
    bytes += part.length;
    if (part.includes(0x0a) || bytes > maximumBytes + 1) break;
  }
  return firstLine(Buffer.concat(chunks).toString('utf8'));
}

/** Refuses what gpg and this package would not read as the same passphrase. */
export function checkForm(passphrase: Secret): void {
  const text = passphrase.reveal();
  if (text === '') throw invalid('is empty', longer);
  if (text.includes('\r'))
    throw invalid('has a carriage return, which gpg would take for a part of it', 'Save the file with Unix line ends.');
  if (text.includes('\n')) throw invalid('has more than one line', 'Give it as one line.');
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw invalid('has a control character', 'Use letters, digits, blanks and signs only.');
  // What is not UTF-8 was read as U+FFFD, and a lone surrogate cannot be written: gpg would see other bytes.
  if (text.includes('\ufffd') || !text.isWellFormed()) throw invalid('is not UTF-8 text', 'Save the file as UTF-8.');
  if (Buffer.byteLength(text) > maximumBytes)
    throw invalid(`is longer than ${String(maximumBytes)} bytes`, 'gpg takes no more: use a shorter one.');
}

function firstLine(text: string): Secret {
  const end = text.indexOf('\n');
  const passphrase = new Secret(end === -1 ? text : text.slice(0, end));
  checkForm(passphrase);
  return passphrase;
}

const longer = `Use ${String(minimumCharacters)} characters or more, such as six random words, or let one be generated.`;

function invalid(why: string, hint: string): Error {
  return inputError(BackupCryptoErrorCode.passphraseInvalid, `The passphrase ${why}.`, hint);
}
