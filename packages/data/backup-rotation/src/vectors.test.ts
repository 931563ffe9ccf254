import { describe, expect, it } from 'vitest';
import { literalRule } from '../test/literal-rule.ts';
import { dailySets, setOf, weekdaysOnly } from '../test/sets.ts';
import { defaultPolicy, planRotation, type RotationPlan, type RotationPolicy, type RotationSet } from './index.ts';

const evening = new Date('2026-11-20T20:00:00Z');
const plan = (sets: readonly RotationSet[], now = evening, policy: RotationPolicy = defaultPolicy): RotationPlan =>
  planRotation(sets, policy, { now, timeZone: 'UTC' });
const keptIds = (made: RotationPlan): string[] => made.keep.map(({ id }) => id);
const by = (made: RotationPlan, rule: string): string[] =>
  made.keep.filter(({ reasons }) => reasons.some((reason) => reason.rule === rule)).map(({ id }) => id);

const days = ['20', '19', '18', '17', '16', '15', '14'].map((day) => `2026-11-${day}`);
const daily21 = [
  ...days,
  ...['2026-11-08', '2026-11-01', '2026-10-25', '2026-10-01', '2026-09-01', '2026-08-01', '2026-07-01'],
  ...['2026-06-01', '2026-05-01', '2026-04-01', '2026-03-01', '2026-02-01', '2026-01-01', '2025-12-01'],
];
const weekdays22 = [
  ...['2026-11-20', '2026-11-19', '2026-11-18', '2026-11-17', '2026-11-16', '2026-11-13', '2026-11-12'],
  ...['2026-11-06', '2026-11-02', '2026-10-30', '2026-10-23', '2026-10-01', '2026-09-01', '2026-08-03'],
  ...['2026-07-01', '2026-06-01', '2026-05-01', '2026-04-01', '2026-03-02', '2026-02-02', '2026-01-01', '2025-12-01'],
];

describe('400 days of backups until 2026-11-20', () => {
  it('keeps 21 of daily ones, the same as the rule at its word', () => {
    const sets = dailySets('2026-11-20', 400);
    const made = plan(sets);
    expect(keptIds(made)).toEqual(daily21);
    expect([...literalRule(sets)].toSorted().toReversed()).toEqual(daily21);
    expect(by(made, 'daily')).toEqual(days);
    expect(by(made, 'weekly')).toEqual(['2026-11-15', '2026-11-08', '2026-11-01', '2026-10-25']);
    expect(by(made, 'monthly')).toHaveLength(12);
    expect(made.freedBytes).toBe((400 - 21) * 100);
  });

  it('keeps 22 where Saturdays and Sundays are off; at its word the rule keeps 15, no weekly and 8 of 12 months', () => {
    const sets = dailySets('2026-11-20', 400, weekdaysOnly);
    const made = plan(sets);
    expect(keptIds(made)).toEqual(weekdays22);
    expect(by(made, 'weekly')).toEqual(['2026-11-13', '2026-11-06', '2026-10-30', '2026-10-23']);
    expect(by(made, 'monthly')).toHaveLength(12);
    const literal = literalRule(sets);
    expect(literal.size).toBe(15);
    expect([...literal].filter((id) => id.endsWith('-01'))).toHaveLength(8);
  });

  it.each([
    ['daily', [0, 1, 2, 3, 4, 5, 6]],
    ['weekday', weekdaysOnly],
  ])('rotating after each %s backup keeps the same as rotating once at the end', (_, weekdays) => {
    const all = dailySets('2026-11-20', 400, weekdays);
    let left: RotationSet[] = [];
    for (const set of all) {
      left.push(set);
      const kept = new Set(keptIds(plan(left, new Date(Date.parse(set.createdAt) + 3_600_000))));
      left = left.filter(({ id }) => kept.has(id));
    }
    expect(left.map(({ id }) => id).toReversed()).toEqual(keptIds(plan(all)));
  });
});

