import { backdateMs, dayMs } from './duration.ts';

/** When a certificate is valid. */
export interface Lifetime {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** When it was received, where that is known. */
  readonly issuedAt?: Date;
}

/**
 * How long a certificate can be used, in ms: from when it was received to its end. It begins before that, for clocks that are behind, and
 * the part of it that was over when it was made must not count: a leaf of a minute that begins five minutes early would be due at once.
 * Where it is not known when it was received, more than five minutes begin as much before it as our own authorities let leaves begin.
 */
export function usableMs({ notBefore, notAfter, issuedAt }: Lifetime): number {
  const wholeMs = notAfter.getTime() - notBefore.getTime();
  // By a clock that was wrong then.
  const isKnown = issuedAt !== undefined && issuedAt >= notBefore && issuedAt < notAfter;
  if (isKnown) return notAfter.getTime() - issuedAt.getTime();
  return wholeMs > backdateMs.leaf ? wholeMs - backdateMs.leaf : wholeMs;
}

/** How long before its end a certificate is renewed: 30 days, or a third of its usable time where that is less. */
export function renewBeforeMs(certificate: Lifetime, beforeMs: number = 30 * dayMs): number {
  return Math.min(beforeMs, usableMs(certificate) / 3);
}

/** When a certificate is due. */
export function renewalTime(certificate: Lifetime, beforeMs?: number): Date {
  return new Date(certificate.notAfter.getTime() - renewBeforeMs(certificate, beforeMs));
}

/** True from then on. A certificate that is not valid yet is not due: see `checkClock`. */
export function needsRenewal(certificate: Lifetime, now: Date, options: { readonly beforeMs?: number } = {}): boolean {
  return now >= renewalTime(certificate, options.beforeMs);
}
