import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  fakeSource,
  fakeWorld,
  newest,
  newState,
  occupiedState,
  older,
  prepareWorld,
  stateOf,
} from '../test/fake-world.ts';
import { temporaryFolder } from '../test/folder.ts';
import {
  drillRecovery,
  dryRun,
  readHistory,
  recover,
  storeSource,
  unfinishedRecovery,
  type DrillOptions,
  type RecoverySource,
  type RecoverySteps,
} from './index.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const world = (): string => join(folder.path, 'world');
const historyFile = (): string => join(folder.path, 'state', 'history.jsonl');
const stepsOf = (root: string, failing?: string): RecoverySteps =>
  fakeWorld({ root, tick: () => undefined, failing }).steps;

beforeEach(async () => {
  folder = await temporaryFolder();
  await prepareWorld(world(), true);
  return () => folder[Symbol.asyncDispose]();
});

describe('a drill', () => {
  interface Drill extends Partial<DrillOptions> {
    readonly failing?: string;
  }
  const drill = async ({ failing, ...more }: Drill = {}): Promise<{
    report: unknown;
    opened: string[];
    scratch: string;
  }> => {
    const scratch = join(folder.path, 'scratch');
    const opened: string[] = [];
    await prepareWorld(scratch, false);
    const report = await drillRecovery({
      source: fakeSource(),
      directory: join(folder.path, 'state'),
      historyFile: historyFile(),
      now: () => new Date('2026-11-20T10:00:00Z'),
      openTarget: (set) => {
        opened.push(set.id);
        return Promise.resolve({
          steps: stepsOf(scratch, failing),
          [Symbol.asyncDispose]: () => {
            opened.push('gone');
            return Promise.resolve();
          },
        });
      },
      ...more,
    }).catch((error: unknown) => error);
    return { report, opened, scratch };
  };

  it('recovers into a target of its own by the same steps, and is measured', async () => {
    const { report, opened, scratch } = await drill();
    expect(report).toMatchObject({
      record: { kind: 'drill', outcome: 'recovered', rpoSeconds: 28_799, isRtoMet: true, isRpoMet: true },
      leftovers: [],
    });
    expect(opened).toEqual([newest.id, 'gone']);
    expect(await stateOf(scratch)).toBe(newState);
    // The control: what runs is as it was.
    expect(await stateOf(world())).toBe(occupiedState);
    expect(await readHistory(historyFile())).toHaveLength(1);
  });

  it('that fails throws its reason, is in the history, and leaves no target', async () => {
    const { report, opened } = await drill({ failing: 'databases' });
    expect(report).toMatchObject({ message: 'the fake step databases fails' });
    expect(opened).toEqual([newest.id, 'gone']);
    expect(await readHistory(historyFile())).toMatchObject([
      { kind: 'drill', outcome: 'failed', failedStep: 'databases' },
    ]);
    expect((await drill()).report).toMatchObject({ record: { outcome: 'recovered' } });
  });

  it('that is stopped is in no history', async () => {
    const { report, opened } = await drill({ signal: AbortSignal.abort() });
    expect(report).toMatchObject({ code: 'INTERRUPTED' });
    expect(opened.at(-1)).toBe('gone');
    expect(await readHistory(historyFile())).toEqual([]);
  });
});

