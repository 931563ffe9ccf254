import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { needsRenewal, renewalTime } from './index.ts';

const day = 86_400_000;
const start = new Date('2026-01-01T00:00:00Z');
const of = (lifetimeMs: number) => ({ notBefore: start, notAfter: new Date(start.getTime() + lifetimeMs) });

describe('needsRenewal', () => {
  it.each([
    ['90 days: from day 60', 90 * day, 60 * day],
    ['a year: 30 days before its end', 365 * day, 335 * day],
    ['a minute: after 40 seconds', 60_000, 40_000],
    ['30 days: after 20', 30 * day, 20 * day],
  ])('%s', (_name, lifetimeMs, dueMs) => {
    const certificate = of(lifetimeMs);
    expect(renewalTime(certificate).getTime() - start.getTime()).toBe(dueMs);
    expect(needsRenewal(certificate, new Date(start.getTime() + dueMs - 1))).toBe(false);
    expect(needsRenewal(certificate, new Date(start.getTime() + dueMs))).toBe(true);
  });

  it('takes another number of days, and still no more than a third', () => {
    expect(renewalTime(of(90 * day), 10 * day).getTime() - start.getTime()).toBe(80 * day);
    expect(renewalTime(of(90 * day), 60 * day).getTime() - start.getTime()).toBe(60 * day);
  });

  it('for any lifetime: never due when it is new, always at its end, and never not again', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 20 * 365 * day }),
        fc.double({ min: 0, max: 2, noNaN: true }),
        (lifetimeMs, at) => {
          const certificate = of(lifetimeMs);
          expect(needsRenewal(certificate, start)).toBe(false);
          expect(needsRenewal(certificate, certificate.notAfter)).toBe(true);
          const now = new Date(start.getTime() + lifetimeMs * at);
          if (needsRenewal(certificate, now))
            expect(needsRenewal(certificate, new Date(now.getTime() + day))).toBe(true);
        },
      ),
    );
  });
});
