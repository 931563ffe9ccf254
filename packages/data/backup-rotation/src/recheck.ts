import type { RotationSet } from './backup-set.ts';
import { planRotation, type RotationPlan } from './plan.ts';
import { describeReason } from './reasons.ts';

/** Whether a plan may be carried out on the sets as they are now. */
export type Recheck =
  | { readonly holds: true }
  | { readonly holds: false; readonly changes: readonly { readonly id: string; readonly what: string }[] };

/**
 * Looks again before anything is removed: each set that the plan removes must still be there, be the same, and be removed by a new plan of the
 * same policy. Sets that came meanwhile do no harm; one that was verified, pinned or became needed does. `now` is the plan's own unless given.
 */
export function recheck(plan: RotationPlan, setsNow: readonly RotationSet[], now: Date = new Date(plan.now)): Recheck {
  const byId = new Map(setsNow.map((set) => [set.id, set]));
  const fresh = new Map(
    planRotation(setsNow, plan.policy, { now, timeZone: plan.timeZone }).keep.map(({ id, reasons }) => [id, reasons]),
  );
  const changes = plan.remove.flatMap(({ id, createdAt, sequence }) => {
    const set = byId.get(id);
    const wanted = fresh.get(id);
    if (set === undefined) return [{ id, what: 'is not there any more' }];
    if (set.createdAt !== createdAt || set.sequence !== sequence) return [{ id, what: 'is another set now' }];
    if (wanted !== undefined) return [{ id, what: `is to be kept now: ${wanted.map(describeReason).join(', ')}` }];
    return [];
  });
  return changes.length === 0 ? { holds: true } : { holds: false, changes };
}
