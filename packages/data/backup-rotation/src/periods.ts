import { byAge, type RotationSet } from './backup-set.ts';
import { periodsOf, type Periods } from './civil-date.ts';
import type { RotationPolicy } from './policy.ts';
import type { KeepReason } from './reasons.ts';

/** A set and one reason to keep it. */
export interface Kept {
  readonly id: string;
  readonly reason: KeepReason;
}

/**
 * What the rules by the calendar and by number keep, of complete sets that are not dated in the future. Rules count on their own: one set can
 * satisfy several. Only periods that have a backup count, so a machine that was off loses nothing; `today` is the civil date of now.
 */
export function keptByPeriod(
  sets: readonly RotationSet[],
  policy: Required<RotationPolicy>,
  today: string,
): readonly Kept[] {
  const dated = sets.map((set) => ({ set, periods: periodsOf(set.localDate) }));
  return [
    ...daily(dated, policy.daily),
    ...weekly(dated, policy.weekly, today),
    ...monthly(dated, policy.monthly),
    ...last(sets, policy.keepLast),
  ];
}

interface Dated {
  readonly set: RotationSet;
  readonly periods: Periods;
}

function daily(dated: readonly Dated[], count: number): Kept[] {
  return buckets(dated, 'day', count).map(([bucket, members]) => keep(newest(members), 'daily', bucket));
}

// A week has a slot when it is over or has its Sunday's backup already: the running one would push the oldest out for a Wednesday otherwise.
function weekly(dated: readonly Dated[], count: number, today: string): Kept[] {
  const sundays = new Set(dated.flatMap(({ periods }) => (periods.isSunday ? [periods.week] : [])));
  const settled = dated.filter(({ periods }) => periods.sunday < today || sundays.has(periods.week));
  return buckets(settled, 'week', count).map(([bucket, members]) => {
    const sunday = members.filter(({ periods }) => periods.isSunday);
    return keep(newest(sunday.length > 0 ? sunday : members), 'weekly', bucket);
  });
}

// The oldest by civil date, then by time: the date is what the rule speaks of, and it need not agree with UTC when zones were crossed.
function monthly(dated: readonly Dated[], count: number): Kept[] {
  return buckets(dated, 'month', count).map(([bucket, members]) => {
    const earliest = members.reduce((found, one) => (earlier(one, found) ? one : found));
    return keep(earliest.set, 'monthly', bucket);
  });
}

function earlier(a: Dated, b: Dated): boolean {
  return a.set.localDate === b.set.localDate ? byAge(a.set, b.set) < 0 : a.set.localDate < b.set.localDate;
}

function last(sets: readonly RotationSet[], count: number): Kept[] {
  return sets
    .toSorted((a, b) => byAge(b, a))
    .slice(0, count)
    .map(({ id }, index) => ({ id, reason: { rule: 'last', position: index + 1 } }));
}

// Keys of one type sort as their periods do: each has a year of four digits in front.
function buckets(dated: readonly Dated[], period: 'day' | 'week' | 'month', count: number): [string, Dated[]][] {
  return [...Map.groupBy(dated, ({ periods }) => periods[period])]
    .toSorted(([a], [b]) => (a < b ? 1 : -1))
    .slice(0, count);
}

function newest(members: readonly Dated[]): RotationSet {
  return members.reduce((found, one) => (byAge(one.set, found.set) > 0 ? one : found)).set;
}

function keep({ id }: RotationSet, rule: 'daily' | 'weekly' | 'monthly', bucket: string): Kept {
  return { id, reason: { rule, bucket } };
}
