import { randomBytes } from 'node:crypto';
import { Secret } from '@devstack-core/redaction';
import type { FieldDefinition } from './definitions.ts';

/** Where random bytes come from; the default is the system's generator. */
export type RandomBytes = (size: number) => Uint8Array;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** The first value of a field: its fixed name, or a new random one. 32 letters and digits carry 190 bits. */
export function generateValue(field: FieldDefinition, random: RandomBytes = randomBytes): Secret {
  if ('fixed' in field) return new Secret(field.fixed);
  if (field.generate === 'base64url-key') return new Secret(Buffer.from(random(32)).toString('base64url'));
  return new Secret(letters(field.length ?? 32, random));
}

function letters(length: number, random: RandomBytes): string {
  let text = '';
  while (text.length < length) {
    for (const byte of random(length)) {
      // 248 is the largest multiple of 62 in a byte: what is above would favour the first letters.
      if (byte < 248 && text.length < length) text += alphabet.charAt(byte % alphabet.length);
    }
  }
  return text;
}
