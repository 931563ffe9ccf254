import { join } from 'node:path';
import { isDevstackError, interrupted } from '@devstack-core/errors';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  emptyState,
  fakeSource,
  fakeWorld,
  newState,
  newest,
  occupiedState,
  older,
  prepareWorld,
  stateOf,
  type Tick,
} from '../test/fake-world.ts';
import { temporaryFolder } from '../test/folder.ts';
import { runFake, type FakeRun } from '../test/run-fake.ts';
import {
  readHistory,
  recover,
  rollBackRecovery,
  unfinishedRecovery,
  type RecoveryEvent,
  type RecoveryPlan,
} from './index.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const world = (): string => join(folder.path, 'world');

beforeEach(async () => {
  folder = await temporaryFolder();
  await prepareWorld(world(), true);
  return () => folder[Symbol.asyncDispose]();
});

describe('a recovery', () => {
  it('goes through the seven steps, measures them, and leaves only the new', async () => {
    const events: RecoveryEvent[] = [];
    const report = await runFake({ folder: folder.path, onEvent: (event) => events.push(event) });
    expect(await stateOf(world())).toBe(newState);
    expect(report.steps.map(({ step }) => step)).toEqual([
      'backup', 'engine', 'configuration', 'vault', 'services', 'databases', 'proof',
    ]); // prettier-ignore
    expect(report.record).toMatchObject({
      kind: 'recover',
      outcome: 'recovered',
      backupId: newest.id,
      isResumed: false,
      rpoSeconds: 28_799,
      rpoService: 'postgres',
      isRtoMet: true,
      isRpoMet: true,
    });
    expect(report.leftovers).toEqual([]);
    expect(events.filter(({ type }) => type === 'kept-aside')).toHaveLength(3);
    expect(events.findIndex(({ type }) => type === 'proven')).toBeLessThan(
      events.findIndex(({ type }) => type === 'discarded'),
    );
    expect(await readHistory(join(folder.path, 'state', 'history.jsonl'))).toEqual([report.record]);
    expect(await unfinishedRecovery(join(folder.path, 'state'))).toBeUndefined();
  });

  it('recovers a new machine, where there is nothing to keep', async () => {
    await prepareWorld(world(), false);
    await runFake({ folder: folder.path });
    expect(await stateOf(world())).toBe(newState);
  });

  it.each(['engine', 'configuration', 'vault', 'services', 'databases', 'proof'])(
    'puts everything back when the step %s fails',
    async (failing) => {
      const failed = await runFake({ folder: folder.path, failing }).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code: 'RECOVERY_ROLLED_BACK', details: { step: failing } });
      expect(await stateOf(world())).toBe(occupiedState);
      expect(await readHistory(join(folder.path, 'state', 'history.jsonl'))).toMatchObject([
        { outcome: 'rolled-back', failedStep: failing, isRtoMet: false },
      ]);
      // The control: the same world without the failure becomes new.
      await runFake({ folder: folder.path });
      expect(await stateOf(world())).toBe(newState);
    },
  );

  it('changes nothing when the plan is not confirmed', async () => {
    let plan: RecoveryPlan | undefined;
    const steps = fakeWorld({ root: world(), tick: () => undefined }).steps;
    const declined = recover({
      source: fakeSource(),
      steps,
      directory: join(folder.path, 'state'),
      historyFile: join(folder.path, 'state', 'history.jsonl'),
      confirm: (shown) => {
        plan = shown;
        return Promise.resolve(false);
      },
    });
    await expect(declined).rejects.toMatchObject({ code: 'RECOVERY_DECLINED' });
    expect(await stateOf(world())).toBe(occupiedState);
    expect(await unfinishedRecovery(join(folder.path, 'state'))).toBeUndefined();
    expect(plan).toMatchObject({ set: { id: newest.id }, estimateSeconds: 1680, isRtoMet: true });
  });

  it('does not count a step that did nothing', async () => {
    const { steps } = fakeWorld({ root: world(), tick: () => undefined });
    const failed = recover({
      source: fakeSource(),
      steps: { ...steps, databases: { run: () => Promise.resolve({ did: [] }) } },
      directory: join(folder.path, 'state'),
      historyFile: join(folder.path, 'state', 'history.jsonl'),
      confirm: () => Promise.resolve(true),
    });
    await expect(failed).rejects.toMatchObject({ code: 'RECOVERY_ROLLED_BACK', details: { step: 'databases' } });
    expect(await stateOf(world())).toBe(occupiedState);
  });

  it('reports what could not be discarded, and is recovered all the same', async () => {
    const { steps } = fakeWorld({ root: world(), tick: () => undefined });
    const report = await recover({
      source: fakeSource(),
      steps: { ...steps, vault: { ...steps.vault, discard: () => Promise.reject(new Error('busy')) } },
      directory: join(folder.path, 'state'),
      historyFile: join(folder.path, 'state', 'history.jsonl'),
      confirm: () => Promise.resolve(true),
    });
    expect(report.leftovers).toMatchObject([{ aside: { id: 'vault' }, reason: 'busy' }]);
    expect(await stateOf(world())).toBe(`${newState}\naside/vault=old`);
  });

  it('says what is kept where when putting back fails, too, and goes on with that on resume', async () => {
    let isBroken = true;
    const { steps } = fakeWorld({ root: world(), tick: () => undefined, failing: 'databases' });
    const options = {
      source: fakeSource(),
      steps: {
        ...steps,
        vault: {
          ...steps.vault,
          putBack: async (aside: Parameters<NonNullable<typeof steps.vault.putBack>>[0]) => {
            if (isBroken) throw new Error('no permission');
            await steps.vault.putBack?.(aside);
          },
        },
      },
      directory: join(folder.path, 'state'),
      historyFile: join(folder.path, 'state', 'history.jsonl'),
      confirm: () => Promise.resolve(true),
    };
    await expect(recover(options)).rejects.toMatchObject({
      code: 'RECOVERY_ROLLBACK_FAILED',
      details: { step: 'vault' },
    });
    expect(await unfinishedRecovery(options.directory)).toMatchObject({ state: 'rolling-back' });
    isBroken = false;
    await expect(recover({ ...options, resume: true })).rejects.toMatchObject({ code: 'RECOVERY_ROLLED_BACK' });
    expect(await stateOf(world())).toBe(occupiedState);
  });
});

