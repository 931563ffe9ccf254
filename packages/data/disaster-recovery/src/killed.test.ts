import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDevstackError } from '@devstack-core/errors';
import { describe, expect, it } from 'vitest';
import { emptyState, newState, occupiedState, prepareWorld, stateOf } from '../test/fake-world.ts';
import { temporaryFolder } from '../test/folder.ts';
import { runFake } from '../test/run-fake.ts';
import { unfinishedRecovery } from './index.ts';

const script = fileURLToPath(new URL('../test/recover-until-killed.ts', import.meta.url));

/** Runs a recovery in a process of its own that kills itself at a tick; gives the tick's name, or undefined when it came to its end before. */
async function recoverUntilKilled(folder: string, killAt: number, failing = ''): Promise<string | undefined> {
  const child = spawn(process.execPath, ['-C', '@devstack-core/source', script, folder, String(killAt), failing], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [point] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return child.signalCode === 'SIGKILL' ? point.trim() : undefined;
}

/** The tick before the one at which the rollback is written down; what comes before is what the first test goes through. */
const atFailure = 55;
/** Copies and the like that a new machine does not need. */
const whereThereIsNothing = 7;

// Two at a time: the machine has more to do.
async function atEveryTick(failing: string, isOccupied: boolean, from = 1): Promise<Map<string, string>> {
  const hit = new Map<string, string>();
  let next = from;
  let isOver = false;
  const worker = async (): Promise<void> => {
    while (!isOver) {
      const killAt = next;
      next += 1;
      await using folder = await temporaryFolder();
      const world = join(folder.path, 'world');
      await prepareWorld(world, isOccupied);
      const point = await recoverUntilKilled(folder.path, killAt, failing);
      if (point === undefined) {
        isOver = true;
        return;
      }
      hit.set(`${String(killAt)} ${point}`, await resumed(folder.path, failing, world));
    }
  };
  await Promise.all([worker(), worker()]);
  return hit;
}

async function resumed(path: string, failing: string, world: string): Promise<string> {
  const resume = (await unfinishedRecovery(join(path, 'state'))) !== undefined;
  try {
    await runFake({ folder: path, failing: failing === '' ? undefined : failing, resume });
  } catch (error) {
    if (!isDevstackError(error, 'RECOVERY_ROLLED_BACK')) throw error;
  }
  return stateOf(world);
}

/** How often each kind of place was hit. */
function histogram(hit: ReadonlyMap<string, string>): Readonly<Record<string, number>> {
  const kinds = [...hit.keys()].map((point) =>
    point.replace(/^\d+ /, '').replace(/^(journal: (?:before|after) \w+|\w+).*$/, '$1'),
  );
  return Object.fromEntries([...Map.groupBy(kinds, (kind) => kind)].map(([kind, points]) => [kind, points.length]));
}

describe('kill -9 at every change of the world and every line of the journal', () => {
  it('leads to the complete new state on resume', async () => {
    const hit = await atEveryTick('', true);
    expect([...new Set(hit.values())]).toEqual([newState]);
    expect(histogram(hit)).toEqual({
      'journal: before run': 1,
      'journal: after run': 1,
      'journal: before attempt': 6,
      'journal: after attempt': 6,
      'journal: before aside': 6,
      'journal: after aside': 6,
      'journal: before done': 7,
      'journal: after done': 7,
      'journal: before proven': 1,
      'journal: after proven': 1,
      'journal: before once': 3,
      'journal: after once': 3,
      'journal: before end': 1,
      'journal: after end': 1,
      engine: 1,
      configuration: 7,
      vault: 7,
      volume: 8,
      services: 1,
      databases: 3,
      proof: 1,
    });
  }, 240_000);

  it('leads back to the previous state where a step fails for good', async () => {
    const hit = await atEveryTick('databases', true, atFailure);
    expect([...new Set(hit.values())]).toEqual([occupiedState]);
    expect(histogram(hit)).toMatchObject({
      'journal: before rollback': 1,
      'journal: after rollback': 1,
      'journal: before once': 8,
    });
  }, 240_000);

  it('leads back to an empty machine where there was nothing', async () => {
    const hit = await atEveryTick('databases', false, atFailure - whereThereIsNothing);
    expect([...new Set(hit.values())]).toEqual([emptyState]);
  }, 240_000);

  it('the control: without a resume, a kill leaves something between', async () => {
    await using folder = await temporaryFolder();
    const world = join(folder.path, 'world');
    await prepareWorld(world, true);
    const point = await recoverUntilKilled(folder.path, 30);
    expect(point).toBeDefined();
    expect([newState, occupiedState]).not.toContain(await stateOf(world));
  });
});
