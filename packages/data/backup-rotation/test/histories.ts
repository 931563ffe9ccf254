import fc from 'fast-check';
import { civilDate, type RotationSet } from '../src/index.ts';

/** A store's past, and the moment at which it is rotated. */
export interface History {
  readonly sets: readonly RotationSet[];
  readonly now: Date;
  readonly timeZone: string;
}

const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe', // half an hour of summer time
  'Pacific/Apia', // had no 2011-12-30
  'Africa/Casablanca', // summer time all year but in Ramadan
  'America/St_Johns',
  'Asia/Kathmandu',
  'Pacific/Kiritimati',
];
// Years that have a week 53, end in a week of the next one, or hold the day that Apia left out.
const starts = ['2009-11-20', '2011-11-25', '2015-12-01', '2020-10-20', '2024-11-25', '2026-10-01', '2027-03-20'];
const services = ['postgres', 'vault', 'redis'];
const hourMs = 3_600_000;

interface Step {
  readonly hours: number;
  readonly jump: number;
  readonly zone: string;
  readonly fate: number;
  readonly services: readonly string[];
  readonly isVerified: boolean;
  readonly chain: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  hours: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 20, max: 28 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 6 }) },
    { weight: 2, arbitrary: fc.integer({ min: 40, max: 400 }) },
  ),
  // The clock from here on: put back an hour or a year, forward a day or a year, or (mostly) right.
  jump: fc.oneof(
    { weight: 40, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(-1, -30, 24, -24 * 366, 24 * 366) },
  ),
  zone: fc.constantFrom(...zones),
  fate: fc.integer({ min: 0, max: 39 }),
  services: fc.subarray(services, { minLength: 1 }),
  isVerified: fc.boolean(),
  chain: fc.integer({ min: 0, max: 9 }),
});

/** Histories of up to 90 sets over zones with summer time, years with week 53, clocks that jump, chains, failures, pins and foreign folders. */
export const histories: fc.Arbitrary<History> = fc
  .record({
    start: fc.constantFrom(...starts),
    zone: fc.constantFrom(...zones),
    travels: fc.boolean(),
    steps: fc.array(step, { minLength: 1, maxLength: 90, size: 'max' }),
    after: fc.integer({ min: -30, max: 200 }),
  })
  .map(({ start, zone, travels, steps, after }) => {
    let clock = Date.parse(`${start}T22:30:00Z`);
    const sets = steps.map((one, index) => {
      clock += (one.hours + one.jump) * hourMs;
      return made(one, index, clock, travels ? one.zone : zone);
    });
    return { sets: chained(sets, steps), now: new Date(clock + after * hourMs), timeZone: zone };
  });

function made(one: Step, index: number, clock: number, timeZone: string): RotationSet {
  const isFailed = one.fate === 0;
  return {
    id: `set-${String(index)}`,
    createdAt: new Date(clock).toISOString(),
    localDate: civilDate(new Date(clock), timeZone),
    timeZone,
    sequence: index + 1,
    needs: [],
    services: one.services,
    verifiedServices: one.isVerified && !isFailed ? one.services.slice(0, 1) : [],
    complete: !isFailed,
    pinned: one.fate === 1,
    ...(one.fate === 2 ? { foreign: true } : {}),
    bytes: 10 + index,
  };
}

// An incremental set needs the one before it, and sometimes an older one that holds what did not change since.
function chained(sets: readonly RotationSet[], steps: readonly Step[]): RotationSet[] {
  return sets.map((set, index) => {
    const { chain = 0 } = steps[index] ?? {};
    const earlier = sets.slice(0, index).filter(({ complete, foreign }) => complete && foreign !== true);
    const needs = chain < 3 ? [earlier.at(-1), earlier.at(-1 - chain * 3)] : [];
    return { ...set, needs: [...new Set(needs.flatMap((need) => (need === undefined ? [] : [need.id])))] };
  });
}
