import { DevstackError } from '@devstack-core/errors';
import { BackupRotationErrorCode } from './errors.ts';

const dayMs = 86_400_000;

/** The civil date, `YYYY-MM-DD`, of a moment in an IANA time zone. Throws `ROTATION_TIME_ZONE_INVALID`. */
export function civilDate(moment: Date, timeZone: string): string {
  const parts = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(moment)
      .map(({ type, value }) => [type, value]),
  );
  return `${(parts['year'] ?? '').padStart(4, '0')}-${parts['month'] ?? ''}-${parts['day'] ?? ''}`;
}

/** Whether a text is a date of the Gregorian calendar, `YYYY-MM-DD`. */
export function isCivilDate(text: string): boolean {
  const noon = Date.parse(`${text}T12:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(noon) && new Date(noon).toISOString().startsWith(text);
}

/**
 * The keys of the periods that a civil date belongs to. Each has its type in front: ISO week 01 and month 01 of a year would be one key
 * otherwise. A week has the year of its Thursday (ISO 8601): 2027-01-01 is in `w:2026-W53`.
 */
export interface Periods {
  readonly day: string;
  readonly week: string;
  readonly month: string;
  /** The Sunday on which the week ends. */
  readonly sunday: string;
  readonly isSunday: boolean;
}

// Civil dates are counted in UTC, where every day has 24 hours: no time zone comes in here, so no change of clocks does.
export function periodsOf(date: string): Periods {
  const noon = Date.parse(`${date}T12:00:00Z`);
  const weekday = new Date(noon).getUTCDay() || 7;
  const thursday = new Date(noon + (4 - weekday) * dayMs);
  const year = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * dayMs));
  return {
    day: `d:${date}`,
    week: `w:${String(year)}-W${String(week).padStart(2, '0')}`,
    month: `m:${date.slice(0, 7)}`,
    sunday: new Date(noon + (7 - weekday) * dayMs).toISOString().slice(0, 10),
    isSunday: weekday === 7,
  };
}

const formats = new Map<string, Intl.DateTimeFormat>();

// Making one takes longer than all the rest of a plan.
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    });
    formats.set(timeZone, format);
    return format;
  } catch (error) {
    throw new DevstackError({
      code: BackupRotationErrorCode.timeZoneInvalid,
      message: `'${timeZone}' is no time zone that this machine knows.`,
      hint: 'Give an IANA name: Europe/Berlin, America/New_York, UTC.',
      cause: error,
      details: { timeZone },
    });
  }
}
