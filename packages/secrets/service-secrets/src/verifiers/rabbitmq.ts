import { createHash, randomBytes } from 'node:crypto';
import type { Secret } from '@devstack-core/redaction';
import { sameBytes, usablePassword } from './password.ts';

/**
 * RabbitMQ's `password_hash` for `rabbit_password_hashing_sha256`: base64 of four bytes of salt and the SHA-256 of salt and password
 * (https://www.rabbitmq.com/docs/passwords). Throws `PASSWORD_UNUSABLE`.
 */
export function rabbitPasswordHash(password: Secret | string, salt: Uint8Array = randomBytes(4)): string {
  const digest = createHash('sha256').update(salt).update(usablePassword(password).toWellFormed()).digest();
  return Buffer.concat([salt, digest]).toString('base64');
}

/** Whether the hash is one of this password; false also for what is no such hash. */
export function verifyRabbitPassword(password: Secret | string, hash: string): boolean {
  const bytes = Buffer.from(hash, 'base64');
  if (bytes.length !== 36) return false;
  return sameBytes(Buffer.from(rabbitPasswordHash(password, bytes.subarray(0, 4))), Buffer.from(hash));
}
