import type { Secret } from '@devstack-core/redaction';

/** The parameters of `deriveManifestKey`, as a manifest writes them. */
export const manifestKeyParameters = { scheme: 'scrypt+hmac-sha256', n: 32_768, r: 8, p: 1 } as const;

/** The key of a manifest's MAC (32 bytes): scrypt of the passphrase, as slow to guess as the artifacts. The salt: 16 random bytes or more. */
export function deriveManifestKey(passphrase: Secret, salt: Uint8Array): Promise<Secret<Uint8Array>> {
  return Promise.reject(new Error(`not written yet ${String(passphrase)} ${String(salt.length)}`));
}

/** HMAC-SHA-256 in lower-case hex. */
export function authenticate(bytes: Uint8Array, key: Secret<Uint8Array>): string {
  throw new Error(`not written yet ${String(bytes.length)} ${String(key)}`);
}

/** True where the MAC is that of the bytes, in a time that does not tell how much of it is right. */
export function isAuthentic(bytes: Uint8Array, mac: string, key: Secret<Uint8Array>): boolean {
  throw new Error(`not written yet ${String(bytes.length)} ${mac} ${String(key)}`);
}
