import {
  compareFingerprints,
  type Fingerprint,
  type FingerprintDifference,
  type FingerprintItem,
  type StoredPart,
} from '@devstack-core/database-backup';
import type { Finding } from './report.ts';

/** What a comparison means. */
export interface Judgement {
  readonly findings: readonly Finding[];
  readonly warnings: readonly string[];
  readonly differences: readonly FingerprintDifference[];
}

type Consistency = Pick<StoredPart, 'consistency' | 'consistencyReason'>;

/**
 * Compares what came back with what was in the backup. Where content and fingerprint are not of one moment, other content is to be expected
 * and is a warning; what is missing never is.
 */
export function judge(expected: Fingerprint, actual: Fingerprint, part: Consistency, now: Date): Judgement {
  const differences = compareFingerprints(expected, actual, now);
  const isExact = part.consistency === 'exact';
  const grave = isExact ? differences : differences.filter(({ problem }) => problem === 'missing');
  const light = isExact ? [] : differences.filter(({ problem }) => problem !== 'missing');
  return {
    differences,
    findings:
      grave.length === 0 ? [] : [{ class: 'content-differs', code: 'CONTENT_DIFFERS', message: described(grave) }],
    warnings:
      light.length === 0
        ? []
        : [
            `${described(light)} That can be so: content and fingerprint are not of one moment (${part.consistencyReason ?? 'no reason was given'}).`,
          ],
  };
}

/**
 * The control of a comparison: four expectations that are wrong on purpose, of content, count, something missing and something too much.
 * True when each of them is told from what came back.
 */
export function tellsWrongOnes(expected: Fingerprint, actual: Fingerprint, now: Date): boolean {
  const found = compareFingerprints(expected, actual, now).length;
  const tells = (items: readonly FingerprintItem[]): boolean =>
    compareFingerprints({ ...expected, items }, actual, now).length > found;
  const planted = { kind: 'planted', name: 'by the control', count: 1, checksum: 'none' };
  if (!tells([...expected.items, planted])) return false;
  // Only what was found right can be made wrong.
  const right = expected.items.find((item) => isAmong(item, actual));
  if (right === undefined) return true;
  const others = expected.items.filter((item) => item !== right);
  const changes = [[{ ...right, checksum: `${right.checksum}x` }], [{ ...right, count: right.count + 1 }], []];
  return changes.every((change) => tells([...others, ...change]));
}

function isAmong(item: FingerprintItem, { items }: Fingerprint): boolean {
  // What may have gone by itself is compared leniently.
  if (item.validUntil !== undefined) return false;
  return items.some(
    ({ kind, name, count, checksum }) =>
      kind === item.kind && name === item.name && count === item.count && checksum === item.checksum,
  );
}

const shown = 3;

function described(differences: readonly FingerprintDifference[]): string {
  const lines = differences.slice(0, shown).map(sentence);
  const more = differences.length - lines.length;
  return `${lines.join(' ')}${more > 0 ? ` And ${String(more)} more.` : ''}`;
}

function sentence({ kind, name, problem, expected, actual }: FingerprintDifference): string {
  switch (problem) {
    case 'missing':
      return `The ${kind} ${name} is missing.`;
    case 'unexpected':
      return `The ${kind} ${name} was not in the backup.`;
    case 'count':
      return `The ${kind} ${name} has ${String(actual)} instead of ${String(expected)}.`;
    case 'content':
      return `The ${kind} ${name} has other content.`;
  }
}
