import { dayMs } from './duration.ts';

/** When a certificate is valid. */
export interface Lifetime {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** How long before its end a certificate is renewed: 30 days, or a third of its lifetime where that is less. */
export function renewBeforeMs({ notBefore, notAfter }: Lifetime, beforeMs: number = 30 * dayMs): number {
  return Math.min(beforeMs, (notAfter.getTime() - notBefore.getTime()) / 3);
}

/** When a certificate is due. */
export function renewalTime(certificate: Lifetime, beforeMs?: number): Date {
  return new Date(certificate.notAfter.getTime() - renewBeforeMs(certificate, beforeMs));
}

/** True from then on. A certificate that is not valid yet is not due: see `checkClock`. */
export function needsRenewal(certificate: Lifetime, now: Date, options: { readonly beforeMs?: number } = {}): boolean {
  return now >= renewalTime(certificate, options.beforeMs);
}
