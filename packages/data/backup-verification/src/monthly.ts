import type { MonthlySummary, SetEntry } from '@devstack-core/backup-store';

/** What the sets that are there mean for the coverage. */
export type CoveredSet = Pick<SetEntry, 'id' | 'status' | 'createdAt' | 'services' | 'verifiedServices' | 'verified'>;

/** A month in text: coverage, what was never tried, how long recoveries took, what failed. */
export function monthlyText(summary: MonthlySummary, sets: readonly CoveredSet[], now: Date): string {
  const { month, backups, verifications, restores, recoveries, rtoMs, worstRpoMs, failures } = summary;
  const complete = sets.filter(({ status }) => status === 'complete');
  const unverified = complete.filter(({ verified }) => verified?.level !== 3 || verified.verdict !== 'valid');
  const oldest = unverified.toSorted((a, b) => (a.createdAt ?? '').localeCompare(b.createdAt ?? ''))[0];
  const lines = [
    `Backups in ${month}`,
    '',
    `backups         ${tally(backups)}, ${mebibytes(summary.bytes)} MiB`,
    `verifications   ${tally(verifications)}`,
    `restores        ${tally(restores)}`,
    `recoveries      ${tally(recoveries)}`,
    `proven by a restore this month: ${listed(summary.verifiedServices)}`,
    `backed up and not proven:       ${listed(summary.unverifiedServices)}`,
    `sets: ${String(complete.length)}, of which ${String(complete.length - unverified.length)} proven by a restore`,
    `oldest set that was never proven: ${oldest === undefined ? 'none' : `${oldest.id} (${age(oldest.createdAt, now)})`}`,
    `time to recover: ${rtoMs === null ? 'not measured' : `median ${minutes(rtoMs.p50)}, 95 of 100 within ${minutes(rtoMs.p95)}`}`,
    `worst age of recovered data: ${worstRpoMs === null ? 'not measured' : `${(worstRpoMs / 3_600_000).toFixed(1)} h`}`,
    ...Object.entries(failures).map(([code, times]) => `failed with ${code}: ${String(times)}`),
  ];
  return `${lines.join('\n')}\n`;
}

function tally({ succeeded, failed, inconclusive }: MonthlySummary['backups']): string {
  return `${String(succeeded)} succeeded, ${String(failed)} failed, ${String(inconclusive)} inconclusive`;
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}

function minutes(ms: number): string {
  return `${(ms / 60_000).toFixed(1)} min`;
}

function age(createdAt: string | undefined, now: Date): string {
  const days = (now.getTime() - Date.parse(createdAt ?? '')) / 86_400_000;
  return Number.isFinite(days) ? `${Math.max(0, days).toFixed(0)} days old` : 'of unknown age';
}
