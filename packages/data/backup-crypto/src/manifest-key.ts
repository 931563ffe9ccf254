import { createHmac, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { checkForm } from './passphrase.ts';

const keyBytes = 32;
const leastSaltBytes = 16;

/** The parameters of `deriveManifestKey`, as a manifest writes them. */
export const manifestKeyParameters = { scheme: 'scrypt+hmac-sha256', n: 32_768, r: 8, p: 1 } as const;

const derive = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
);

/**
 * The key of a manifest's MAC, 32 bytes: scrypt (RFC 7914) of the passphrase with N=2^15, r=8, p=1, as slow to guess as the artifacts' own S2K.
 * The salt: 16 random bytes or more (`RangeError` otherwise). Throws `PASSPHRASE_INVALID` for one that is not a line.
 */
export async function deriveManifestKey(passphrase: Secret, salt: Uint8Array): Promise<Secret<Uint8Array>> {
  checkForm(passphrase);
  if (salt.length < leastSaltBytes)
    throw new RangeError(`A salt has ${String(leastSaltBytes)} bytes or more, not ${String(salt.length)}.`);
  const { n: N, r, p } = manifestKeyParameters;
  const key = await derive(passphrase.reveal(), salt, keyBytes, { N, r, p, maxmem: 256 * N * r });
  return new Secret<Uint8Array>(new Uint8Array(key));
}

/** HMAC-SHA-256 (RFC 2104) in lower-case hex. */
export function authenticate(bytes: Uint8Array, key: Secret<Uint8Array>): string {
  return createHmac('sha256', key.reveal()).update(bytes).digest('hex');
}

/** True where the MAC (hex) is that of the bytes; the time it takes does not tell how much of it is right. */
export function isAuthentic(bytes: Uint8Array, mac: string, key: Secret<Uint8Array>): boolean {
  const expected = Buffer.from(authenticate(bytes, key));
  const given = Buffer.from(mac.toLowerCase());
  return given.length === expected.length && timingSafeEqual(given, expected);
}
