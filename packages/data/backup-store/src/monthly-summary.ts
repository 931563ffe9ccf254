import type { HistoryRecord } from './history.ts';

/** One month of a store's history. */
export interface MonthlySummary {
  /** `YYYY-MM`, in UTC. */
  readonly month: string;
  readonly backups: Tally;
  readonly verifications: Tally;
  readonly restores: Tally;
  readonly recoveries: Tally;
  readonly bytes: number;
  /** Services whose restore was tried this month and found right. */
  readonly verifiedServices: readonly string[];
  /** Services that were backed up and never verified this month. */
  readonly unverifiedServices: readonly string[];
  /** Of recoveries and drills that succeeded; null where there was none. */
  readonly rtoMs: { readonly p50: number; readonly p95: number } | null;
  readonly worstRpoMs: number | null;
  /** Failures by code. */
  readonly failures: Readonly<Record<string, number>>;
}

/** How often something was done, and how it went. */
export interface Tally {
  readonly succeeded: number;
  readonly failed: number;
  readonly inconclusive: number;
}

/** Sums up the months of a history, the oldest first: a pure function. */
export function monthlySummaries(history: readonly HistoryRecord[]): readonly MonthlySummary[] {
  return [...Map.groupBy(history, ({ at }) => at.slice(0, 7))]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([month, records]) => summaryOf(month, records));
}

function summaryOf(month: string, records: readonly HistoryRecord[]): MonthlySummary {
  const of = (...events: readonly string[]): HistoryRecord[] => records.filter(({ event }) => events.includes(event));
  const good = (some: readonly HistoryRecord[]): HistoryRecord[] =>
    some.filter(({ outcome }) => outcome === 'succeeded');
  const backups = of('create');
  const verified = servicesOf(good(of('verify')).filter(({ level }) => level === 3));
  const recovered = good(of('recover', 'drill'));
  const rto = recovered.flatMap(({ rtoMs }) => (rtoMs === undefined ? [] : [rtoMs])).toSorted((a, b) => a - b);
  const rpo = recovered.flatMap(({ rpoMs }) => (rpoMs === undefined ? [] : [rpoMs]));
  const failures = Map.groupBy(
    records.filter(({ outcome }) => outcome !== 'succeeded'),
    ({ code }) => code ?? 'FAILED',
  );
  return {
    month,
    backups: tally(backups),
    verifications: tally(of('verify')),
    restores: tally(of('restore')),
    recoveries: tally(of('recover', 'drill')),
    bytes: good(backups).reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
    verifiedServices: verified,
    unverifiedServices: servicesOf(good(backups)).filter((service) => !verified.includes(service)),
    rtoMs: rto.length === 0 ? null : { p50: quantile(rto, 0.5), p95: quantile(rto, 0.95) },
    worstRpoMs: rpo.length === 0 ? null : Math.max(...rpo),
    failures: Object.fromEntries([...failures].map(([code, some]) => [code, some.length])),
  };
}

function tally(records: readonly HistoryRecord[]): Tally {
  const count = (wanted: HistoryRecord['outcome']): number =>
    records.filter(({ outcome }) => outcome === wanted).length;
  return { succeeded: count('succeeded'), failed: count('failed'), inconclusive: count('inconclusive') };
}

function servicesOf(records: readonly HistoryRecord[]): string[] {
  return [...new Set(records.flatMap(({ services }) => services ?? []))].toSorted();
}

// The nearest rank: a value that was really measured.
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
