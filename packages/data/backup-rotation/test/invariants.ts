import type { RotationSet } from '../src/index.ts';

/**
 * What must hold after any rotation by 7 daily, 4 weekly, 12 monthly, said in other words than the planner's: by looking at each period on its own
 * and at each set alone. Gives the names of what is broken.
 */
export function brokenInvariants(
  sets: readonly RotationSet[],
  kept: ReadonlySet<string>,
  { now, today }: { readonly now: Date; readonly today: string },
): string[] {
  const broken = new Set<string>();
  const mustStay = (name: string, set: RotationSet | undefined): void => {
    if (set !== undefined && !kept.has(set.id)) broken.add(name);
  };
  const past = (set: RotationSet): boolean => Date.parse(set.createdAt) <= now.getTime();
  const good = sets.filter((set) => set.complete && set.foreign !== true && past(set));

  for (const set of sets) {
    if (set.foreign === true) mustStay('foreign', set);
    if (!past(set)) mustStay('future', set);
    if (set.pinned) mustStay('pinned', set);
    if (!set.complete && now.getTime() - Date.parse(set.createdAt) <= 24 * 3_600_000) mustStay('unfinished', set);
    if (kept.has(set.id))
      for (const need of set.needs)
        mustStay(
          'needed',
          sets.find(({ id }) => id === need),
        );
  }
  mustStay('newest', newest(good));
  for (const service of new Set(good.flatMap(({ services }) => services))) {
    mustStay('newest of a service', newest(good.filter(({ services }) => services.includes(service))));
    mustStay('last verified', newest(good.filter(({ verifiedServices }) => verifiedServices.includes(service))));
  }
  const dates = [...new Set(good.map(({ localDate }) => localDate))].toSorted().toReversed();
  for (const date of dates.slice(0, 7)) mustStay('daily', newest(good.filter(({ localDate }) => localDate === date)));
  const mondays = [...new Set(dates.map(mondayOf))].filter(
    (monday) => plusDays(monday, 6) < today || dates.includes(plusDays(monday, 6)),
  );
  for (const monday of mondays.slice(0, 4)) {
    const sunday = plusDays(monday, 6);
    const chosen = dates.includes(sunday) ? [sunday] : dates.filter((date) => mondayOf(date) === monday);
    mustStay('weekly', newest(good.filter(({ localDate }) => chosen.includes(localDate))));
  }
  const months = [...new Set(dates.map((date) => date.slice(0, 7)))];
  for (const month of months.slice(0, 12)) {
    const firstDate = dates.findLast((date) => date.startsWith(month));
    mustStay('monthly', oldest(good.filter(({ localDate }) => localDate === firstDate)));
  }
  return [...broken].toSorted();
}

function newest(sets: readonly RotationSet[]): RotationSet | undefined {
  return sets.toSorted(order).at(-1);
}

function oldest(sets: readonly RotationSet[]): RotationSet | undefined {
  return sets.toSorted(order).at(0);
}

function order(a: RotationSet, b: RotationSet): number {
  return a.createdAt === b.createdAt ? a.sequence - b.sequence : a.createdAt < b.createdAt ? -1 : 1;
}

function mondayOf(date: string): string {
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
  return plusDays(date, weekday === 0 ? -6 : 1 - weekday);
}

function plusDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}
