import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { acquireLease, ensurePrivateDirectory } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { chooseSet, type RecoverySource } from './choose.ts';
import { DisasterRecoveryErrorCode } from './errors.ts';
import { execute, rolledBack } from './execute.ts';
import { appendHistory, estimateSteps, readHistory, type RecoveryRecord } from './history.ts';
import { planRecovery, type RecoveryPlan } from './plan.ts';
import { defaultObjectives, type Objectives } from './recovery-point.ts';
import { recordOf, reportOf, type RecoveryReport } from './report.ts';
import { rollBack } from './rollback.ts';
import { RunJournal, type OnJournalLine, type RunHead } from './run-journal.ts';
import type { KeptAside, OnRecoveryEvent, RecoverySteps } from './types.ts';

/** What a recovery and its relatives need. */
export interface RecoveryOptions {
  readonly source: RecoverySource;
  readonly steps: RecoverySteps;
  /** A private folder for the journal and the lease; outside of everything that is restored. */
  readonly directory: string;
  /** JSON lines; outside of everything that is restored. */
  readonly historyFile: string;
  /** This set and no other. */
  readonly backup?: string | undefined;
  readonly acceptUnverified?: boolean | undefined;
  readonly requiredServices?: readonly string[] | undefined;
  /** 30 minutes and 24 hours unless given. */
  readonly objectives?: Objectives | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: OnRecoveryEvent | undefined;
  readonly now?: (() => Date) | undefined;
}

export interface RecoverOptions extends RecoveryOptions {
  /** Goes on with a run that was cut off. */
  readonly resume?: boolean | undefined;
  /** Shown the plan before anything is changed; not asked again on resume. */
  readonly confirm: (plan: RecoveryPlan) => Promise<boolean>;
  readonly onJournalLine?: OnJournalLine | undefined;
}

/**
 * Restores the newest set that can be restored, in seven steps. Whatever is killed when, the next call with `resume` comes to the complete new
 * state, or, where a step has failed, to the previous one. Throws `NO_RESTORABLE_BACKUP`, `RECOVERY_UNFINISHED`, `RECOVERY_NOTHING_TO_RESUME`,
 * `RECOVERY_OTHER_SET`, `RECOVERY_DECLINED`, `RECOVERY_ROLLED_BACK`, `RECOVERY_ROLLBACK_FAILED`, `LEASE_HELD`, `INTERRUPTED`.
 */
export async function recover(options: RecoverOptions): Promise<RecoveryReport> {
  const { directory, steps, signal, onEvent, now = () => new Date() } = options;
  await ensurePrivateDirectory(directory);
  await using _lease = await acquireLease({ path: join(directory, 'recovery.lock'), owner: 'recovery' });
  await using journal = await RunJournal.open(join(directory, 'recovery.journal'), options.onJournalLine);
  const head = journal.head === undefined ? await begin(options, journal) : await goOn(options, journal, journal.head);
  const run = { head, journal, steps, signal, onEvent, now };
  try {
    if (journal.failure !== undefined) {
      await rollBack(run, journal.failure);
      throw rolledBack(journal.failure);
    }
    const history = await readHistory(options.historyFile);
    const estimates = new Map(estimateSteps(history).map(({ step, seconds }) => [step, seconds]));
    if (journal.proof === undefined) await execute({ ...run, estimates, canRollBack: true });
  } catch (error) {
    await closeRolledBack(options, journal, head, error);
    throw error;
  }
  const leftovers = await discard(run);
  return await finish(options, journal, recordOf(head, journal, 'recovered', undefined, now()), leftovers);
}

/** Takes back a run that was cut off before its proof. Throws `RECOVERY_NOTHING_TO_RESUME`, `RECOVERY_UNFINISHED` (proven: it can only be finished). */
export async function rollBackRecovery(
  options: Pick<RecoverOptions, 'directory' | 'steps' | 'historyFile' | 'onEvent' | 'now' | 'onJournalLine'>,
): Promise<RecoveryRecord> {
  await ensurePrivateDirectory(options.directory);
  await using _lease = await acquireLease({ path: join(options.directory, 'recovery.lock'), owner: 'recovery' });
  await using journal = await RunJournal.open(join(options.directory, 'recovery.journal'), options.onJournalLine);
  const { head } = journal;
  if (head === undefined) throw nothingToResume();
  if (journal.proof !== undefined) throw unfinished(head, 'it is proven already: resume it, so that it is finished');
  const failure = journal.failure ?? { step: 'proof', message: 'the user chose to go back' };
  await rollBack({ head, journal, steps: options.steps, onEvent: options.onEvent }, failure);
  const record = recordOf(head, journal, 'rolled-back', failure, (options.now ?? (() => new Date()))());
  await appendHistory(options.historyFile, record);
  await journal.end();
  return record;
}

/** The run that was cut off, or undefined. */
export async function unfinishedRecovery(directory: string): Promise<
  | {
      readonly backupId: string;
      readonly startedAt: string;
      readonly state: 'going-forward' | 'rolling-back' | 'proven';
    }
  | undefined
> {
  await ensurePrivateDirectory(directory);
  await using journal = await RunJournal.open(join(directory, 'recovery.journal'));
  const { head } = journal;
  if (head === undefined) return undefined;
  const state =
    journal.proof !== undefined ? 'proven' : journal.failure !== undefined ? 'rolling-back' : 'going-forward';
  return { backupId: head.set.id, startedAt: head.startedAt, state };
}

