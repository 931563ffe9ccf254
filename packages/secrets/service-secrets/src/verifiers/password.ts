import { DevstackError } from '@devstack-core/errors';
import { type Secret } from '@devstack-core/redaction';
import { timingSafeEqual } from 'node:crypto';
import { ServiceSecretsErrorCode } from '../errors.ts';

/** The password as text. Throws `PASSWORD_UNUSABLE` where no server could hold it. */
export function usablePassword(password: Secret | string): string {
  const text = typeof password === 'string' ? password : password.reveal();
  if (text === '' || text.includes('\0')) {
    throw new DevstackError({
      code: ServiceSecretsErrorCode.passwordUnusable,
      message:
        text === '' ? 'The password is empty.' : 'The password holds a NUL character, which no server can store.',
      hint: 'Choose another one, or rotate it.',
    });
  }
  return text;
}

/** Compares in a time that does not depend on where they differ. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
