import { civilDate, type RotationSet } from '../src/index.ts';

/** A complete set of one service, made at noon of a civil date in UTC, unless told otherwise. */
export function setOf(id: string, overrides: Partial<RotationSet> = {}): RotationSet {
  const createdAt = overrides.createdAt ?? `${id.slice(0, 10)}T12:00:00.000Z`;
  const timeZone = overrides.timeZone ?? 'UTC';
  return {
    id,
    createdAt,
    localDate: overrides.localDate ?? civilDate(new Date(createdAt), timeZone),
    timeZone,
    sequence: Date.parse(createdAt) / 1000,
    needs: [],
    services: ['postgres'],
    verifiedServices: [],
    complete: true,
    pinned: false,
    bytes: 100,
    ...overrides,
  };
}

/** One set a day, the last on `until`, of `days` days; those whose weekday is not wanted (0 is Sunday) are left out. */
export function dailySets(until: string, days: number, weekdays = [0, 1, 2, 3, 4, 5, 6]): RotationSet[] {
  const end = Date.parse(`${until}T12:00:00Z`);
  return Array.from({ length: days }, (_, index) => new Date(end - (days - 1 - index) * 86_400_000))
    .filter((date) => weekdays.includes(date.getUTCDay()))
    .map((date) => setOf(date.toISOString().slice(0, 10)));
}

export const weekdaysOnly = [1, 2, 3, 4, 5];
