import { describe, expect, it } from 'vitest';
import { dailySets, setOf } from '../test/sets.ts';
import {
  civilDate,
  defaultPolicy,
  describeReason,
  keepLastPolicy,
  planRotation,
  recheck,
  type KeepReason,
  type RotationPlan,
  type RotationPolicy,
  type RotationSet,
} from './index.ts';

const now = new Date('2026-11-20T20:00:00Z');
const one: RotationPolicy = { keepLast: 1 };
const plan = (sets: readonly RotationSet[], policy: RotationPolicy = one): RotationPlan =>
  planRotation(sets, policy, { now, timeZone: 'Europe/Berlin' });
const reasons = (made: RotationPlan, id: string): string[] | undefined =>
  made.keep.find((kept) => kept.id === id)?.reasons.map(describeReason);
const removedIds = (made: RotationPlan): string[] => made.remove.map(({ id }) => id);

describe('never removed', () => {
  it('the last verified set of each service, however old, until a newer one is verified', () => {
    const old = setOf('2025-01-01', { verifiedServices: ['postgres'] });
    const sets = [old, ...dailySets('2026-11-20', 5)];
    expect(reasons(plan(sets), '2025-01-01')).toEqual(['last verified of postgres']);
    const newer = setOf('2026-11-20', { verifiedServices: ['postgres'] });
    expect(removedIds(plan([old, newer]))).toEqual(['2025-01-01']);
  });

  it('the newest complete set, also of a service that later sets leave out', () => {
    const sets = [setOf('2025-01-01', { services: ['vault'] }), ...dailySets('2026-11-20', 3)];
    const made = plan(sets);
    expect(reasons(made, '2025-01-01')).toEqual(['newest with vault']);
    expect(reasons(made, '2026-11-20')).toEqual(['number 1 of the last', 'newest complete', 'newest with postgres']);
  });

  it('a base that a kept increment needs, through the whole chain', () => {
    const chain = [
      setOf('2026-11-01'),
      setOf('2026-11-02', { needs: ['2026-11-01'] }),
      setOf('2026-11-03'),
      setOf('2026-11-20', { needs: ['2026-11-02', 'gone'] }),
    ];
    const made = plan(chain);
    expect(removedIds(made)).toEqual(['2026-11-03']);
    expect(reasons(made, '2026-11-02')).toEqual(['needed by 2026-11-20']);
    expect(reasons(made, '2026-11-01')).toEqual(['needed by 2026-11-02']);
    expect(made.warnings).toEqual(['2026-11-20 needs gone, which is not there.']);
  });

  it('pinned sets, and what is not ours or has no date that can be read', () => {
    const sets = [
      setOf('2025-01-01', { pinned: true }),
      setOf('2025-01-02', { foreign: true }),
      setOf('2025-01-03', { createdAt: 'yesterday', localDate: '2025-01-03' }),
      setOf('2025-01-04', { localDate: '2025-02-30' }),
      setOf('2026-11-20'),
    ];
    const made = plan(sets);
    expect(made.remove).toEqual([]);
    expect(sets.slice(0, 4).map(({ id }) => reasons(made, id))).toEqual([
      ['pinned'],
      ['not ours'],
      ['not ours'],
      ['not ours'],
    ]);
  });
});

describe('unfinished sets', () => {
  it('count for nothing and go after 24 hours', () => {
    const unfinished = { complete: false };
    const sets = [
      setOf('2026-11-18'),
      setOf('2026-11-19', { ...unfinished, createdAt: '2026-11-19T19:59:59Z' }),
      setOf('2026-11-20', { ...unfinished, createdAt: '2026-11-19T20:00:00Z' }),
    ];
    const made = plan(sets, defaultPolicy);
    expect(made.remove).toMatchObject([
      { id: '2026-11-19', why: 'never finished, and older than 24 hours', bytes: 100 },
    ]);
    expect(reasons(made, '2026-11-20')).toEqual(['unfinished, younger than 24 hours']);
    expect(reasons(made, '2026-11-18')).toContain('newest complete');
  });
});

