/** What rotation knows of one backup set. All of it was written when the set was made; nothing is read from file times. */
export interface RotationSet {
  readonly id: string;
  /** When the backup started: ISO 8601, UTC. */
  readonly createdAt: string;
  /** The civil date of that moment where it was made, `YYYY-MM-DD`: frozen, so a journey or a new rule of a time zone never moves a set. */
  readonly localDate: string;
  /** IANA name of the zone of `localDate`. */
  readonly timeZone: string;
  /** Grows with every set of a store: tells which came later when the clock was put back. */
  readonly sequence: number;
  /** The sets that this one cannot be restored without: its parent, and whoever holds an artifact that it refers to. */
  readonly needs: readonly string[];
  readonly services: readonly string[];
  /** The services of this set whose restore was tried and found right. */
  readonly verifiedServices: readonly string[];
  /** False for a set that failed or was never finished. */
  readonly complete: boolean;
  readonly pinned: boolean;
  /** True for what carries no valid manifest of ours: it is never removed. */
  readonly foreign?: boolean;
  /** What its removal frees. */
  readonly bytes: number;
}

/** The older first: by the moment of the start, and where two have the same, by sequence. */
export function byAge(a: RotationSet, b: RotationSet): number {
  return Date.parse(a.createdAt) - Date.parse(b.createdAt) || a.sequence - b.sequence || compareText(a.id, b.id);
}

/** In the order in which they were made, whatever the clock said. */
export function bySequence(a: RotationSet, b: RotationSet): number {
  return a.sequence - b.sequence || byAge(a, b);
}

/** The last of a list in some order; undefined of none. */
export function latest(
  sets: readonly RotationSet[],
  order: (a: RotationSet, b: RotationSet) => number,
): RotationSet | undefined {
  return sets.reduce<RotationSet | undefined>(
    (found, set) => (found === undefined || order(set, found) > 0 ? set : found),
    undefined,
  );
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
