import { DevstackError } from '@devstack-core/errors';
import { DisasterRecoveryErrorCode } from './errors.ts';
import type { OnRecoveryEvent, RecoverySet } from './types.ts';

/** A set that may be restored. */
export interface Candidate extends RecoverySet {
  /** Why it cannot be used, as far as that is known without reading it. */
  readonly unusable?: string;
  /** When a trial restore of all of it last succeeded; UTC. */
  readonly provenAt?: string;
}

/** What became of a verification. */
export interface SetVerdict {
  readonly verdict: 'valid' | 'invalid' | 'inconclusive';
  /** What is wrong, or was not looked at; one line each. */
  readonly reasons: readonly string[];
}

/** Where sets come from, and how they are verified. */
export interface RecoverySource {
  list(): Promise<readonly Candidate[]>;
  /** 1 manifest and checksums, 2 decrypt and parse, 3 restore for a trial. */
  verify(id: string, level: 1 | 2 | 3, signal?: AbortSignal): Promise<SetVerdict>;
}

export interface ChooseOptions {
  readonly source: RecoverySource;
  /** This one and no other. */
  readonly backup?: string | undefined;
  /** 2 unless given. */
  readonly level?: 1 | 2 | 3;
  /** Uses a set even when its verification found something. The manifest must be authentic all the same. */
  readonly acceptUnverified?: boolean | undefined;
  /** Services that must be in it; a set of one service is no way back to a whole stack. */
  readonly requiredServices?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnRecoveryEvent | undefined;
  readonly now: Date;
}

/** A set that was not taken, and why. */
export interface SkippedSet {
  readonly id: string;
  readonly reason: string;
}

export interface Choice {
  readonly set: Candidate;
  readonly verdict: SetVerdict;
  /** The newer ones, the newest first. */
  readonly skipped: readonly SkippedSet[];
  /** What a person should know before it is used. */
  readonly warnings: readonly string[];
}

/**
 * Finds the newest set that can be restored: by sequence, then by the time in the manifest, never by the time of a file. Each candidate is
 * verified, the newest first, until one is valid. Throws `NO_RESTORABLE_BACKUP`, and what the verification throws.
 */
export async function chooseSet(options: ChooseOptions): Promise<Choice> {
  const { source, backup, level = 2, onEvent } = options;
  const all = await source.list();
  const wanted = backup === undefined ? all : all.filter(({ id }) => id === backup);
  // What has no manifest that could be believed has no place in the order: it is named by the time that its id tells.
  const blind = wanted.filter(({ sequence, unusable }) => sequence === 0 && unusable !== undefined);
  const skipped: SkippedSet[] = [];
  for (const set of wanted.filter((one) => !blind.includes(one)).toSorted(newestFirst)) {
    const unusable = set.unusable ?? lacks(set, options.requiredServices);
    const verdict: SetVerdict =
      unusable === undefined
        ? await source.verify(set.id, level, options.signal)
        : { verdict: 'invalid', reasons: [unusable] };
    const isAccepted = options.acceptUnverified === true && unusable === undefined;
    const reason = describe(verdict);
    const isUsed = verdict.verdict === 'valid' || isAccepted;
    onEvent?.({ type: 'candidate', id: set.id, isUsed, reason });
    if (isUsed) {
      const newer = blind.filter(({ createdAt }) => Date.parse(createdAt) >= Date.parse(set.createdAt));
      return {
        set,
        verdict,
        skipped: [...newer.map(skip), ...skipped],
        warnings: warningsOf(set, verdict, all, options.now),
      };
    }
    skipped.push({ id: set.id, reason });
  }
  throw noneFound(backup, [...blind.map(skip), ...skipped]);
}

function skip({ id, unusable = '' }: Candidate): SkippedSet {
  return { id, reason: unusable };
}

function newestFirst(a: Candidate, b: Candidate): number {
  return b.sequence - a.sequence || Date.parse(b.createdAt) - Date.parse(a.createdAt) || (a.id < b.id ? 1 : -1);
}

function lacks(set: Candidate, required: readonly string[] = []): string | undefined {
  const has = new Set(set.snapshots.map(({ service }) => service));
  const missing = required.filter((service) => !has.has(service));
  return missing.length === 0 ? undefined : `it does not hold ${missing.join(', ')}`;
}

function describe({ verdict, reasons }: SetVerdict): string {
  return reasons.length > 0 ? reasons.join('; ') : verdict;
}

function warningsOf(set: Candidate, verdict: SetVerdict, all: readonly Candidate[], now: Date): readonly string[] {
  const warnings: string[] = [];
  const newer = all.filter((other) => Date.parse(other.createdAt) > Date.parse(set.createdAt)).length;
  if (newer > 0) warnings.push(`${String(newer)} sets in the same place are newer.`);
  if (Date.parse(set.createdAt) > now.getTime())
    warnings.push(
      `By the clock of this machine it was made in the future (${set.createdAt}): one of the clocks is wrong.`,
    );
  if (!set.encrypted) warnings.push('It is not encrypted, so nothing shows whether someone changed it.');
  if (set.provenAt === undefined) warnings.push('It was never restored for a trial.');
  if (verdict.verdict !== 'valid') warnings.push(`Its verification says ${verdict.verdict}: ${describe(verdict)}.`);
  return warnings;
}

function noneFound(backup: string | undefined, skipped: readonly SkippedSet[]): DevstackError {
  const list = skipped.map(({ id, reason }) => `${id}: ${reason}`).join('; ');
  return new DevstackError({
    code: DisasterRecoveryErrorCode.noRestorableSet,
    message:
      skipped.length === 0
        ? `There is no backup set${backup === undefined ? '' : ` ${backup}`}.`
        : `No backup set can be restored (${list}).`,
    hint: 'Bring a set from another place into the folder, or give the right passphrase.',
    details: { skipped },
  });
}
