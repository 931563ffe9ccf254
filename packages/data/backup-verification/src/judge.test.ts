import type { Fingerprint, FingerprintItem } from '@devstack-core/database-backup';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge, tellsWrongOnes } from './index.ts';

const now = new Date('2026-11-20T10:00:00Z');
const of = (...items: readonly FingerprintItem[]): Fingerprint => ({ schema: 'devstack/fingerprint/1', items });
const orders = { kind: 'table', name: 'orders', count: 2, checksum: 'a' };
const customers = { kind: 'table', name: 'customers', count: 1, checksum: 'b' };
const exact = { consistency: 'exact' } as const;

describe('a comparison', () => {
  it('names what differs, the first three of it', () => {
    const many = [1, 2, 3].map((number) => ({ ...orders, name: `t${String(number)}` }));
    const { findings } = judge(
      of(orders, customers, ...many),
      of({ ...orders, count: 3 }, { ...customers, name: 'x' }),
      exact,
      now,
    );
    expect(findings[0]?.message).toBe(
      'The table orders has 3 instead of 2. The table customers is missing. The table t1 is missing. And 3 more.',
    );
    expect(judge(of(orders), of({ ...orders, checksum: 'z' }), exact, now).findings[0]?.message).toBe(
      'The table orders has other content.',
    );
    expect(judge(of(), of(orders), exact, now).findings[0]?.message).toBe('The table orders was not in the backup.');
  });

  it('says that no reason was given for what is only approximate', () => {
    const part = { consistency: 'approximate' } as const;
    expect(judge(of(orders), of({ ...orders, count: 3 }), part, now).warnings[0]).toContain('no reason was given');
  });
});

describe('the control of a comparison', () => {
  const anyItem = fc.record({
    kind: fc.constantFrom('table', 'keys'),
    name: fc.string(),
    count: fc.nat(),
    checksum: fc.string(),
  });

  it('passes for every honest comparison', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyItem, { selector: ({ kind, name }) => `${kind} ${name}` }),
        fc.uniqueArray(anyItem, { selector: ({ kind, name }) => `${kind} ${name}` }),
        (expected, actual) => {
          expect(tellsWrongOnes(of(...expected), of(...expected), now)).toBe(true);
          expect(tellsWrongOnes(of(...expected), of(...actual), now)).toBe(true);
        },
      ),
    );
  });

  it('fails for a comparison that sees no difference', () => {
    // What came back claims to hold whatever is asked for, the planted item, too.
    const planted = { kind: 'planted', name: 'by the control', count: 1, checksum: 'none' };
    expect(tellsWrongOnes(of(orders), of(orders, planted), now)).toBe(false);
  });

  it('leaves out what may have gone by itself', () => {
    const over = { ...orders, validUntil: '2026-11-20T09:00:00Z' };
    expect(tellsWrongOnes(of(over), of(over), now)).toBe(true);
  });
});
