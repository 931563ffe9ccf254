import { createHash } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import { byAge, type RotationSet } from './backup-set.ts';
import { civilDate } from './civil-date.ts';
import { BackupRotationErrorCode } from './errors.ts';
import { keptByPeriod } from './periods.ts';
import { checkedPolicy, type RotationPolicy } from './policy.ts';
import { neededBy, protectedSets, sortSets } from './protection.ts';
import type { KeepReason } from './reasons.ts';

/** A set that stays, with every reason. */
export interface KeptSet {
  readonly id: string;
  readonly reasons: readonly KeepReason[];
}

/** A set that goes. Date and sequence name it beside its id: `recheck` refuses another one that took the id over. */
export interface RemovedSet {
  readonly id: string;
  readonly why: string;
  readonly bytes: number;
  readonly createdAt: string;
  readonly sequence: number;
}

/** What to keep and what to remove. */
export interface RotationPlan {
  /** The newest first. */
  readonly keep: readonly KeptSet[];
  /** In the order of removal: what needs another set goes before it, so a removal that is cut short breaks no chain. */
  readonly remove: readonly RemovedSet[];
  readonly freedBytes: number;
  /** The same for the same sets, policy and outcome, whenever it is made: a plan that was shown is the one that is carried out. */
  readonly planId: string;
  /** For people: sets that are dated in the future, needs that are not there. */
  readonly warnings: readonly string[];
  readonly policy: Required<RotationPolicy>;
  /** ISO 8601. */
  readonly now: string;
  readonly timeZone: string;
}

/** When and where a plan is made. */
export interface PlanOptions {
  readonly now: Date;
  /** IANA name; says only which day it is now. Sets carry their own dates. */
  readonly timeZone: string;
}

/**
 * Which sets to keep and which to remove: a pure function, the same for sets in any order. Throws `ROTATION_POLICY_INVALID`,
 * `ROTATION_TIME_ZONE_INVALID`, `ROTATION_SETS_AMBIGUOUS` (two sets of one id).
 */
export function planRotation(
  sets: readonly RotationSet[],
  policy: RotationPolicy,
  { now, timeZone }: PlanOptions,
): RotationPlan {
  const checked = checkedPolicy(policy);
  const today = civilDate(now, timeZone);
  const byId = indexed(sets);
  const { eligible, collectable, untouchable } = sortSets(sets, now);
  const wanted = [
    ...untouchable,
    ...sets.filter(({ pinned }) => pinned).map(({ id }) => ({ id, reason: { rule: 'pinned' } as const })),
    ...keptByPeriod(eligible, checked, today),
    ...protectedSets(eligible),
  ];
  const all = [
    ...wanted,
    ...neededBy(
      wanted.map(({ id }) => id),
      byId,
    ),
  ];
  const reasons = Map.groupBy(all, ({ id }) => id);
  const keep = sets
    .filter(({ id }) => reasons.has(id))
    .toSorted((a, b) => byAge(b, a))
    .map(({ id }) => ({ id, reasons: (reasons.get(id) ?? []).map(({ reason }) => reason).toSorted(byText) }));
  const unfinished = new Set(collectable.map(({ id }) => id));
  const remove = dependentsFirst(sets.filter(({ id }) => !reasons.has(id))).map((set) => removal(set, unfinished));
  return {
    keep,
    remove,
    freedBytes: remove.reduce((sum, { bytes }) => sum + bytes, 0),
    planId: planIdOf(checked, keep, remove),
    warnings: warningsOf(sets, keep, byId),
    policy: checked,
    now: now.toISOString(),
    timeZone,
  };
}

function indexed(sets: readonly RotationSet[]): ReadonlyMap<string, RotationSet> {
  const byId = new Map<string, RotationSet>();
  for (const set of sets) {
    if (byId.has(set.id))
      throw new DevstackError({
        code: BackupRotationErrorCode.setsAmbiguous,
        message: `Two sets have the id ${set.id}.`,
        hint: 'Give each set once.',
        details: { id: set.id },
      });
    byId.set(set.id, set);
  }
  return byId;
}

function removal({ id, bytes, createdAt, sequence }: RotationSet, unfinished: ReadonlySet<string>): RemovedSet {
  const why = unfinished.has(id)
    ? 'never finished, and older than 24 hours'
    : 'no rule wants it, and no kept set needs it';
  return { id, why, bytes, createdAt, sequence };
}

// The oldest first, but none before the sets that need it. Needs that run in a circle, which no store makes, end where they were entered.
function dependentsFirst(sets: readonly RotationSet[]): readonly RotationSet[] {
  const aged = sets.toSorted(byAge);
  const dependents = new Map<string, RotationSet[]>();
  for (const set of aged) for (const need of set.needs) dependents.set(need, [...(dependents.get(need) ?? []), set]);
  const ordered = new Set<RotationSet>();
  const seen = new Set<RotationSet>();
  const visit = (first: RotationSet): void => {
    const stack = [{ set: first, left: false }];
    for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
      const { set } = entry;
      if (entry.left) ordered.add(set);
      if (seen.has(set)) continue;
      seen.add(set);
      stack.push({ set, left: true }, ...(dependents.get(set.id) ?? []).map((next) => ({ set: next, left: false })));
    }
  };
  for (const set of aged) visit(set);
  return [...ordered];
}

function planIdOf(policy: Required<RotationPolicy>, keep: readonly KeptSet[], remove: readonly RemovedSet[]): string {
  const content = {
    policy: Object.entries(policy).toSorted(),
    keep: keep.map(({ id }) => id).toSorted(),
    remove: remove.map(({ id, createdAt, sequence }) => [id, createdAt, sequence]),
  };
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);
}

function warningsOf(
  sets: readonly RotationSet[],
  keep: readonly KeptSet[],
  byId: ReadonlyMap<string, RotationSet>,
): string[] {
  const kept = new Set(keep.map(({ id }) => id));
  return [
    ...keep
      .filter(({ reasons }) => reasons.some(({ rule }) => rule === 'future'))
      .map(({ id }) => `${id} is dated in the future and stays: look at the clock of this machine.`),
    ...sets
      .filter(({ id }) => kept.has(id))
      .flatMap(({ id, needs }) =>
        needs.filter((need) => !byId.has(need)).map((need) => `${id} needs ${need}, which is not there.`),
      )
      .toSorted(),
  ];
}

function byText(a: KeepReason, b: KeepReason): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left === right ? 0 : left < right ? -1 : 1;
}
