import { servicesOf, type BackupStore, type SetManifest } from '@devstack-core/backup-store';
import { isDevstackError } from '@devstack-core/errors';
import { worst, type Verdict, type VerificationReport } from './report.ts';

/** Writes the result into the store's history, and what a trial restore has shown to the set. False where it cannot be written. */
export async function recordReport(
  store: Pick<BackupStore, 'recordRestoreTest' | 'appendHistory'>,
  report: Omit<VerificationReport, 'isRecorded'>,
  manifest: SetManifest | undefined,
): Promise<boolean> {
  const { id, level, verdict, parts, only } = report;
  const tried = verdictsByService(parts);
  const first = [...report.findings, ...parts.flatMap(({ findings }) => findings)][0];
  try {
    if (level === 3 && manifest !== undefined && parts.length > 0) {
      // Of a set that was tried in part, the whole is not proven.
      const whole = only === null || verdict === 'invalid' ? verdict : 'inconclusive';
      await store.recordRestoreTest(id, { verdict: whole, services: tried });
    }
    await store.appendHistory({
      event: 'verify',
      outcome: outcomes[verdict],
      set: id,
      level,
      durationMs: Math.round(report.seconds * 1000),
      services: Object.keys(tried).length > 0 ? Object.keys(tried) : manifest === undefined ? [] : servicesOf(manifest),
      ...(first === undefined ? {} : { code: first.code, class: first.class }),
      ...(level === 3 ? { verdicts: tried, selfTest: report.selfTest } : {}),
    });
    return true;
  } catch (error) {
    // A backup on a read-only medium can be verified, too.
    if (isDevstackError(error)) return false;
    throw error;
  }
}

const outcomes = { valid: 'succeeded', invalid: 'failed', inconclusive: 'inconclusive' } as const;

function verdictsByService(parts: VerificationReport['parts']): Readonly<Record<string, Verdict>> {
  const groups = Map.groupBy(parts, ({ service }) => service);
  return Object.fromEntries([...groups].map(([service, own]) => [service, worst(own.map(({ verdict }) => verdict))]));
}