async function begin(options: RecoverOptions, journal: RunJournal): Promise<RunHead> {
  if (options.resume === true) throw nothingToResume();
  const { source, steps, objectives = defaultObjectives, now = () => new Date(), onEvent } = options;
  const started = now();
  const history = await readHistory(options.historyFile);
  const estimateSeconds = estimateSteps(history).find(({ step }) => step === 'backup')?.seconds ?? 0;
  onEvent?.({ type: 'step-started', step: 'backup', attempt: 1, estimateSeconds });
  const clock = performance.now();
  const choice = await chooseSet({ ...options, source, now: started });
  const seconds = (performance.now() - clock) / 1000;
  const did = [`verified backup ${choice.set.id}: ${choice.verdict.verdict}`];
  onEvent?.({ type: 'step-finished', step: 'backup', seconds, did });
  const plan = await planRecovery({ choice, steps, history, objectives, now: started });
  if (!(await options.confirm(plan))) {
    throw new DevstackError({
      code: DisasterRecoveryErrorCode.declined,
      message: 'The recovery was not confirmed; nothing was changed.',
      hint: 'Run it again and confirm, or use force.',
    });
  }
  const head: RunHead = {
    runId: randomUUID(),
    kind: 'recover',
    set: plan.set,
    objectives,
    startedAt: now().toISOString(),
  };
  await journal.start(head);
  await journal.finishStep('backup', { seconds, did });
  return head;
}

async function goOn(options: RecoverOptions, journal: RunJournal, head: RunHead): Promise<RunHead> {
  if (options.resume !== true) throw unfinished(head, 'resume it, or roll it back');
  if (options.backup !== undefined && options.backup !== head.set.id)
    throw otherSet(head, `you asked for ${options.backup}`);
  // Neither the way back nor the end needs the set.
  if (journal.failure === undefined && journal.proof === undefined) await checkSet(options, head);
  await journal.resume();
  // Killed between the two first lines, the run was verified all the same.
  if (journal.stepDone('backup') === undefined)
    await journal.finishStep('backup', { seconds: 0, did: [`verified backup ${head.set.id}`] });
  return head;
}

async function checkSet({ source, signal }: RecoverOptions, head: RunHead): Promise<void> {
  const found = (await source.list()).find(({ id }) => id === head.set.id);
  if (found === undefined) throw otherSet(head, 'that set is no longer there');
  if (found.manifestSha256 !== head.set.manifestSha256) throw otherSet(head, 'its manifest has changed since');
  const { verdict, reasons } = await source.verify(head.set.id, 1, signal);
  if (verdict !== 'valid') throw otherSet(head, `it is ${verdict} now (${reasons.join('; ')})`);
}

async function discard({
  journal,
  steps,
  onEvent,
}: {
  journal: RunJournal;
  steps: RecoverySteps;
  onEvent: OnRecoveryEvent | undefined;
}): Promise<RecoveryReport['leftovers']> {
  const leftovers: { aside: KeptAside; reason: string }[] = [];
  for (const aside of journal.aside()) {
    if (aside.step === 'backup' || aside.keptAt === undefined) continue;
    const implementation = steps[aside.step];
    try {
      await journal.once(`discard ${aside.step} ${aside.id}`, async () => {
        await implementation.discard?.(aside);
        onEvent?.({ type: 'discarded', aside });
      });
    } catch (error) {
      if (isDevstackError(error, 'INTERRUPTED')) throw error;
      // The new state is proven: what cannot be removed costs space only.
      leftovers.push({ aside, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return leftovers;
}

async function finish(
  options: RecoverOptions,
  journal: RunJournal,
  record: RecoveryRecord,
  leftovers: RecoveryReport['leftovers'],
): Promise<RecoveryReport> {
  await appendHistory(options.historyFile, record);
  const report = reportOf(record, journal, await readHistory(options.historyFile), leftovers);
  await journal.end();
  return report;
}

async function closeRolledBack(
  options: RecoverOptions,
  journal: RunJournal,
  head: RunHead,
  error: unknown,
): Promise<void> {
  if (!isDevstackError(error, DisasterRecoveryErrorCode.rolledBack)) return;
  const now = (options.now ?? (() => new Date()))();
  await appendHistory(options.historyFile, recordOf(head, journal, 'rolled-back', journal.failure, now));
  await journal.end();
}

function unfinished(head: RunHead, what: string): DevstackError {
  return new DevstackError({
    code: DisasterRecoveryErrorCode.unfinished,
    message: `A recovery of backup ${head.set.id}, begun ${head.startedAt}, was cut off: ${what}.`,
    hint: 'devstack recover --resume',
    details: { backup: head.set.id, startedAt: head.startedAt },
  });
}

function nothingToResume(): DevstackError {
  return new DevstackError({
    code: DisasterRecoveryErrorCode.nothingToResume,
    message: 'There is no recovery that was cut off.',
    hint: 'Start a new one, without resume.',
    details: { usage: true },
  });
}

function otherSet(head: RunHead, why: string): DevstackError {
  return new DevstackError({
    code: DisasterRecoveryErrorCode.otherSet,
    message: `The recovery that was cut off restores backup ${head.set.id}, and ${why}.`,
    hint: 'Bring that very set back and resume, or roll the recovery back and start anew with another set.',
    details: { backup: head.set.id },
  });
}