describe('weeks', () => {
  const weekly = { weekly: 2 };
  const twoWeeks = dailySets('2026-11-20', 20);

  it('the running week has no slot before its Sunday', () => {
    expect(by(plan(twoWeeks, evening, weekly), 'weekly')).toEqual(['2026-11-15', '2026-11-08']);
  });

  it('takes one with its Sunday’s backup', () => {
    const sets = dailySets('2026-11-22', 22);
    expect(by(plan(sets, new Date('2026-11-22T13:00:00Z'), weekly), 'weekly')).toEqual(['2026-11-22', '2026-11-15']);
  });

  it('takes one without it when it is over', () => {
    expect(by(plan(twoWeeks, new Date('2026-11-22T23:59:00Z'), weekly), 'weekly')).toEqual([
      '2026-11-15',
      '2026-11-08',
    ]);
    expect(by(plan(twoWeeks, new Date('2026-11-23T00:00:00Z'), weekly), 'weekly')).toEqual([
      '2026-11-20',
      '2026-11-15',
    ]);
  });

  it('prefers Sunday’s newest, not the week’s', () => {
    const sets = [
      setOf('2026-11-14'),
      setOf('2026-11-15a', { createdAt: '2026-11-15T02:00:00Z' }),
      setOf('2026-11-15b', { createdAt: '2026-11-15T09:00:00Z' }),
    ];
    expect(by(plan(sets, evening, weekly), 'weekly')).toEqual(['2026-11-15b']);
  });

  it('counts week 53 into the year of its Thursday, and never takes a week for a month', () => {
    const sets = dailySets('2027-02-10', 60);
    const made = plan(sets, new Date('2027-02-10T20:00:00Z'), { weekly: 6, monthly: 3 });
    const buckets = made.keep.flatMap(({ id, reasons }) =>
      reasons.flatMap((reason) => ('bucket' in reason ? [`${reason.bucket} ${id}`] : [])),
    );
    expect(buckets).toEqual([
      'w:2027-W05 2027-02-07',
      'm:2027-02 2027-02-01',
      'w:2027-W04 2027-01-31',
      'w:2027-W03 2027-01-24',
      'w:2027-W02 2027-01-17',
      'w:2027-W01 2027-01-10',
      'w:2026-W53 2027-01-03',
      'm:2027-01 2027-01-01',
      'm:2026-12 2026-12-13',
    ]);
  });
});

describe('time', () => {
  const berlin = { timeZone: 'Europe/Berlin' };

  it('02:30 twice in one night is one day, and the later one by UTC stays', () => {
    const sets = [
      setOf('summer', { ...berlin, createdAt: '2026-10-25T00:30:00Z' }),
      setOf('winter', { ...berlin, createdAt: '2026-10-25T01:30:00Z' }),
      setOf('next', { ...berlin, createdAt: '2026-10-26T12:00:00Z' }),
    ];
    expect(sets.map(({ localDate }) => localDate)).toEqual(['2026-10-25', '2026-10-25', '2026-10-26']);
    expect(keptIds(plan(sets, evening, { daily: 7 }))).toEqual(['next', 'winter']);
  });

  it.each(['2026-03-29', '2026-10-25'])('a day of 23 or 25 hours is one day (%s)', (day) => {
    const sets = Array.from({ length: 30 }, (_, hour) =>
      setOf(`h${String(hour).padStart(2, '0')}`, {
        ...berlin,
        createdAt: new Date(Date.parse(`${day}T00:00:00Z`) + (hour - 3) * 3_600_000).toISOString(),
      }),
    );
    const ofDay = sets.filter(({ localDate }) => localDate === day);
    expect(ofDay).toHaveLength(day === '2026-03-29' ? 23 : 25);
    const kept = keptIds(plan(sets, evening, { daily: 7 }));
    expect(kept.filter((id) => ofDay.some((set) => set.id === id))).toEqual([ofDay.at(-1)?.id]);
  });

  it('a backup just before midnight counts for its own day, wherever it is rotated', () => {
    const sets = [
      setOf('late', { timeZone: 'America/Los_Angeles', createdAt: '2026-11-02T07:30:00Z' }), // Sunday 23:30 there
      setOf('monday', { timeZone: 'America/Los_Angeles', createdAt: '2026-11-02T20:00:00Z' }),
      setOf('now', { createdAt: '2026-11-19T20:00:00Z' }),
    ];
    for (const timeZone of ['UTC', 'Asia/Tokyo', 'America/Los_Angeles']) {
      const made = planRotation(sets, { weekly: 4, monthly: 12 }, { now: evening, timeZone });
      expect(made.keep.find(({ id }) => id === 'late')?.reasons).toEqual([
        { bucket: 'm:2026-11', rule: 'monthly' },
        { bucket: 'w:2026-W44', rule: 'weekly' },
      ]);
    }
  });

  it('the clock put back: the last one made stays, and so does the newest by date', () => {
    const sets = [
      setOf('before', { createdAt: '2026-11-20T10:00:00Z', sequence: 1 }),
      setOf('after', { createdAt: '2026-11-20T09:00:00Z', sequence: 2 }),
    ];
    expect(keptIds(plan(sets, evening, { keepLast: 1 }))).toEqual(['before', 'after']);
  });

  it('a machine whose clock is a year behind removes nothing, one a year ahead keeps the same', () => {
    const sets = dailySets('2026-11-20', 400);
    expect(plan(sets, new Date('2025-09-20T12:00:00Z')).remove).toEqual([]);
    // The running week is over then, and takes a slot: nothing else is different.
    expect(keptIds(plan(sets, new Date('2027-11-20T12:00:00Z')))).toEqual(daily21.filter((id) => id !== '2026-10-25'));
  });

  it('sets dated in the future stay, count for nothing, and are warned of', () => {
    const made = plan([...dailySets('2026-11-20', 10), setOf('2027-11-20')], evening, { daily: 1 });
    expect(keptIds(made)).toEqual(['2027-11-20', '2026-11-20']);
    expect(made.warnings).toEqual(['2027-11-20 is dated in the future and stays: look at the clock of this machine.']);
  });
});
