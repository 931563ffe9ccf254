import type { Fingerprint, FingerprintDifference, FingerprintItem } from './types.ts';

/** What differs; empty when both are the same. The order of items does not matter. What may have gone by itself by `now` is left out. */
export function compareFingerprints(
  expected: Fingerprint,
  actual: Fingerprint,
  now: Date = new Date(),
): readonly FingerprintDifference[] {
  const isOver = ({ validUntil }: FingerprintItem): boolean =>
    validUntil !== undefined && Date.parse(validUntil) <= now.getTime();
  const key = ({ kind, name }: FingerprintItem): string => `${kind}\0${name}`;
  const found = new Map(actual.items.map((item) => [key(item), item]));
  const differences: FingerprintDifference[] = [];
  for (const item of expected.items) {
    const other = found.get(key(item));
    found.delete(key(item));
    if (isOver(item)) continue;
    const about = { kind: item.kind, name: item.name, expected: item.count, actual: other?.count ?? null };
    if (other === undefined) differences.push({ ...about, problem: 'missing' });
    else if (other.count !== item.count) differences.push({ ...about, problem: 'count' });
    else if (other.checksum !== item.checksum) differences.push({ ...about, problem: 'content' });
  }
  for (const item of found.values())
    if (!isOver(item))
      differences.push({ kind: item.kind, name: item.name, problem: 'unexpected', expected: null, actual: item.count });
  return differences;
}

/** Its one written form: sorted, so that equal fingerprints are equal texts. */
export function serializeFingerprint({ schema, items }: Fingerprint): string {
  const sorted = [...items].sort((a, b) => (a.kind === b.kind ? compare(a.name, b.name) : compare(a.kind, b.kind)));
  return `${JSON.stringify({
    schema,
    items: sorted.map(({ kind, name, count, checksum, validUntil }) => ({
      kind,
      name,
      count,
      checksum,
      ...(validUntil === undefined ? {} : { validUntil }),
    })),
  })}\n`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
