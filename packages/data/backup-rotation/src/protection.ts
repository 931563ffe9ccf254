import { byAge, bySequence, latest, type RotationSet } from './backup-set.ts';
import { isCivilDate } from './civil-date.ts';
import type { Kept } from './periods.ts';
import type { KeepReason } from './reasons.ts';

const dayMs = 86_400_000;

/** Sets by what rotation may do with them. */
export interface Sorted {
  /** Complete, ours, not dated in the future: what the rules by period choose from. */
  readonly eligible: readonly RotationSet[];
  /** Failed or never finished, and old enough to be collected. */
  readonly collectable: readonly RotationSet[];
  /** Never touched, with the reason. */
  readonly untouchable: readonly Kept[];
}

/** Sorts sets. What is dated after now, is not ours, or has a date that cannot be read is never touched; an unfinished one not for 24 hours. */
export function sortSets(sets: readonly RotationSet[], now: Date): Sorted {
  const eligible: RotationSet[] = [];
  const collectable: RotationSet[] = [];
  const untouchable: Kept[] = [];
  for (const set of sets) {
    const created = Date.parse(set.createdAt);
    if (set.foreign === true || Number.isNaN(created) || !isCivilDate(set.localDate))
      untouchable.push(because(set, { rule: 'foreign' }));
    else if (created > now.getTime()) untouchable.push(because(set, { rule: 'future' }));
    else if (set.complete) eligible.push(set);
    else if (now.getTime() - created <= dayMs) untouchable.push(because(set, { rule: 'unfinished' }));
    else collectable.push(set);
  }
  return { eligible, collectable, untouchable };
}

/**
 * What stays whatever the rules by period say: the newest complete set, of all and of each service, and the last one of each service that was
 * verified by a restore, so that no later set can push out the one that is known to be good. Newest is meant by the clock and by sequence: where
 * the clock was put back the two differ, and both stay.
 */
export function protectedSets(eligible: readonly RotationSet[]): readonly Kept[] {
  const services = new Set(eligible.flatMap((set) => [...set.services, ...set.verifiedServices]));
  return [
    ...newestOf(eligible, { rule: 'newest' }),
    ...[...services].flatMap((service) => [
      ...newestOf(
        eligible.filter((set) => set.services.includes(service)),
        { rule: 'newest-of-service', service },
      ),
      ...newestOf(
        eligible.filter((set) => set.verifiedServices.includes(service)),
        { rule: 'last-verified', service },
      ),
    ]),
  ];
}

/** What the kept ones need, and what those need in turn, with who needs it. */
export function neededBy(keptIds: Iterable<string>, sets: ReadonlyMap<string, RotationSet>): readonly Kept[] {
  const reached = new Set(keptIds);
  const needed: Kept[] = [];
  // A set grows while it is walked, and is walked to its end.
  for (const id of reached)
    for (const need of sets.get(id)?.needs ?? []) {
      if (!sets.has(need)) continue;
      needed.push({ id: need, reason: { rule: 'needed-by', id } });
      reached.add(need);
    }
  return needed;
}

function newestOf(sets: readonly RotationSet[], reason: KeepReason): Kept[] {
  const found = new Set([latest(sets, byAge), latest(sets, bySequence)]);
  return [...found].flatMap((set) => (set === undefined ? [] : [because(set, reason)]));
}

function because({ id }: RotationSet, reason: KeepReason): Kept {
  return { id, reason };
}
