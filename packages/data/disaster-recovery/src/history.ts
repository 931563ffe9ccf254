import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ensurePrivateDirectory, writeFileDurable } from '@devstack-core/durable-files';
import { recoveryStepNames, type RecoveryStepName } from './types.ts';

/** One line of the history. */
export interface RecoveryRecord {
  readonly schema: 'devstack/recovery/1';
  readonly runId: string;
  readonly kind: 'recover' | 'drill';
  readonly outcome: 'recovered' | 'rolled-back' | 'failed';
  readonly failedStep: RecoveryStepName | null;
  readonly backupId: string;
  readonly sizeBytes: number;
  /** UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** It was cut off at least once, so its time is not one of a run in one go. */
  readonly isResumed: boolean;
  readonly steps: readonly { readonly step: RecoveryStepName; readonly seconds: number }[];
  readonly rtoSeconds: number;
  readonly rpoSeconds: number;
  readonly rpoService: string;
  readonly objectives: { readonly rtoSeconds: number; readonly rpoSeconds: number };
  readonly isRtoMet: boolean;
  readonly isRpoMet: boolean;
}

const keptLines = 1000;

/** The history, the oldest first. Lines that cannot be read are left out: it is for people and estimates, never for decisions. */
export async function readHistory(path: string): Promise<readonly RecoveryRecord[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => {
    try {
      const record = JSON.parse(line) as Partial<RecoveryRecord> | null;
      return record?.schema === 'devstack/recovery/1' && Array.isArray(record.steps) ? [record as RecoveryRecord] : [];
    } catch {
      return [];
    }
  });
}

/** Adds a line; a run that is there already is not added again. The last 1,000 are kept. */
export async function appendHistory(path: string, record: RecoveryRecord): Promise<void> {
  const known = await readHistory(path);
  if (known.some(({ runId }) => runId === record.runId)) return;
  await ensurePrivateDirectory(dirname(path));
  const lines = [...known, record].slice(-keptLines).map((line) => JSON.stringify(line));
  await writeFileDurable(path, `${lines.join('\n')}\n`);
}

/** How long each step will take. */
export interface StepEstimate {
  readonly step: RecoveryStepName;
  readonly seconds: number;
  /** `history`: the median of the last five; `budget`: no run was measured yet. */
  readonly source: 'history' | 'budget';
}

/** Together 28 of the 30 minutes that are the objective. */
const budgetSeconds: Readonly<Record<RecoveryStepName, number>> = {
  backup: 120,
  engine: 240,
  configuration: 60,
  vault: 120,
  services: 300,
  databases: 720,
  proof: 120,
};

/** From the last five runs that were measured in one go. */
export function estimateSteps(history: readonly RecoveryRecord[]): readonly StepEstimate[] {
  const measured = comparable(history).slice(-5);
  return recoveryStepNames.map((step) => {
    const seconds = measured
      .flatMap((record) => record.steps.filter((row) => row.step === step))
      .map((row) => row.seconds);
    return seconds.length === 0
      ? { step, seconds: budgetSeconds[step], source: 'budget' }
      : { step, seconds: median(seconds), source: 'history' };
  });
}

/** Whether recoveries get slower. */
export interface RecoveryTrend {
  readonly direction: 'faster' | 'steady' | 'slower' | 'unknown';
  /** Medians in seconds; null without runs. */
  readonly lastFive: number | null;
  readonly fiveBefore: number | null;
  /** `lastFive` / `fiveBefore`. */
  readonly ratio: number | null;
}

/** The median time of the last five runs against that of the five before; a tenth more or less is steady. */
export function recoveryTrend(history: readonly RecoveryRecord[]): RecoveryTrend {
  const times = comparable(history).map(({ rtoSeconds }) => rtoSeconds);
  const lastFive = times.length === 0 ? null : median(times.slice(-5));
  const fiveBefore = times.length <= 5 ? null : median(times.slice(-10, -5));
  if (lastFive === null || fiveBefore === null || fiveBefore === 0)
    return { direction: 'unknown', lastFive, fiveBefore, ratio: null };
  const ratio = lastFive / fiveBefore;
  return { direction: ratio > 1.1 ? 'slower' : ratio < 0.9 ? 'faster' : 'steady', lastFive, fiveBefore, ratio };
}

function comparable(history: readonly RecoveryRecord[]): readonly RecoveryRecord[] {
  return history.filter(({ outcome, isResumed }) => outcome === 'recovered' && !isResumed);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