describe('a plan', () => {
  it('removes increments before their bases', () => {
    const sets = [
      setOf('2026-11-01'),
      setOf('2026-11-02', { needs: ['2026-11-01'] }),
      setOf('2026-11-03', { needs: ['2026-11-02', '2026-11-01'] }),
      setOf('2026-11-04', { needs: ['2026-11-04'] }),
      setOf('2026-11-20'),
    ];
    expect(removedIds(plan(sets))).toEqual(['2026-11-03', '2026-11-02', '2026-11-01', '2026-11-04']);
  });

  it('has the same id for the same outcome, and another for another', () => {
    const sets = dailySets('2026-11-20', 20);
    const first = plan(sets);
    expect(first.planId).toMatch(/^[0-9a-f]{16}$/);
    expect(planRotation(sets, one, { now: new Date('2026-11-21T09:00:00Z'), timeZone: 'UTC' }).planId).toBe(
      first.planId,
    );
    expect(plan(sets.slice(1)).planId).not.toBe(first.planId);
    expect(plan(sets, { keepLast: 2 }).planId).not.toBe(first.planId);
  });

  it('keeps the last 10 of plain sets', () => {
    expect(plan(dailySets('2026-11-20', 30), keepLastPolicy).keep).toHaveLength(10);
    expect(plan([], keepLastPolicy)).toMatchObject({ keep: [], remove: [], freedBytes: 0 });
  });

  it('says each reason in words', () => {
    const made = plan(dailySets('2026-11-20', 40), defaultPolicy);
    expect(reasons(made, '2026-11-15')).toEqual(['daily 2026-11-15', 'weekly 2026-W46']);
    expect(reasons(made, '2026-11-01')).toEqual(['monthly 2026-11', 'weekly 2026-W44']);
    expect(describeReason({ rule: 'future' } satisfies KeepReason)).toContain('clock');
  });
});

describe('a second look before the removal', () => {
  const sets = dailySets('2026-11-20', 5);
  const made = plan(sets);
  const changed = (id: string, change: Partial<RotationSet>): RotationSet[] =>
    sets.map((set) => (set.id === id ? { ...set, ...change } : set));
  const changesOf = (setsNow: readonly RotationSet[]): unknown => {
    const result = recheck(made, setsNow);
    return result.holds ? 'holds' : result.changes.map(({ id, what }) => `${id} ${what}`);
  };

  it('holds while nothing that matters has changed', () => {
    expect(changesOf(sets)).toBe('holds');
    expect(changesOf([...sets, setOf('2026-11-21')])).toBe('holds');
  });

  it.each<[string, RotationSet[], string]>([
    [
      'was verified',
      changed('2026-11-17', { verifiedServices: ['postgres'] }),
      'is to be kept now: last verified of postgres',
    ],
    ['was pinned', changed('2026-11-17', { pinned: true }), 'is to be kept now: pinned'],
    ['is needed', changed('2026-11-20', { needs: ['2026-11-17'] }), 'is to be kept now: needed by 2026-11-20'],
    ['is gone', sets.filter(({ id }) => id !== '2026-11-17'), 'is not there any more'],
    ['is another', changed('2026-11-17', { sequence: 1 }), 'is another set now'],
  ])('refuses when a set %s', (_, setsNow, what) => {
    expect(changesOf(setsNow)).toEqual([`2026-11-17 ${what}`]);
  });

  it('refuses when the newest is gone', () => {
    expect(changesOf(sets.slice(0, -1))).toEqual([
      '2026-11-19 is to be kept now: number 1 of the last, newest complete, newest with postgres',
    ]);
  });
});

describe('refused', () => {
  it.each<[RotationPolicy, string]>([
    [{}, 'keeps nothing'],
    [{ daily: 0, weekly: 0 }, 'keeps nothing'],
    [{ daily: -1 }, 'daily is -1'],
    [{ weekly: 1.5 }, 'weekly is 1.5'],
    [{ hourly: 3 } as RotationPolicy, "no rule 'hourly'"],
  ])('the policy %j', (policy, message) => {
    expect(() => plan([], policy)).toThrow(
      expect.objectContaining({ code: 'ROTATION_POLICY_INVALID', message: expect.stringContaining(message) as string }),
    );
  });

  it('a time zone that is none, and two sets of one id', () => {
    expect(() => planRotation([], one, { now, timeZone: 'Europe/Atlantis' })).toThrow(
      expect.objectContaining({ code: 'ROTATION_TIME_ZONE_INVALID' }),
    );
    expect(() => plan([setOf('2026-11-20'), setOf('2026-11-20')])).toThrow(
      expect.objectContaining({ code: 'ROTATION_SETS_AMBIGUOUS' }),
    );
  });

  it('nothing else: a civil date is that of the zone', () => {
    expect(civilDate(new Date('2011-12-30T10:30:00Z'), 'Pacific/Apia')).toBe('2011-12-31');
    expect(civilDate(new Date('2011-12-30T09:30:00Z'), 'Pacific/Apia')).toBe('2011-12-29');
  });
});
