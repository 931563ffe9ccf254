import { createHash } from 'node:crypto';
import type { Secret } from '@devstack-core/redaction';
import { sameBytes, usablePassword } from './password.ts';

/**
 * `*` and the SHA-1 of the SHA-1 in upper case hexadecimal: what `mysql_native_password` stores and `IDENTIFIED BY PASSWORD '…'` takes.
 * Unsalted, so a password that a person chose can be looked up from it; a generated one cannot. Throws `PASSWORD_UNUSABLE`.
 */
export function mysqlNativeHash(password: Secret | string): string {
  return `*${sha1(sha1(usablePassword(password).toWellFormed()))
    .toString('hex')
    .toUpperCase()}`;
}

/** Whether the hash is that of this password. */
export function verifyMysqlNative(password: Secret | string, hash: string): boolean {
  return sameBytes(Buffer.from(mysqlNativeHash(password)), Buffer.from(hash.toUpperCase()));
}

function sha1(data: string | Uint8Array): Buffer {
  return createHash('sha1').update(data).digest();
}
