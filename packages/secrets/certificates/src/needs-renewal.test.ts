import { readdir } from 'node:fs/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { join } from 'node:path';
import { rootFolder, type RootFolder } from '../test/served.ts';
import { backdateMs } from './duration.ts';
import {
  certificateStatus,
  issueFromRoot,
  needsRenewal,
  readLeaf,
  renew,
  renewalTime,
  type LeafCertificate,
} from './index.ts';

const day = 86_400_000;
const second = 1000;
const issued = new Date('2026-01-01T00:00:00Z');
const after = (ms: number): Date => new Date(issued.getTime() + ms);
/** As our authorities make them: beginning five minutes before. */
const of = (ttlMs: number, backMs = backdateMs.leaf) => ({ notBefore: after(-backMs), notAfter: after(ttlMs) });

describe('needsRenewal', () => {
  it.each([
    ['90 days: from day 60', 90 * day, 60 * day],
    ['a year: 30 days before its end', 365 * day, 335 * day],
    ['a minute: after 40 seconds', 60 * second, 40 * second],
    ['half a minute: after 20 seconds', 30 * second, 20 * second],
    ['30 days: after 20', 30 * day, 20 * day],
  ])('%s', (_name, ttlMs, dueMs) => {
    const certificate = of(ttlMs);
    expect(renewalTime(certificate)).toEqual(after(dueMs));
    expect(needsRenewal(certificate, issued)).toBe(false);
    expect(needsRenewal(certificate, after(dueMs - 1))).toBe(false);
    expect(needsRenewal(certificate, after(dueMs))).toBe(true);
  });

  it('takes another number of days, and still no more than a third', () => {
    expect(renewalTime(of(90 * day), 10 * day)).toEqual(after(80 * day));
    expect(renewalTime(of(90 * day), 60 * day)).toEqual(after(60 * day));
  });

  it('counts the whole lifetime of one that others made without beginning it earlier', () => {
    expect(renewalTime(of(90 * second, 0))).toEqual(after(60 * second));
  });

  it('counts from when it was received where that is known, unless the clock was wrong then', () => {
    const odd = of(day, 30 * day);
    expect(needsRenewal(odd, issued)).toBe(true);
    expect(renewalTime({ ...odd, issuedAt: issued })).toEqual(after((day * 2) / 3));
    for (const issuedAt of [after(-31 * day), after(day), after(400 * day)])
      expect(renewalTime({ ...odd, issuedAt })).toEqual(renewalTime(odd));
  });

  it('for any lifetime: never due when it is new, always at its end, and never not again', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 20 * 365 * day }),
        fc.double({ min: 0, max: 2, noNaN: true }),
        (ttlMs, at) => {
          const certificate = of(ttlMs);
          expect(needsRenewal(certificate, issued)).toBe(false);
          expect(needsRenewal(certificate, certificate.notAfter)).toBe(true);
          const now = after(ttlMs * at);
          if (needsRenewal(certificate, now))
            expect(needsRenewal(certificate, new Date(now.getTime() + day))).toBe(true);
        },
      ),
    );
  });
});

describe('a new leaf', () => {
  let folder: RootFolder;
  beforeAll(async () => {
    folder = await rootFolder();
  });
  afterAll(async () => folder[Symbol.asyncDispose]());
  const state = async (service: string, now: Date) =>
    (await certificateStatus([{ service, directory: join(folder.path, service) }], { now }))[0]?.state;

  it.each([30, 60, 3600, 90 * 86_400])('of %d seconds is not due and not warned of', async (ttlS) => {
    const name = `ttl-${String(ttlS)}`;
    const options = {
      directory: join(folder.path, name),
      issue: () => issueFromRoot({ root: folder.root, commonName: 'server', ttlS }),
    };
    const { installed } = await renew(options);
    expect((await renew(options)).outcome).toBe('not-due');
    expect(await state(name, new Date())).toBe('ok');
    // The certificate says enough: nothing had to be noted beside it.
    expect(installed.issuedAt).toBeUndefined();
    const third = renewalTime(installed);
    expect((await renew({ ...options, now: () => new Date(third.getTime() - 1) })).outcome).toBe('not-due');
    expect(await state(name, third)).toBe('warning');
    expect((await renew({ ...options, now: () => third })).reason).toBe('due');
  });

  it('of a signer that begins far earlier is due a third before its end all the same: when it came is noted', async () => {
    const directory = join(folder.path, 'odd');
    // Made long ago to end soon, as if it began that long ago.
    const odd = async (): Promise<LeafCertificate> =>
      issueFromRoot({
        root: folder.root,
        commonName: 'server',
        ttlS: 20 * 3600,
        now: new Date(Date.now() - 18 * 3600 * second),
      });
    const { installed } = await renew({ directory, issue: odd });
    expect(await readdir(installed.paths.current)).toContain('issued-at');
    const { issuedAt, ...certificate } = installed;
    expect(needsRenewal(certificate, new Date())).toBe(true);
    expect(Date.now() - (issuedAt?.getTime() ?? 0)).toBeLessThan(10 * second);
    expect((await renew({ directory, issue: odd })).outcome).toBe('not-due');
    expect(await state('odd', new Date())).toBe('ok');
    const in81Minutes = (): Date => new Date(Date.now() + 81 * 60 * second);
    expect((await renew({ directory, issue: odd, now: in81Minutes })).reason).toBe('due');
    expect((await readLeaf(directory)).issuedAt?.getTime()).toBeGreaterThan(Date.now() + 80 * 60 * second);
  });
});
