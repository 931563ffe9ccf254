import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { acquireLease, ensurePrivateDirectory } from '@devstack-core/durable-files';
import { chooseSet } from './choose.ts';
import { execute } from './execute.ts';
import { appendHistory, estimateSteps, readHistory } from './history.ts';
import type { RecoveryOptions } from './recover.ts';
import { defaultObjectives } from './recovery-point.ts';
import { recordOf, reportOf, type RecoveryReport } from './report.ts';
import { RunJournal, type RunHead } from './run-journal.ts';
import type { RecoverySet, RecoverySteps } from './types.ts';

/** A place of its own to recover into: networks, volumes and folders that nothing else uses, gone at the end of the scope. */
export interface DrillTarget extends AsyncDisposable {
  readonly steps: RecoverySteps;
}

export interface DrillOptions extends Omit<RecoveryOptions, 'steps'> {
  /** Made after the set was chosen; also sweeps what a drill that was killed has left. */
  readonly openTarget: (set: RecoverySet) => Promise<DrillTarget>;
}

/**
 * Recovers into a scratch target by the same steps, measures it, and throws the target away. A drill that fails throws the step's own error
 * and is in the history as failed. Throws `NO_RESTORABLE_BACKUP`, `LEASE_HELD`, `INTERRUPTED`.
 */
export async function drillRecovery(options: DrillOptions): Promise<RecoveryReport> {
  const { objectives = defaultObjectives, now = () => new Date(), signal, onEvent, historyFile } = options;
  await ensurePrivateDirectory(options.directory);
  await using _lease = await acquireLease({ path: join(options.directory, 'drill.lock'), owner: 'recovery drill' });
  await using journal = await RunJournal.open(join(options.directory, 'drill.journal'));
  // Of a drill that was killed nothing is worth going on with: its target is swept.
  await journal.end();
  const startedAt = now();
  const clock = performance.now();
  const { set: candidate, verdict } = await chooseSet({ ...options, now: startedAt });
  const seconds = (performance.now() - clock) / 1000;
  const { unusable: _unusable, provenAt: _provenAt, ...set } = candidate;
  const head: RunHead = { runId: randomUUID(), kind: 'drill', set, objectives, startedAt: startedAt.toISOString() };
  await journal.start(head);
  await journal.finishStep('backup', { seconds, did: [`verified backup ${set.id}: ${verdict.verdict}`] });
  const estimates = new Map(estimateSteps(await readHistory(historyFile)).map((row) => [row.step, row.seconds]));
  try {
    await using target = await options.openTarget(set);
    await execute({ head, journal, steps: target.steps, estimates, canRollBack: false, signal, onEvent, now });
  } catch (error) {
    if (signal?.aborted !== true) {
      const failed = { ...recordOf(head, journal, 'failed', undefined, now()), failedStep: journal.current ?? null };
      await appendHistory(historyFile, failed);
    }
    await journal.end();
    throw error;
  }
  const record = recordOf(head, journal, 'recovered', undefined, now());
  await appendHistory(historyFile, record);
  const report = reportOf(record, journal, await readHistory(historyFile), []);
  await journal.end();
  return report;
}
