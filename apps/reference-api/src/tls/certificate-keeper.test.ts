import type { LeafCertificate } from '@devstack-core/certificates';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../http/metrics.ts';
import { CertificateKeeper } from './certificate-keeper.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function keeper(options: { lifetimeMs: number; backdatedMs?: number }) {
  const state = { roots: 'roots', failure: undefined as Error | undefined, refuses: false, issued: 0 };
  const served: string[] = [];
  const logged: { level: string; fields: Record<string, unknown>; text: string }[] = [];
  const log = (level: string) => (fields: unknown, text?: unknown) =>
    logged.push({ level, fields: fields as Record<string, unknown>, text: String(text) });
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
  const metrics = createMetrics();
  const issue = async (): Promise<LeafCertificate> => {
    if (state.failure !== undefined) throw state.failure;
    state.issued += 1;
    return {
      certificatePem: '',
      chainPem: '',
      caBundlePem: state.roots,
      privateKey: new Secret('a key'),
      notBefore: new Date(Date.now() - (options.backdatedMs ?? 0)),
      notAfter: new Date(Date.now() + options.lifetimeMs),
      serial: String(state.issued),
    };
  };
  const kept = new CertificateKeeper({
    issue,
    roots: () => {
      if (state.roots === '') throw new Error('ENOENT');
      return state.roots;
    },
    serve: ({ serial }) => {
      if (state.refuses) throw new Error('key values mismatch');
      served.push(serial);
    },
    logger,
    metrics,
  });
  return { kept, state, served, logged, metrics };
}

const minute = 60_000;
const day = 24 * 60 * minute;
const away = new DevstackError({ code: 'VAULT_UNREACHABLE', message: 'Vault cannot be reached.' });

describe('a certificate', () => {
  it.each([
    { lifetimeMs: 90 * day, quietMs: 59.9 * day, dueMs: 63.1 * day },
    { lifetimeMs: 6 * minute, quietMs: 3.9 * minute, dueMs: 4.3 * minute },
    // Dated back by more than it lives.
    { lifetimeMs: minute, backdatedMs: 5 * minute, quietMs: 39_000, dueMs: 43_000 },
  ])('that lives $lifetimeMs ms is renewed with a third left, or 30 days', async ({ quietMs, dueMs, ...lifetime }) => {
    const { kept, served } = keeper(lifetime);
    using _ended = kept;
    await kept.start();
    await vi.advanceTimersByTimeAsync(quietMs);
    expect(served).toEqual(['1']);
    await vi.advanceTimersByTimeAsync(dueMs - quietMs);
    expect(served).toEqual(['1', '2']);
  });

  it('is asked for until there is one, and /health tells', async () => {
    const { kept, state, served, logged } = keeper({ lifetimeMs: day });
    using _ended = kept;
    state.failure = away;
    await kept.start();
    const pending = expect.objectContaining({ code: 'CERTIFICATE_PENDING' }) as Error;
    expect(() => {
      kept.check();
    }).toThrow(pending);
    expect(logged).toMatchObject([
      {
        level: 'warn',
        fields: { code: 'VAULT_UNREACHABLE', reason: 'first', retryInMs: 1000 },
        text: 'there is no certificate yet',
      },
    ]);
    await vi.advanceTimersByTimeAsync(minute);
    // 1, 2, 4, 8, 10, 10, 10, 10 seconds.
    expect(logged).toHaveLength(9);
    state.failure = undefined;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(served).toEqual(['1']);
    kept.check();
  });

  it('stays while it cannot be renewed, and is tried for more often towards its end', async () => {
    const { kept, state, served, logged, metrics } = keeper({ lifetimeMs: 60 * minute });
    using _ended = kept;
    await kept.start();
    state.failure = away;
    await vi.advanceTimersByTimeAsync(59 * minute);
    expect(served).toEqual(['1']);
    kept.check();
    const failures = logged.filter(({ level }) => level === 'warn');
    expect(failures.every(({ text }) => text.includes('the old one stays'))).toBe(true);
    expect(Math.max(...failures.map(({ fields }) => Number(fields['retryInMs'])))).toBe(minute);
    expect(Number(failures.at(-1)?.fields['retryInMs'])).toBeLessThanOrEqual(15_000);
    await vi.advanceTimersByTimeAsync(2 * minute);
    expect(() => {
      kept.check();
    }).toThrow(/has ended/);
    state.failure = undefined;
    await vi.advanceTimersByTimeAsync(minute);
    kept.check();
    const text = await metrics.registry.metrics();
    expect(text).toMatch(/devstack_certificate_renewals_total\{outcome="failed"\} \d\d/);
    expect(text).toContain('devstack_certificate_renewals_total{outcome="renewed"} 2');
  });

  it('that the server cannot use is not counted as served', async () => {
    const { kept, state, served } = keeper({ lifetimeMs: day });
    using _ended = kept;
    await kept.start();
    state.refuses = true;
    kept.renew();
    await vi.advanceTimersByTimeAsync(10);
    state.refuses = false;
    expect([served, state.issued]).toEqual([['1'], 2]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(served).toEqual(['1', '3']);
  });

  it('is renewed within a minute when the roots change, and at once when it is asked for', async () => {
    const { kept, state, logged } = keeper({ lifetimeMs: 90 * day });
    using _ended = kept;
    await kept.start();
    // For a moment they are not there: that says nothing of a change.
    state.roots = '';
    await vi.advanceTimersByTimeAsync(10 * minute);
    state.roots = 'other roots';
    await vi.advanceTimersByTimeAsync(minute);
    kept.renew();
    await vi.advanceTimersByTimeAsync(10);
    expect(logged.map(({ fields }) => fields['reason'])).toEqual(['first', 'roots-changed', 'asked']);
  });

  it('is not asked for any more after the end', async () => {
    const { kept, state } = keeper({ lifetimeMs: minute });
    await kept.start();
    kept[Symbol.dispose]();
    await vi.advanceTimersByTimeAsync(10 * minute);
    expect(state.issued).toBe(1);
  });
});
