import { randomBytes } from 'node:crypto';

/** A password as service-secrets generates them: long enough to be found wherever it leaks. */
export function fresh(): string {
  return randomBytes(24).toString('base64').replaceAll(/[+/=]/g, 'x');
}
