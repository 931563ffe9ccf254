import { basename } from 'node:path';
import {
  planRotation,
  recheck,
  type RotationPlan,
  type RotationPolicy,
  type RotationSet,
} from '@devstack-core/backup-rotation';
import { updateCatalog, withoutSet } from './catalog.ts';
import type { StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { appendHistory } from './history.ts';
import { listSets, type SetEntry } from './list.ts';
import { lockStore } from './lock.ts';
import { sweepStore } from './sweep.ts';
import { moveToTrash, type TrashedSet } from './trash.ts';

/** How to rotate. */
export interface RotateOptions {
  /** Only says what would be done. */
  readonly dryRun?: boolean;
  /** Refuses when the plan is not that one: what was shown is what is done. */
  readonly planId?: string;
}

/** What was planned, and what of it was done. */
export interface Rotation {
  readonly plan: RotationPlan;
  /** Empty for a dry run. */
  readonly removed: readonly TrashedSet[];
}

/**
 * Plans from what is on the disk, looks again under the lock, and moves what goes to the trash. Throws `BACKUP_LOCKED`, `BACKUP_PLAN_STALE`,
 * and what the policy is refused with.
 */
export async function rotateStore(
  context: StoreContext,
  policy: RotationPolicy,
  { dryRun = false, planId }: RotateOptions,
): Promise<Rotation> {
  const options = { now: context.now(), timeZone: context.timeZone };
  const plan = planRotation(await rotationSets(context), policy, options);
  if (planId !== undefined && planId !== plan.planId) throw stale(plan.planId, `it is the plan ${plan.planId} now`);
  if (dryRun) return { plan, removed: [] };
  await using lease = await lockStore(context, 'rotation');
  await context.step('rotate:planned', plan.planId);
  const removed: TrashedSet[] = [];
  for (const { id, why } of plan.remove) {
    // Before each one: what is left of the plan must still hold.
    const rest = { ...plan, remove: plan.remove.slice(removed.length) };
    const result = recheck(rest, await rotationSets(context));
    if (!result.holds)
      throw stale(plan.planId, result.changes.map((change) => `${change.id} ${change.what}`).join('; '));
    await lease.assertHeld();
    removed.push(await moveToTrash(context, id, why));
    await updateCatalog(context, (catalog) => withoutSet(catalog, id));
  }
  await sweepStore(context);
  await appendHistory(context, {
    event: 'rotate',
    outcome: 'succeeded',
    planId: plan.planId,
    removed: removed.map(({ id }) => id),
    bytes: plan.freedBytes,
  });
  await context.step('rotate:recorded', plan.planId);
  return { plan, removed };
}

/** Under the store's lock: moves one set to the trash. Throws `BACKUP_NEEDED` when another one cannot be restored without it. */
export async function removeSet(context: StoreContext, id: string): Promise<TrashedSet> {
  const dependents = (await listSets(context)).filter(({ needs }) => needs.includes(id)).map((set) => set.id);
  if (dependents.length > 0)
    throw storeError(
      BackupStoreErrorCode.needed,
      `The backup ${id} is needed by ${dependents.join(', ')}.`,
      'Remove those first.',
      { id, neededBy: dependents },
    );
  const trashed = await moveToTrash(context, id, 'removed by hand');
  await updateCatalog(context, (catalog) => withoutSet(catalog, id));
  return trashed;
}

/** The store's sets as rotation sees them. What is not provably ours is foreign to it. */
export async function rotationSets(context: StoreContext): Promise<readonly RotationSet[]> {
  return (await listSets(context)).map((entry) => rotationSet(context, entry));
}

function rotationSet({ allowUnencrypted }: StoreContext, entry: SetEntry): RotationSet {
  const { manifest, id, path, status, trust, bytes, pinned, needs, services, verifiedServices } = entry;
  const isOurs = status === 'complete' && (trust === 'authentic' || (trust === 'plain' && allowUnencrypted));
  return {
    // An unfinished one may be called as a finished one is, but for its folder.
    id: status === 'partial' ? basename(path) : id,
    createdAt: entry.createdAt ?? '',
    localDate: manifest?.localDate ?? entry.createdAt?.slice(0, 10) ?? '',
    timeZone: manifest?.timeZone ?? 'UTC',
    sequence: manifest?.sequence ?? 0,
    needs,
    services,
    verifiedServices,
    complete: isOurs,
    pinned,
    // A run that is cut short is swept, not rotated: only then is it sure that nobody is at it.
    foreign: !isOurs,
    bytes,
  };
}

function stale(planId: string, why: string): Error {
  return storeError(
    BackupStoreErrorCode.planStale,
    `The rotation plan ${planId} does not hold any more: ${why}.`,
    'Look at a new plan (dry run), then run it again. What was removed before this can be had back from the trash.',
    { planId },
  );
}
