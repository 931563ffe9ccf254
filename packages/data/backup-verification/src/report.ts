import type { ProblemKind } from '@devstack-core/backup-store';
import type { FingerprintDifference } from '@devstack-core/database-backup';

export type Verdict = 'valid' | 'invalid' | 'inconclusive';

/** What is wrong, told apart: what the store tells of files and manifest, and what parsing and restoring tell. */
export type FindingClass =
  | ProblemKind
  /** Authentic, and broken before it was encrypted. */
  | 'malformed'
  /** The engine refused it. */
  | 'restore-failed'
  /** It was restored, and holds something else than it held in the backup. */
  | 'content-differs'
  /** It was restored, and the engine's own checks complain. */
  | 'integrity'
  /** It was not restored: the image that ran it is not here. */
  | 'no-image'
  /** It was not restored: nothing here knows its engine or kind. */
  | 'no-rehearser'
  /** It was not restored: what has to be restored before it could not be. */
  | 'not-reached'
  /** It was restored, and the backup has nothing to compare it with. */
  | 'no-fingerprint'
  /** The throwaway engine could not be started, or something else failed that is not the backup's. */
  | 'trial-failed'
  | 'timed-out'
  /** The control failed: a comparison that must find differences found none. */
  | 'self-test-failed';

/** One thing that is wrong with a set, or kept it from being told. */
export interface Finding {
  readonly class: FindingClass;
  /** Of the error behind it. */
  readonly code: string;
  readonly message: string;
}

/** The image that a part was restored in. */
export interface ImageUsed {
  readonly name: string;
  readonly id: string;
  /** False for another image of the same name. */
  readonly isSame: boolean;
}

/** What was found of one part. */
export interface PartReport {
  readonly service: string;
  readonly part: string;
  readonly kind: string;
  /** As the backup names it. */
  readonly engine: { readonly name: string; readonly version: string };
  readonly verdict: Verdict;
  readonly findings: readonly Finding[];
  /** What is not right and does not make the part invalid, one line each. */
  readonly warnings: readonly string[];
  /** What parsing told, e.g. `PostgreSQL custom-format dump 1.16, 214 entries`; null where nothing was parsed. */
  readonly parsed: string | null;
  /** Null where it was not restored. */
  readonly restoredIn: ImageUsed | null;
  /** How many items were compared; null where nothing was. */
  readonly comparedItems: number | null;
  readonly differences: readonly FingerprintDifference[];
  /** What the engine's own checks said, one line each. */
  readonly integrity: readonly string[];
  readonly seconds: number;
}

/** What a verification found. */
export interface VerificationReport {
  readonly schema: 'devstack/verification/1';
  readonly id: string;
  readonly level: 1 | 2 | 3;
  /** Only these services were looked at; null for the whole set. */
  readonly only: readonly string[] | null;
  readonly verdict: Verdict;
  /** UTC. */
  readonly startedAt: string;
  readonly seconds: number;
  /** Of the set as a whole. */
  readonly findings: readonly Finding[];
  readonly parts: readonly PartReport[];
  /** The engines that really ran, for each service; empty below level 3. */
  readonly engines: readonly { readonly service: string; readonly engine: string; readonly image: ImageUsed }[];
  /** Whether deliberately wrong expectations were told from right ones; null where nothing was compared. */
  readonly selfTest: 'passed' | 'failed' | null;
  /** False where the result could not be written down, e.g. on a read-only medium. */
  readonly isRecorded: boolean;
}

/** The worst of several; inconclusive for none. */
export function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('invalid')) return 'invalid';
  return verdicts.length === 0 || verdicts.includes('inconclusive') ? 'inconclusive' : 'valid';
}

const inconclusive: ReadonlySet<FindingClass> = new Set<FindingClass>([
  'unproved',
  'unreadable',
  'no-image',
  'no-rehearser',
  'not-reached',
  'no-fingerprint',
  'trial-failed',
  'timed-out',
  'self-test-failed',
]);

/** What kept it from being told is no proof of damage. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  if (findings.length === 0) return 'valid';
  return findings.every((finding) => inconclusive.has(finding.class)) ? 'inconclusive' : 'invalid';
}
