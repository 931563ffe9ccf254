import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { appendHistory, estimateSteps, readHistory, recoveryTrend, type RecoveryRecord } from './index.ts';

function record(run: number, rtoSeconds: number, more: Partial<RecoveryRecord> = {}): RecoveryRecord {
  return {
    schema: 'devstack/recovery/1',
    runId: `run ${String(run)}`,
    kind: 'drill',
    outcome: 'recovered',
    failedStep: null,
    backupId: '20261120_020000',
    sizeBytes: 1,
    startedAt: '2026-11-20T10:00:00.000Z',
    finishedAt: '2026-11-20T10:10:00.000Z',
    isResumed: false,
    steps: [{ step: 'databases', seconds: rtoSeconds / 2 }],
    rtoSeconds,
    rpoSeconds: 60,
    rpoService: 'postgres',
    objectives: { rtoSeconds: 1800, rpoSeconds: 86_400 },
    isRtoMet: true,
    isRpoMet: true,
    ...more,
  };
}

describe('the history', () => {
  it('gets one line for each run, and none is lost to a torn one', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'state', 'history.jsonl');
    expect(await readHistory(path)).toEqual([]);
    await appendHistory(path, record(1, 100));
    await appendFile(path, '{"schema":"devstack/recovery/1","runId":"to');
    await appendHistory(path, record(2, 100));
    await appendHistory(path, record(2, 100));
    expect((await readHistory(path)).map(({ runId }) => runId)).toEqual(['run 1', 'run 2']);
  });

  it('says when it cannot be read', async () => {
    await using folder = await temporaryFolder();
    await expect(readHistory(folder.path)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('the estimate of a step', () => {
  it('is a share of the objective before anything was measured, and the median of the last five afterwards', () => {
    const estimateOf = (history: readonly RecoveryRecord[]): unknown =>
      estimateSteps(history).find(({ step }) => step === 'databases');
    expect(estimateOf([])).toEqual({ step: 'databases', seconds: 720, source: 'budget' });
    const runs = [1000, 20, 40, 60, 80, 100].map((seconds, index) => record(index, seconds));
    expect(estimateOf(runs)).toEqual({ step: 'databases', seconds: 30, source: 'history' });
    expect(estimateOf(runs.slice(1, 3))).toEqual({ step: 'databases', seconds: 15, source: 'history' });
  });

  it('leaves out runs that failed and those that were cut off', () => {
    const odd = [record(1, 5000, { outcome: 'rolled-back' }), record(2, 5000, { isResumed: true })];
    expect(estimateSteps(odd).every(({ source }) => source === 'budget')).toBe(true);
    expect(recoveryTrend(odd).direction).toBe('unknown');
  });
});

describe('the trend', () => {
  const five = (seconds: number, from: number): RecoveryRecord[] =>
    [0, 1, 2, 3, 4].map((index) => record(from + index, seconds));

  it.each([
    ['slower', 100, 120, 1.2],
    ['steady', 100, 105, 1.05],
    ['faster', 100, 50, 0.5],
  ])('is %s from %d to %d seconds', (direction, before, after, ratio) => {
    expect(recoveryTrend([...five(before, 0), ...five(after, 5)])).toEqual({
      direction,
      lastFive: after,
      fiveBefore: before,
      ratio,
    });
  });

  it('is unknown with too few runs', () => {
    expect(recoveryTrend([])).toEqual({ direction: 'unknown', lastFive: null, fiveBefore: null, ratio: null });
    expect(recoveryTrend(five(100, 0))).toMatchObject({ direction: 'unknown', lastFive: 100 });
  });
});
