import { createHash } from 'node:crypto';
import type { Secret } from '@devstack-core/redaction';
import { sameBytes, usablePassword } from './password.ts';

/** The SHA-256 in lower case hexadecimal that a Redis ACL rule takes after `#`. Unsalted: fit for generated passwords. Throws `PASSWORD_UNUSABLE`. */
export function redisSha256(password: Secret | string): string {
  return createHash('sha256').update(usablePassword(password).toWellFormed()).digest('hex');
}

/** Whether the hash is that of this password. */
export function verifyRedisSha256(password: Secret | string, hash: string): boolean {
  return sameBytes(Buffer.from(redisSha256(password)), Buffer.from(hash));
}
