import { monthlySummaries } from '@devstack-core/backup-store';
import { describe, expect, it } from 'vitest';
import { monthlyText, type CoveredSet } from './index.ts';

const now = new Date('2026-11-30T00:00:00Z');
const set = (id: string, more: Partial<CoveredSet> = {}): CoveredSet => ({
  id,
  status: 'complete',
  createdAt: `2026-11-${id.slice(6, 8)}T02:00:00.000Z`,
  services: ['postgres'],
  verifiedServices: [],
  verified: null,
  ...more,
});
const at = '2026-11-20T02:00:00.000Z';

describe('the text of a month', () => {
  it('tells what was proven, what never was, how long it took, and what failed', () => {
    const [summary] = monthlySummaries([
      { at, event: 'create', outcome: 'succeeded', services: ['postgres', 'redis'], bytes: 10 * 1024 * 1024 },
      { at, event: 'create', outcome: 'failed', code: 'DUMP_FAILED' },
      { at, event: 'verify', outcome: 'succeeded', level: 3, services: ['postgres'] },
      { at, event: 'drill', outcome: 'succeeded', rtoMs: 360_000, rpoMs: 7_200_000 },
    ]);
    if (summary === undefined) throw new Error('there is a month');
    const proven = { at, level: 3, verdict: 'valid' } as const;
    const text = monthlyText(
      summary,
      [
        set('20261110_020000'),
        set('20261120_020000', { verified: proven }),
        set('20261101_020000', { status: 'damaged' }),
        set('20261105_020000', { verified: { ...proven, level: 2 } }),
      ],
      now,
    );
    expect(text).toContain('backups         1 succeeded, 1 failed, 0 inconclusive, 10.0 MiB');
    expect(text).toContain('proven by a restore this month: postgres');
    expect(text).toContain('backed up and not proven:       redis');
    expect(text).toContain('sets: 3, of which 1 proven by a restore');
    expect(text).toContain('oldest set that was never proven: 20261105_020000 (25 days old)');
    expect(text).toContain('time to recover: median 6.0 min, 95 of 100 within 6.0 min');
    expect(text).toContain('worst age of recovered data: 2.0 h');
    expect(text).toContain('failed with DUMP_FAILED: 1');
  });

  it('says so when nothing was measured or is there', () => {
    const [summary] = monthlySummaries([{ at, event: 'create', outcome: 'succeeded' }]);
    if (summary === undefined) throw new Error('there is a month');
    const text = monthlyText(summary, [], now);
    expect(text).toContain('time to recover: not measured');
    expect(text).toContain('oldest set that was never proven: none');
    const { createdAt: _createdAt, ...undated } = set('20261110_020000');
    expect(monthlyText(summary, [undated], now)).toContain('of unknown age');
  });
});