describe('a dry run', () => {
  const options = (source: RecoverySource, steps = stepsOf(world())): Parameters<typeof dryRun>[0] => ({
    source,
    steps,
    historyFile: historyFile(),
  });

  it('proves the set by a trial restore, asks every step, and changes nothing', async () => {
    const levels: number[] = [];
    const source = fakeSource();
    const report = await dryRun(
      options({
        ...source,
        verify: (id, level) => {
          levels.push(level);
          return source.verify(id, level);
        },
      }),
    );
    expect(report).toMatchObject({ isRestorable: true, problems: [], plan: { set: { id: newest.id } } });
    expect(levels).toEqual([3]);
    expect(await stateOf(world())).toBe(occupiedState);
    expect(await unfinishedRecovery(join(folder.path, 'state'))).toBeUndefined();
    expect(await readHistory(historyFile())).toEqual([]);
  });

  it('tells the objections of the steps, and the plan what they would do', async () => {
    const steps = stepsOf(world());
    const vault = {
      ...steps.vault,
      preflight: () => Promise.resolve(['port 8200 is taken']),
      describe: () => Promise.resolve(['restore Vault']),
    };
    const report = await dryRun(options(fakeSource(), { ...steps, vault }));
    expect(report).toMatchObject({ isRestorable: false, problems: [{ step: 'vault', problem: 'port 8200 is taken' }] });
    expect(report.plan.steps.find(({ step }) => step === 'vault')?.will).toEqual(['restore Vault']);
  });

  it('calls nothing restorable that is only accepted', async () => {
    const report = await dryRun({
      ...options(fakeSource([newest], { [newest.id]: 'a table differs' })),
      acceptUnverified: true,
    });
    expect(report).toMatchObject({ isRestorable: false, problems: [{ step: 'backup', problem: 'a table differs' }] });
  });
});

describe('two recoveries at once', () => {
  it('cannot be: the second is told who is at it', async () => {
    const inside = Promise.withResolvers<undefined>();
    const go = Promise.withResolvers<undefined>();
    const steps = stepsOf(world());
    const run = (engine: RecoverySteps['engine']): Promise<unknown> =>
      recover({
        source: fakeSource(),
        steps: { ...steps, engine },
        directory: join(folder.path, 'state'),
        historyFile: historyFile(),
        confirm: () => Promise.resolve(true),
      });
    const first = run({
      run: async () => {
        inside.resolve(undefined);
        await go.promise;
        return { did: ['waited'] };
      },
    });
    await inside.promise;
    await expect(run(steps.engine)).rejects.toMatchObject({ code: 'LEASE_HELD' });
    go.resolve(undefined);
    await first;
    expect(await stateOf(world())).toBe(newState);
  });
});

describe('the sets of a store', () => {
  it('are candidates with what is known of them, unfinished and foreign folders are none', async () => {
    const entry = (id: string, status: string, more: object = {}): object => ({
      id,
      status,
      manifest: {
        sequence: 3,
        createdAt: older.createdAt,
        kind: 'full',
        artifacts: [{ plain: { bytes: 5 } }, { plain: { bytes: 6 } }],
        parts: [{ service: 'redis', snapshotAt: older.createdAt, name: 'keys' }],
      },
      sha256: 'a'.repeat(64),
      trust: 'authentic',
      encrypted: true,
      verified: null,
      ...more,
    });
    const { manifest: _manifest, ...unreadable } = entry('forged', 'forged', {
      problem: { code: 'X', message: 'it is not the one that was written' },
      createdAt: older.createdAt,
    }) as { manifest: unknown };
    const entries = [
      entry('whole', 'complete', { verified: { at: 'then', level: 3, verdict: 'valid' } }),
      entry('checked', 'complete', { verified: { at: 'then', level: 2, verdict: 'valid' } }),
      entry('unproved', 'complete', { trust: 'unchecked' }),
      unreadable,
      { id: 'bare', status: 'damaged' },
      entry('half', 'partial'),
      entry('other', 'foreign'),
    ];
    const report = {
      verdict: 'invalid',
      findings: [{ message: 'the card was edited' }],
      parts: [{ service: 'redis', part: 'keys', findings: [{ message: 'cut off' }] }],
    };
    const source = storeSource({
      store: { list: () => Promise.resolve(entries as never) },
      verify: () => Promise.resolve(report as never),
    });
    expect(await source.list()).toMatchObject([
      { id: 'whole', sequence: 3, sizeBytes: 11, provenAt: 'then', snapshots: [{ service: 'redis' }] },
      { id: 'checked' },
      { id: 'unproved', unusable: expect.stringContaining('passphrase') as string },
      { id: 'forged', sequence: 0, unusable: 'it is not the one that was written', snapshots: [] },
      { id: 'bare', unusable: 'damaged' },
    ]);
    expect((await source.list())[1]).not.toHaveProperty('provenAt');
    expect(await source.verify('whole', 2)).toEqual({
      verdict: 'invalid',
      reasons: ['the card was edited', 'redis/keys: cut off'],
    });
  });
});
