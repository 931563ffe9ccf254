import type { BackupStore } from '@devstack-core/backup-store';
import { timelineOf } from '@devstack-core/database-backup';
import { DevstackError } from '@devstack-core/errors';
import { StackBackupErrorCode } from './errors.ts';
import { physicalSets, type PhysicalSet } from './physical-set.ts';

/** Where a restore is to end: at a moment, or at a point that `pg_create_restore_point` has named. */
export type RecoveryTarget = { readonly time: Date } | { readonly name: string };

/** The log that leads from a base to a target. */
export interface CollectedLog {
  /** Sets whose log is needed, in order. */
  readonly sets: readonly PhysicalSet[];
  /** The highest timeline that any set of the cluster knows. */
  readonly highestTimeline: number;
}

/**
 * Of the base's own set alone without a target; up to the first set that was made after a moment; all there is for a named point. A log ends
 * with a restore: what was written after it begins with the next set. Throws TARGET_OUT_OF_REACH.
 */
export async function collectLog(
  store: Pick<BackupStore, 'list'>,
  base: PhysicalSet,
  target: RecoveryTarget | undefined,
): Promise<CollectedLog> {
  const all = (await physicalSets(store)).filter(({ systemIdentifier }) => systemIdentifier === base.systemIdentifier);
  const highestTimeline = Math.max(base.timeline, ...all.map(newestTimeline));
  if (target === undefined) return { sets: base.wal === undefined ? [] : [base], highestTimeline };
  if ('time' in target && target.time < base.endedAt) throw tooEarly(base, target.time, all);
  const later = all
    .filter(({ manifest, wal }) => manifest.sequence >= base.manifest.sequence && wal !== undefined)
    .toReversed();
  if (later.length === 0)
    throw outOfReach(
      `There is no archived log in the backup ${base.manifest.id} or later ones to go on to another moment with.`,
      'It is kept from "devstack backup wal on" on, and goes along with: devstack backup create --physical',
    );
  const sets: PhysicalSet[] = [];
  for (const set of later) {
    sets.push(set);
    // What waited in the archive when the cluster was restored came along with the first set after it.
    if (set.timeline !== base.timeline || ('time' in target && takenAt(set) >= target.time)) break;
  }
  const last = sets.at(-1);
  if ('time' in target && last !== undefined && takenAt(last) < target.time) throw tooLate(last, target.time);
  return { sets, highestTimeline };
}

/** The newest set from which a moment can be gone to. Throws TARGET_OUT_OF_REACH. */
export async function physicalSetBefore(store: Pick<BackupStore, 'list'>, time: Date): Promise<string> {
  const found = (await physicalSets(store)).find(({ endedAt }) => endedAt <= time);
  if (found !== undefined) return found.manifest.id;
  throw outOfReach(
    `No set holds a physical backup of PostgreSQL from before ${time.toISOString()}.`,
    'See: devstack backup list',
  );
}

function newestTimeline({ timeline, wal }: PhysicalSet): number {
  return Math.max(timeline, timelineOf(String(wal?.metadata?.['last'] ?? '')) ?? 0);
}

function takenAt({ wal }: PhysicalSet): Date {
  return new Date(wal?.snapshotAt ?? 0);
}

function tooEarly({ manifest, endedAt }: PhysicalSet, time: Date, all: readonly PhysicalSet[]): DevstackError {
  const earlier = all.find((set) => set.endedAt <= time);
  return outOfReach(
    `The backup ${manifest.id} of PostgreSQL was complete at ${endedAt.toISOString()}, and ${time.toISOString()} lies before that.`,
    earlier === undefined ? 'There is no earlier one of this cluster.' : `Use ${earlier.manifest.id}.`,
  );
}

function tooLate(last: PhysicalSet, time: Date): DevstackError {
  return outOfReach(
    `The archived log reaches to ${takenAt(last).toISOString()} (backup ${last.manifest.id}), and ${time.toISOString()} lies beyond it.`,
    'Where the server still runs, what it has written since goes along with: devstack backup create --physical --incremental',
  );
}

function outOfReach(message: string, hint: string): DevstackError {
  return new DevstackError({ code: StackBackupErrorCode.outOfReach, message, hint });
}
