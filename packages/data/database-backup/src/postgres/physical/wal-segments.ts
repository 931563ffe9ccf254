const segmentName = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/;

/** The name of the file that holds a position of the write-ahead log, e.g. `000000010000000000000002`. */
export function segmentOf(timeline: number, lsn: string, segmentBytes: number): string {
  const [high = '0', low = '0'] = lsn.split('/');
  const number = (BigInt(`0x${high}`) * 2n ** 32n + BigInt(`0x${low}`)) / BigInt(segmentBytes);
  return nameOf(timeline, number, segmentBytes);
}

/**
 * The first segment that is missing among those after `from`, which are what a restore to a later moment reads; undefined when there is none.
 * `from` itself may be missing where it came with the backup. A later timeline goes on where an earlier one ended.
 */
export function missingSegment(names: readonly string[], from: string, segmentBytes: number): string | undefined {
  const start = numberOf(from, segmentBytes);
  const found = new Map<bigint, number>();
  for (const name of names) {
    const at = numberOf(name, segmentBytes);
    if (at !== undefined && start !== undefined && at.number > start.number)
      found.set(at.number, Math.max(at.timeline, found.get(at.number) ?? 0));
  }
  if (start === undefined || found.size === 0) return undefined;
  const last = [...found.keys()].reduce((a, b) => (a > b ? a : b));
  let timeline = start.timeline;
  for (let number = start.number + 1n; number <= last; number += 1n) {
    const here = found.get(number);
    if (here === undefined) return nameOf(timeline, number, segmentBytes);
    timeline = here;
  }
  return undefined;
}

/** Of a segment, a half-filled one or a timeline's history; undefined for other names. */
export function timelineOf(name: string): number | undefined {
  const [, timeline] = /^([0-9A-F]{8})(?:[0-9A-F]{16}(?:\..+)?|\.history)$/.exec(name) ?? [];
  return timeline === undefined ? undefined : Number.parseInt(timeline, 16);
}

/** Whether it is a whole segment. */
export function isSegment(name: string): boolean {
  return segmentName.test(name);
}

/** Files that PostgreSQL archives: segments, timelines' histories and notes of backups; not half-written copies. */
export function isArchivedFile(name: string): boolean {
  return (
    segmentName.test(name) ||
    /^[0-9A-F]{8}\.history$/.test(name) ||
    /^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/.test(name) ||
    /^[0-9A-F]{24}\.partial$/.test(name)
  );
}

function numberOf(
  name: string,
  segmentBytes: number,
): { readonly timeline: number; readonly number: bigint } | undefined {
  const [, timeline, high, low] = segmentName.exec(name) ?? [];
  if (timeline === undefined || high === undefined || low === undefined) return undefined;
  return {
    timeline: Number.parseInt(timeline, 16),
    number: BigInt(`0x${high}`) * perFile(segmentBytes) + BigInt(`0x${low}`),
  };
}

function nameOf(timeline: number, number: bigint, segmentBytes: number): string {
  const parts = [BigInt(timeline), number / perFile(segmentBytes), number % perFile(segmentBytes)];
  return parts.map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('');
}

function perFile(segmentBytes: number): bigint {
  return 2n ** 32n / BigInt(segmentBytes);
}