describe('a recovery that was cut off', () => {
  const cutOffAt = async (point: string, more: Partial<FakeRun> = {}): Promise<void> => {
    const tick: Tick = (at) => {
      if (at === point) throw interrupted('the test');
    };
    await expect(runFake({ folder: folder.path, tick, ...more })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  };

  it('has to be resumed or rolled back before another begins', async () => {
    await cutOffAt('vault: half');
    expect(await unfinishedRecovery(join(folder.path, 'state'))).toMatchObject({
      backupId: newest.id,
      state: 'going-forward',
    });
    await expect(runFake({ folder: folder.path })).rejects.toMatchObject({ code: 'RECOVERY_UNFINISHED' });
    const ended = new Map<string, number>();
    const report = await runFake({ folder: folder.path, resume: true, ended });
    expect(await stateOf(world())).toBe(newState);
    expect(report.record.isResumed).toBe(true);
    // What was done before is not done again.
    expect(Object.fromEntries(ended)).toEqual({ vault: 1, services: 1, databases: 1, proof: 1 });
  });

  it('refuses another set, one that has changed, and one that is gone', async () => {
    await cutOffAt('databases: half');
    const resume = (more: Partial<FakeRun>): Promise<unknown> =>
      runFake({ folder: folder.path, resume: true, ...more });
    const refused = { code: 'RECOVERY_OTHER_SET' };
    await expect(resume({ backup: older.id })).rejects.toMatchObject(refused);
    await expect(resume({ sets: [older, { ...newest, manifestSha256: 'c'.repeat(64) }] })).rejects.toMatchObject(
      refused,
    );
    await expect(resume({ sets: [older] })).rejects.toMatchObject(refused);
    // The control: the very same set is taken.
    await resume({ backup: newest.id });
    expect(await stateOf(world())).toBe(newState);
  });

  it('is rolled back when the user says so', async () => {
    await cutOffAt('databases: half');
    const { steps } = fakeWorld({ root: world(), tick: () => undefined });
    const directory = join(folder.path, 'state');
    const record = await rollBackRecovery({ directory, steps, historyFile: join(directory, 'history.jsonl') });
    expect(record.outcome).toBe('rolled-back');
    expect(await stateOf(world())).toBe(occupiedState);
    await expect(runFake({ folder: folder.path, resume: true })).rejects.toMatchObject({
      code: 'RECOVERY_NOTHING_TO_RESUME',
    });
    await expect(
      rollBackRecovery({ directory, steps, historyFile: join(directory, 'history.jsonl') }),
    ).rejects.toMatchObject({
      code: 'RECOVERY_NOTHING_TO_RESUME',
    });
  });

  it('is only finished, never rolled back, once it is proven', async () => {
    await cutOffAt('journal: after proven');
    const { steps } = fakeWorld({ root: world(), tick: () => undefined });
    const directory = join(folder.path, 'state');
    expect(await unfinishedRecovery(directory)).toMatchObject({ state: 'proven' });
    await expect(
      rollBackRecovery({ directory, steps, historyFile: join(directory, 'history.jsonl') }),
    ).rejects.toMatchObject({
      code: 'RECOVERY_UNFINISHED',
    });
    // Not even the set is needed any more, and the time of the proof stays.
    const events: string[] = [];
    await runFake({ folder: folder.path, resume: true, sets: [], onEvent: ({ type }) => events.push(type) });
    expect(events).toEqual(['discarded', 'discarded', 'discarded']);
    expect(await stateOf(world())).toBe(newState);
  });
});

describe('whatever is cut off when', () => {
  it('ends in the previous state or in the complete new one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 75 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(undefined, 'engine', 'configuration', 'vault', 'services', 'databases', 'proof'),
        fc.boolean(),
        async (cuts, failing, isOccupied) => {
          await using own = await temporaryFolder();
          const root = join(own.path, 'world');
          await prepareWorld(root, isOccupied);
          const result = await untilTheEnd(own.path, cuts, failing);
          const before = isOccupied ? occupiedState : emptyState;
          expect(await stateOf(root)).toBe(result === 'recovered' ? newState : before);
          expect(result).toBe(failing === undefined ? 'recovered' : 'rolled back');
          const history = await readHistory(join(own.path, 'state', 'history.jsonl'));
          // Cut off after the last line, a run is over, and the next one begins anew.
          expect(new Set(history.map(({ outcome }) => outcome))).toEqual(
            new Set([failing === undefined ? 'recovered' : 'rolled-back']),
          );
        },
      ),
      { numRuns: 150 },
    );
  }, 120_000);
});

/** Recovers, cut off after these many ticks each time, and in the end not any more. */
async function untilTheEnd(
  path: string,
  cuts: readonly number[],
  failing: string | undefined,
): Promise<'recovered' | 'rolled back'> {
  for (const cut of [...cuts, Infinity]) {
    let ticks = 0;
    const tick: Tick = () => {
      ticks += 1;
      if (ticks >= cut) throw interrupted('the test');
    };
    const resume = (await unfinishedRecovery(join(path, 'state'))) !== undefined;
    try {
      await runFake({ folder: path, tick, failing, resume });
      return 'recovered';
    } catch (error) {
      if (isDevstackError(error, 'RECOVERY_ROLLED_BACK')) return 'rolled back';
      if (!isDevstackError(error, 'INTERRUPTED') && !isDevstackError(error, 'RECOVERY_ROLLBACK_FAILED')) throw error;
    }
  }
  throw new Error('it came to no end');
}
