import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { unfinishedRecovery } from '@devstack-core/disaster-recovery';
import { interrupted, isDevstackError } from '@devstack-core/errors';
import { beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { prepare, recoverWorld, stackOf, stateOf, tickFiles } from '../test/old-world.ts';
import { putBack } from './old-stack.ts';

const script = fileURLToPath(new URL('../test/recover-until-killed.ts', import.meta.url));
const newState = [
  'home/p/certificates/ca.pem=new',
  'home/p/compose.env=settings',
  'home/p/state/stack.lock/1=lease',
  'home/p/state/up.journal=new',
  'home/p/vault/keys.json=new',
  'volumes/p_new/data=new p_new',
  'volumes/p_new/labels={"com.docker.compose.project":"p","role":"data"}',
  'volumes/p_postgres/data=new p_postgres',
  'volumes/p_postgres/labels={"com.docker.compose.project":"p","role":"data"}',
].join('\n');

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let oldState: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  await prepare(folder.path);
  oldState = await stateOf(folder.path);
  return () => folder[Symbol.asyncDispose]();
});

/** Cuts a recovery off at that change, and again where it goes on, then lets it come to its end. */
async function cutTwice(cut: number, isFailing: boolean, points: string[]): Promise<'cut off' | 'over'> {
  await using own = await temporaryFolder();
  await prepare(own.path);
  for (const [attempt, at] of [cut, 1 + (cut % 7)].entries()) {
    const state = { ticks: 0, point: '' };
    const tick = (point: string): void => {
      state.ticks += 1;
      if (state.ticks < at) return;
      if (state.ticks === at) state.point = point;
      throw interrupted('the test');
    };
    const resume = (await unfinishedRecovery(join(own.path, 'state'))) !== undefined;
    const stop = tickFiles(own.path, tick);
    await recoverWorld({ folder: own.path, tick, isFailing, resume })
      .catch(() => undefined)
      .finally(stop);
    if (state.point === '' && attempt === 0) return 'over';
    if (state.point !== '') points.push(state.point);
  }
  expect(await resumed(own.path, isFailing), points.slice(-2).join(', ')).toBe(isFailing ? oldState : newState);
  return 'cut off';
}

/** Goes on with what was cut off, to its end. */
async function resumed(path: string, isFailing: boolean): Promise<string> {
  const resume = (await unfinishedRecovery(join(path, 'state'))) !== undefined;
  try {
    await recoverWorld({ folder: path, isFailing, resume });
  } catch (error) {
    if (!isDevstackError(error, 'RECOVERY_ROLLED_BACK')) throw error;
  }
  return stateOf(path);
}

