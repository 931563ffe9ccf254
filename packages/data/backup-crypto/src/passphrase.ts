import type { Readable } from 'node:stream';
import type { Secret } from '@devstack-core/redaction';

/** Throws `PASSPHRASE_INVALID` unless it is one line of at least 20 characters with no control character, and not all alike. */
export function checkPassphrase(passphrase: Secret): void {
  throw new Error(`not written yet ${String(passphrase)}`);
}

/** A new one of 160 random bits, in groups that a person can type. */
export function generatePassphrase(): Secret {
  throw new Error('not written yet');
}

/** The first line of a file that only its owner may read, as gpg reads it; checked. Throws `PASSPHRASE_INVALID`. */
export function readPassphraseFile(path: string): Promise<Secret> {
  return Promise.reject(new Error(`not written yet ${path}`));
}

/** The first line of a stream (stdin), at most 4 KiB; checked. Throws `PASSPHRASE_INVALID`. */
export function readPassphraseStream(readable: Readable | AsyncIterable<Uint8Array | string>): Promise<Secret> {
  return Promise.reject(new Error(`not written yet ${typeof readable}`));
}
