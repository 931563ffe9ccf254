import { periodsOf, type RotationSet } from '../src/index.ts';

/**
 * The control: "7 daily, 4 weekly (Sunday), 12 monthly (1st)" taken at its word, as many scripts do. A week without a Sunday's backup and a month
 * without one of the 1st keep nothing, and nothing is protected.
 */
export function literalRule(sets: readonly RotationSet[]): ReadonlySet<string> {
  const newestFirst = sets
    .filter(({ complete }) => complete)
    .toSorted((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
  const kept = new Set<string>();
  const keep = (count: number, keyOf: (set: RotationSet) => string | undefined): void => {
    const seen = new Set<string>();
    for (const set of newestFirst) {
      const key = keyOf(set);
      if (key === undefined || seen.has(key) || seen.size === count) continue;
      seen.add(key);
      kept.add(set.id);
    }
  };
  keep(7, ({ localDate }) => localDate);
  keep(4, ({ localDate }) => (periodsOf(localDate).isSunday ? periodsOf(localDate).week : undefined));
  keep(12, ({ localDate }) => (localDate.endsWith('-01') ? localDate : undefined));
  return kept;
}