/** Kills a recovery that goes backwards at that change, and looks at what the next one makes of it. */
async function killed(killAt: number): Promise<string | undefined> {
  await using own = await temporaryFolder();
  await prepare(own.path);
  const child = spawn(process.execPath, ['-C', '@devstack-core/source', script, own.path, String(killAt), 'x'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [point] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (child.signalCode !== 'SIGKILL') return undefined;
  expect(await resumed(own.path, true), point).toBe(oldState);
  return point.trim();
}

// In a soak at every change, so many times; otherwise where each kind comes first.
const rounds = Number(process.env['DEVSTACK_KILL_ROUNDS'] ?? '0');

/** At which changes of a recovery that goes backwards to kill. */
async function moments(): Promise<number[]> {
  await using own = await temporaryFolder();
  await prepare(own.path);
  const changes: string[] = [];
  const tick = (point: string): void => {
    // As the script has it, that kills.
    if (!point.startsWith('journal')) changes.push(point);
  };
  const stop = tickFiles(own.path, tick);
  await recoverWorld({ folder: own.path, tick, isFailing: true })
    .catch(() => undefined)
    .finally(stop);
  const all = changes.map((_, index) => index + 1);
  if (rounds > 0) return Array.from({ length: rounds }, () => all).flat();
  const kinds = changes.map(kindOf);
  return all.filter((number) => kinds.indexOf(kinds[number - 1] ?? '') === number - 1);
}

function kindOf(point: string): string {
  return point.replace(/^(journal \w+ \w+|\w+:? \w*).*$/, '$1');
}

/** Of each change that was cut off, in classes. */
function histogram(points: readonly string[]): Readonly<Record<string, number>> {
  const kinds = Map.groupBy(points, kindOf);
  return Object.fromEntries([...kinds].toSorted().map(([kind, all]) => [kind, all.length]));
}

describe('the old stack', () => {
  it('makes room for the new one, and goes for good only in the end', async () => {
    await recoverWorld({ folder: folder.path });
    expect(await stateOf(folder.path)).toBe(newState);
  });

  it('is put back as it was where the new one is not proven', async () => {
    await expect(recoverWorld({ folder: folder.path, isFailing: true })).rejects.toMatchObject({
      code: 'RECOVERY_ROLLED_BACK',
    });
    expect(await stateOf(folder.path)).toBe(oldState);
  });

  it.each([
    ['forwards', false],
    ['backwards', true],
  ])(
    'is never lost, cut off at every change %s, twice',
    async (_, isFailing) => {
      const points: string[] = [];
      for (let cut = 1; (await cutTwice(cut, isFailing, points)) === 'cut off'; cut += 1);
      const seen = histogram(points);
      expect(Object.keys(seen)).toEqual(expect.arrayContaining(['file: rename', 'file: renamed', 'copy p_vault']));
      expect(points.length).toBeGreaterThan(100);
    },
    240_000,
  );

  it('survives kill -9 of its process at each kind of change', async () => {
    const points: string[] = [];
    const waiting = await moments();
    const worker = async (): Promise<void> => {
      for (let killAt = waiting.shift(); killAt !== undefined; killAt = waiting.shift()) {
        const point = await killed(killAt);
        expect(point).toBeDefined();
        points.push(point ?? '');
      }
    };
    await Promise.all([worker(), worker()]);
    process.stderr.write(`kills by step: ${JSON.stringify(histogram(points))}\n`);
    expect(Object.keys(histogram(points))).toEqual(
      expect.arrayContaining(['file: rename', 'file: renamed', 'copy p_vault', 'new stack']),
    );
  }, 900_000);

  it('the control: what was kept and is gone does not come back', async () => {
    const cut = (point: string): void => {
      if (point === 'new stack') throw interrupted('the test');
    };
    await expect(recoverWorld({ folder: folder.path, tick: cut })).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await rm(join(folder.path, 'volumes/p_vault.aside'), { recursive: true });
    await expect(recoverWorld({ folder: folder.path, isFailing: true, resume: true })).rejects.toThrow();
    expect(await stateOf(folder.path)).not.toBe(oldState);
  });

  it.each(['half of p_postgres.aside', 'half of p_vault.aside', 'file: renamed'])(
    'is not overwritten by half of its copy, cut off at "%s", where going on fails',
    async (point) => {
      const tick = (at: string): void => {
        if (at === point) throw interrupted('the test');
      };
      const stop = tickFiles(folder.path, tick);
      await recoverWorld({ folder: folder.path, tick })
        .catch(() => undefined)
        .finally(stop);
      expect(await stateOf(folder.path)).not.toBe(oldState);
      await expect(recoverWorld({ folder: folder.path, resume: true, inUse: 'p_vault' })).rejects.toMatchObject({
        code: 'RECOVERY_ROLLED_BACK',
        message: expect.stringContaining('browser') as string,
      });
      expect(await stateOf(folder.path)).toBe(oldState);
    },
  );

  it('is put back a second time without harm', async () => {
    const kept = join(folder.path, 'home/.recovery/kept');
    await cp(join(folder.path, 'home/p'), kept, { recursive: true });
    const aside = { step: 'vault' as const, what: 'folder', isComplete: true, keptAt: kept };
    const names = ['vault', 'approles', 'state/delivered.json'].join('\n');
    const folderAside = { ...aside, id: 'configuration folder', data: { names } };
    const stack = stackOf({ folder: folder.path });
    await putBack(stack, folderAside);
    await putBack(stack, folderAside);
    await putBack(stack, { ...aside, id: 'nothing', keptAt: join(folder.path, 'x.aside') });
    await putBack(stack, { id: 'nothing', step: 'vault', what: 'nothing', isComplete: true });
    expect(await stateOf(folder.path)).toBe(oldState);
  });
});
