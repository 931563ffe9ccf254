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

// In a soak at every change of the world and every line of the journal, so many times; otherwise after every line, and once at each kind of change.
const rounds = Number(process.env['DEVSTACK_KILL_ROUNDS'] ?? '1');
const isSoak = process.env['DEVSTACK_KILL_ROUNDS'] !== undefined;

/** What can be killed at, in order. */
async function ticksOf(failing: string, isOccupied: boolean): Promise<readonly string[]> {
  await using folder = await temporaryFolder();
  await prepareWorld(join(folder.path, 'world'), isOccupied);
  const ticks: string[] = [];
  const tick = (point: string): void => void ticks.push(point);
  await runFake({ folder: folder.path, failing: failing === '' ? undefined : failing, tick }).catch(
    (error: unknown) => {
      if (!isDevstackError(error, 'RECOVERY_ROLLED_BACK')) throw error;
    },
  );
  return ticks;
}

function chosen(ticks: readonly string[], from: number): readonly number[] {
  const all = ticks.map((_, index) => index + 1).slice(from);
  if (isSoak) return Array.from({ length: rounds }, () => all).flat();
  const seen = new Set<string>();
  return all.filter((number) => {
    const tick = ticks[number - 1] ?? '';
    if (tick.startsWith('journal: after')) return true;
    const kind = kindOf(tick);
    return !seen.has(kind) && seen.add(kind);
  });
}

/** What each kill has led to after a resume, by the number and the name of its tick. Two at a time: the machine has more to do. */
async function atEachTick(
  failing: string,
  isOccupied: boolean,
  from = 0,
): Promise<readonly (readonly [point: string, state: string])[]> {
  const found: (readonly [string, string])[] = [];
  const ticks = await ticksOf(failing, isOccupied);
  const waiting = [...chosen(ticks, from)];
  const worker = async (): Promise<void> => {
    for (let killAt = waiting.shift(); killAt !== undefined; killAt = waiting.shift()) {
      await using folder = await temporaryFolder();
      const world = join(folder.path, 'world');
      await prepareWorld(world, isOccupied);
      const point = await recoverUntilKilled(folder.path, killAt, failing);
      expect(point).toBe(ticks[killAt - 1]);
      found.push([point ?? '', await resumed(folder.path, failing, world)]);
    }
  };
  await Promise.all([worker(), worker()]);
  process.stderr.write(`kills by step: ${JSON.stringify(histogram(found.map(([point]) => point)))}\n`);
  return found;
}

/** How many ticks come before the rollback is written down: the first test goes through those. */
async function beforeRollback(isOccupied: boolean): Promise<number> {
  return (await ticksOf('databases', isOccupied)).indexOf('journal: before rollback');
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

function kindOf(point: string): string {
  return point.replace(/^(journal: (?:before|after) \w+|\w+).*$/, '$1');
}

/** How often each was hit: each line of the journal by itself, changes of the world by their kind. */
function histogram(points: readonly string[]): Readonly<Record<string, number>> {
  const kinds = points.map((point) => (point.startsWith('journal') ? point : kindOf(point)));
  return Object.fromEntries([...Map.groupBy(kinds, (kind) => kind)].map(([kind, all]) => [kind, all.length]));
}

function kindsOf(found: readonly (readonly [string, string])[]): ReadonlySet<string> {
  return new Set(found.map(([point]) => kindOf(point)));
}

const statesOf = (found: readonly (readonly [string, string])[]): readonly string[] => [
  ...new Set(found.map(([, state]) => state)),
];

describe('kill -9 at the changes of the world and the lines of the journal', () => {
  it('leads to the complete new state on resume', async () => {
    const found = await atEachTick('', true);
    expect(statesOf(found)).toEqual([newState]);
    const lines = ['run', 'attempt', 'aside', 'done', 'proven', 'once', 'end'];
    expect(kindsOf(found)).toEqual(
      new Set([
        ...lines.flatMap((line) => [`journal: before ${line}`, `journal: after ${line}`]),
        ...['engine', 'configuration', 'vault', 'volume', 'services', 'databases', 'proof'],
      ]),
    );
    expect(found.filter(([point]) => point.startsWith('journal: after')).length).toBeGreaterThanOrEqual(25 * rounds);
  }, 900_000);

  it('leads back to the previous state where a step fails for good', async () => {
    const found = await atEachTick('databases', true, await beforeRollback(true));
    expect(statesOf(found)).toEqual([occupiedState]);
    expect([...kindsOf(found)]).toEqual(
      expect.arrayContaining(['journal: before rollback', 'journal: after rollback', 'journal: after once']),
    );
  }, 900_000);

  it('leads back to an empty machine where there was nothing', async () => {
    const found = await atEachTick('databases', false, await beforeRollback(false));
    expect(statesOf(found)).toEqual([emptyState]);
  }, 900_000);

  it('the control: without a resume, a kill leaves something between', async () => {
    await using folder = await temporaryFolder();
    const world = join(folder.path, 'world');
    await prepareWorld(world, true);
    const point = await recoverUntilKilled(folder.path, 30);
    expect(point).toBeDefined();
    expect([newState, occupiedState]).not.toContain(await stateOf(world));
  });
});
