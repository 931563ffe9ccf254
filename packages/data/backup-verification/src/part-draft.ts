import type { ArtifactRecord } from '@devstack-core/backup-store';
import type { Fingerprint, FingerprintDifference, StoredPart } from '@devstack-core/database-backup';
import { verdictOf, type Finding, type ImageUsed, type PartReport } from './report.ts';

/** A part's report while it is being made. */
export interface PartDraft {
  readonly part: StoredPart;
  readonly content: ArtifactRecord | undefined;
  readonly others: readonly ArtifactRecord[];
  readonly findings: Finding[];
  readonly warnings: string[];
  readonly integrity: string[];
  /** What it was when it was backed up. */
  expected: Fingerprint | undefined;
  differences: readonly FingerprintDifference[];
  parsed: string | null;
  restoredIn: ImageUsed | null;
  comparedItems: number | null;
  seconds: number;
}

export function draftOf(
  part: StoredPart,
  artifacts: readonly ArtifactRecord[],
  findings: readonly Finding[],
): PartDraft {
  return {
    part,
    content: artifacts.find(({ kind }) => kind === 'content'),
    others: artifacts.filter(({ kind }) => kind !== 'content'),
    findings: [...findings],
    warnings: [],
    integrity: [],
    expected: undefined,
    differences: [],
    parsed: null,
    restoredIn: null,
    comparedItems: null,
    seconds: 0,
  };
}

export function finished(draft: PartDraft): PartReport {
  const { part } = draft;
  return {
    service: part.service,
    part: part.name,
    kind: part.kind,
    engine: { name: part.engine.name, version: part.engine.version },
    verdict: verdictOf(draft.findings),
    findings: draft.findings,
    warnings: draft.warnings,
    parsed: draft.parsed,
    restoredIn: draft.restoredIn,
    comparedItems: draft.comparedItems,
    differences: draft.differences,
    integrity: draft.integrity,
    seconds: draft.seconds,
  };
}

/** Does something for a part and counts the time to it. */
export async function timed<T>(draft: PartDraft, work: () => Promise<T>): Promise<T> {
  const clock = performance.now();
  try {
    return await work();
  } finally {
    draft.seconds += (performance.now() - clock) / 1000;
  }
}
