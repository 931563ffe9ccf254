import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeSet, storeFolder, type StoreFolder } from '../test/store-folder.ts';
import { monthlySummaries, type HistoryRecord } from './index.ts';

// OpenPGP makes each guess at a passphrase slow, and so each artifact here: a busy machine needs its time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const day = 86_400_000;
let folder: StoreFolder;
beforeEach(async () => {
  folder = await storeFolder({ allowUnencrypted: true });
});
afterEach(async () => folder[Symbol.asyncDispose]());
const pass = (days: number): void => {
  folder.now = new Date(folder.now.getTime() + days * day);
};

describe('the history', () => {
  it('has a line for each event, and survives one that was torn', async () => {
    const { id } = await makeSet(folder.store, { encrypted: false });
    await appendFile(join(folder.directory, '.store', 'history.jsonl'), '{"at":"2026-11-2');
    await folder.store.appendHistory({ event: 'verify', outcome: 'succeeded', set: id, level: 3, note: 'x' });
    const history = await folder.store.history();
    expect(history).toMatchObject([
      { event: 'create', outcome: 'succeeded', set: id, services: ['postgres', 'vault'], kind: 'full' },
      { event: 'verify', level: 3, note: 'x', at: '2026-11-20T10:00:00.000Z' },
    ]);
  });

  it('forgets what is older than 90 days, and appends at the same time from several sides', async () => {
    await folder.store.appendHistory({ event: 'restore', outcome: 'succeeded' });
    pass(89);
    await folder.store.appendHistory({ event: 'restore', outcome: 'failed' });
    expect(await folder.store.history()).toHaveLength(2);
    pass(2);
    await Promise.all(
      [1, 2, 3, 4, 5].map((number) => folder.reopen().appendHistory({ event: 'drill', outcome: 'succeeded', number })),
    );
    const history = await folder.store.history();
    expect(history.map(({ outcome }) => outcome)).toEqual(['failed', ...Array<string>(5).fill('succeeded')]);
    expect(
      history
        .slice(1)
        .map(({ number }) => number)
        .toSorted(),
    ).toEqual([1, 2, 3, 4, 5]);
    const text = await readFile(join(folder.directory, '.store', 'history.jsonl'), 'utf8');
    expect(text.split('\n')).toHaveLength(7);
  });
});

describe('the monthly summary', () => {
  it('counts, and says what was never tried', () => {
    const record = (at: string, more: Partial<HistoryRecord>): HistoryRecord => ({
      at,
      event: 'create',
      outcome: 'succeeded',
      ...more,
    });
    const summaries = monthlySummaries([
      record('2026-10-01T00:00:00Z', { bytes: 10, services: ['postgres', 'vault'] }),
      record('2026-10-02T00:00:00Z', { outcome: 'failed', code: 'BACKUP_NO_SPACE' }),
      record('2026-10-03T00:00:00Z', { event: 'verify', level: 3, services: ['vault'] }),
      record('2026-10-03T01:00:00Z', { event: 'verify', level: 1, services: ['postgres'] }),
      record('2026-10-03T02:00:00Z', { event: 'verify', outcome: 'inconclusive' }),
      record('2026-10-04T00:00:00Z', { event: 'restore' }),
      ...[100, 300, 200].map((rtoMs) => record('2026-10-05T00:00:00Z', { event: 'drill', rtoMs, rpoMs: rtoMs * 2 })),
      record('2026-10-06T00:00:00Z', { event: 'recover', outcome: 'failed', rtoMs: 9999 }),
      record('2026-11-01T00:00:00Z', {}),
    ]);
    expect(summaries.map(({ month }) => month)).toEqual(['2026-10', '2026-11']);
    expect(summaries[0]).toEqual({
      month: '2026-10',
      backups: { succeeded: 1, failed: 1, inconclusive: 0 },
      verifications: { succeeded: 2, failed: 0, inconclusive: 1 },
      restores: { succeeded: 1, failed: 0, inconclusive: 0 },
      recoveries: { succeeded: 3, failed: 1, inconclusive: 0 },
      bytes: 10,
      verifiedServices: ['vault'],
      unverifiedServices: ['postgres'],
      rtoMs: { p50: 200, p95: 300 },
      worstRpoMs: 600,
      failures: { BACKUP_NO_SPACE: 1, FAILED: 2 },
    });
    expect(summaries[1]).toMatchObject({ rtoMs: null, worstRpoMs: null, failures: {} });
    expect(monthlySummaries([])).toEqual([]);
  });
});

describe('the metrics', () => {
  const samplesOf = (text: string): Record<string, number> =>
    Object.fromEntries(
      text
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => {
          const [, name = '', value = ''] = /^(devstack_backup_[a-z_]+(?:\{[a-z]+="[^"]*"\})?) (\S+)$/.exec(line) ?? [];
          return [name.replace('devstack_backup_', ''), Number(value)];
        }),
    );

  it('say when it last went well, how large, how long, and when it was last restored on trial', async () => {
    expect(samplesOf(await folder.store.metrics())).toEqual({ sets_size_bytes: 0 });
    const { id } = await makeSet(folder.store, { encrypted: false });
    const at = folder.now.getTime() / 1000;
    pass(1);
    await folder.store.recordRestoreTest(id, { verdict: 'valid', services: { vault: 'valid', postgres: 'invalid' } });
    await folder.store.appendHistory({ event: 'verify', outcome: 'succeeded', set: id, level: 3 });
    await expect(
      folder.store.create({ project: 'p', kind: 'full', encrypted: false, expectedBytes: 2 ** 50 }),
    ).rejects.toThrow();
    const text = await folder.store.metrics();
    const [entry] = await folder.store.list();
    expect(samplesOf(text)).toEqual({
      last_success_timestamp_seconds: at,
      last_status: 0,
      last_size_bytes: entry?.bytes,
      last_duration_seconds: 0,
      last_restore_test_timestamp_seconds: at + 86_400,
      last_restore_test_status: 1,
      'service_last_success_timestamp_seconds{service="postgres"}': at,
      'service_last_success_timestamp_seconds{service="vault"}': at,
      'service_last_verified_timestamp_seconds{service="vault"}': at,
      'sets{status="complete"}': 1,
      sets_size_bytes: entry?.bytes,
    });
    for (const name of text.matchAll(/^# TYPE (\S+) gauge$/gm)) expect(text).toContain(`# HELP ${name[1] ?? ''} `);
    expect(text.endsWith('\n')).toBe(true);
  });
});
