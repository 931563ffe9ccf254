import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killedContents, runAndKill } from '../test/scenarios.ts';
import {
  filesWith,
  makeSet,
  otherPassphrase,
  passphrase,
  storeFolder,
  textOf,
  type StoreFolder,
} from '../test/store-folder.ts';
import { directoryTarget, storeSteps, type BackupStore, type SetEntry } from './index.ts';

// Each step once. The soak `bench/backup-kills.soak.ts` asks for more rounds, and has processes killed at any time, too.
const rounds = Number(process.env['DEVSTACK_KILL_ROUNDS'] ?? '1');
const isSoak = process.env['DEVSTACK_KILL_ROUNDS'] !== undefined;
const histogram = new Map<string, number>();
let prepared: StoreFolder;
let ids: readonly string[];

// Three sets, each of which needs the first; one more in the trash; the second off-site.
beforeAll(async () => {
  prepared = await storeFolder({ timeZone: 'UTC' });
  prepared.now = new Date('2026-10-01T10:00:00Z');
  const next = (): void => {
    prepared.now = new Date(prepared.now.getTime() + 86_400_000);
  };
  const trashed = await makeSet(prepared.store, { contents: killedContents });
  next();
  const full = await makeSet(prepared.store, { contents: killedContents });
  next();
  const other = await makeSet(prepared.store, { contents: killedContents });
  next();
  const increment = await makeSet(prepared.store, { contents: killedContents, parent: full.id });
  await prepared.store.remove(trashed.id);
  ids = [increment.id, other.id, full.id];
  await mkdir(join(prepared.directory, '..', 'offsite'));
}, 120_000);
afterAll(async () => {
  await prepared[Symbol.asyncDispose]();
  process.stderr.write(`kills by step: ${JSON.stringify(Object.fromEntries(histogram))}\n`);
});

/** A copy of what was prepared, after a scenario was killed in it. */
async function killed(
  scenario: string,
  step: string,
  count: number,
  check: (folder: StoreFolder, isFinished: boolean) => Promise<void>,
  prepare: (folder: StoreFolder) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await using folder = await storeFolder({ timeZone: 'UTC' });
  await cp(join(prepared.directory, '..'), join(folder.directory, '..'), { recursive: true });
  folder.now = new Date();
  await prepare(folder);
  const { lastStep, isFinished } = await runAndKill(folder.directory, scenario, step, count);
  if (step !== 'time') expect({ lastStep, isFinished }).toEqual({ lastStep: step, isFinished: false });
  histogram.set(lastStep, (histogram.get(lastStep) ?? 0) + 1);
  await noSecret(folder);
  await check(folder, isFinished);
  await noSecret(folder);
}

async function noSecret({ directory }: StoreFolder): Promise<void> {
  expect(await filesWith(join(directory, '..'), killedContents.vault.keys)).toEqual([]);
}

async function complete(store: BackupStore): Promise<readonly string[]> {
  return (await store.list()).filter(({ status }) => status === 'complete').map(({ id }) => id);
}

/** Everything that is listed as a backup is one; decrypted is all of it in a soak, and the newest otherwise: a key takes its time to derive. */
async function allRestorable(store: BackupStore): Promise<void> {
  for (const [index, id] of (await complete(store)).entries()) {
    const level = isSoak ? 2 : 1;
    await expect(store.verify(id, { level })).resolves.toMatchObject({ verdict: 'valid' });
    if (isSoak || index === 0)
      expect(await textOf(store.open(id, 'vault/keys/content'))).toBe(killedContents.vault.keys);
  }
}

async function nothingUnfinished({ directory, store }: StoreFolder): Promise<void> {
  await store.sweep();
  const names = await readdir(directory);
  expect(names.filter((name) => name.startsWith('.') && !['.store', '.trash'].includes(name))).toEqual([]);
  for (const { id } of await store.list())
    expect(
      (await readdir(join(directory, id))).filter((name) => name.includes('.tmp') || name.includes('partial')),
    ).toEqual([]);
}

const cases = (steps: readonly (readonly [string, number])[]): (readonly [string, number])[] =>
  steps
    .filter(([step], index) => isSoak || steps.findIndex(([other]) => other === step) === index)
    .flatMap((one) => Array.from({ length: rounds }, () => one));
const times = (...each: readonly number[]): (readonly [string, number])[] =>
  isSoak ? each.flatMap((ms) => Array.from({ length: rounds }, () => ['time', ms] as const)) : [];

describe.concurrent('create, killed', () => {
  it.each([
    ...cases([
      ['create:locked', 1],
      ['create:folder', 1],
      ['draft:artifact', 1],
      ['draft:artifact', 2],
      ['draft:reference', 1],
      ['finish:sums', 1],
      ['finish:card', 1],
      ['finish:manifest', 1],
      ['finish:renamed', 1],
      ['finish:recorded', 1],
    ]),
    ...times(400, 600, 800, 1000),
  ])('at %s, %i: the sets of before, or one more', { timeout: 120_000 }, async (step, count) => {
    await killed('create', step, count, async (folder, isFinished) => {
      const found = await complete(folder.store);
      const isThere = found.length === ids.length + 1;
      expect(found.slice(isThere ? 1 : 0)).toEqual(ids);
      if (isFinished || step.startsWith('finish:re')) expect(isThere).toBe(true);
      if (step.startsWith('create') || step.startsWith('draft')) expect(isThere).toBe(false);
      await nothingUnfinished(folder);
      await allRestorable(folder.store);
      // The next one takes the lock over, and has the next number.
      const next = await makeSet(folder.store, { contents: killedContents });
      expect(next.sequence).toBe(isThere ? 6 : 5);
      expect((await folder.store.list()).map(({ status }) => status)).toEqual(
        Array<string>(isThere ? 5 : 4).fill('complete'),
      );
    });
  });
});

describe.concurrent('rotate, killed', () => {
  it.each([
    ...cases([
      ['rotate:planned', 1],
      ['rotate:tombstone', 1],
      ['rotate:moved', 1],
      ['rotate:recorded', 1],
    ]),
    ...times(300, 500),
  ])('at %s, %i: each set is there, or can be had back', { timeout: 120_000 }, async (step, count) => {
    await killed('rotate', step, count, async (folder) => {
      const [increment = '', other = '', full = ''] = ids;
      const found = await complete(folder.store);
      expect([[increment, full], ids]).toContainEqual(found);
      await nothingUnfinished(folder);
      await allRestorable(folder.store);
      if (!found.includes(other)) await folder.store.undelete(other);
      expect(await complete(folder.store)).toEqual(ids);
      // Cut short or not, a second run ends at the same.
      await folder.store.rotate({ keepLast: 1 });
      expect(await complete(folder.store)).toEqual([increment, full]);
      expect((await folder.store.trash()).map(({ id }) => id)).toContain(other);
    });
  });
});

describe.concurrent('emptying the trash, killed', () => {
  it.each(
    cases([
      ['purge:condemned', 1],
      ['purge:removed', 1],
    ]),
  )('at %s, %i: what is half gone cannot be had back', { timeout: 120_000 }, async (step, count) => {
    await killed('purge', step, count, async (folder) => {
      expect(await complete(folder.store)).toEqual(ids);
      expect(await folder.store.trash()).toEqual([]);
      await nothingUnfinished(folder);
      expect(await readdir(join(folder.directory, '.trash'))).toEqual([]);
    });
  });
});

describe.concurrent('a change of the passphrase, killed', () => {
  it.each([
    ...cases([
      ['rekey:artifact', 1],
      ['rekey:artifact', 4],
      ['rekey:manifest', 1],
      ['rekey:texts', 1],
      ['rekey:removed', 2],
    ]),
    ...times(1500),
  ])(
    'at %s, %i: each set opens with the old one or the new one, and a second run ends it',
    { timeout: 180_000 },
    async (step, count) => {
      const [increment = '', other = '', full = ''] = ids;
      const ownIds = isSoak ? ids : [increment, full];
      const check = async (folder: StoreFolder): Promise<void> => {
        const both = folder.reopen({ passphrase: otherPassphrase, formerPassphrases: [passphrase] });
        expect(await complete(both)).toEqual(ownIds);
        const { changed, alreadyChanged, skipped } = await folder.store.changePassphrase(otherPassphrase);
        expect(skipped).toEqual([]);
        expect([...changed, ...alreadyChanged].toSorted()).toEqual([...ownIds].toSorted());
        const next = folder.reopen({ passphrase: otherPassphrase });
        expect(await complete(next)).toEqual(ownIds);
        await allRestorable(next);
        for (const id of ownIds) {
          const names = (await readdir(join(folder.directory, id))).filter((name) => name.endsWith('.gpg'));
          expect(names.every((name) => name.endsWith('.r2.zst.gpg'))).toBe(true);
        }
      };
      // Each artifact costs two keys: with one set less it is quicker, and the same.
      await killed('passphrase', step, count, check, async (folder) => {
        if (isSoak) return;
        await folder.store.remove(other);
        await folder.store.sweep({ emptyTrash: true });
      });
    },
  );
});

describe.concurrent('copies, killed', () => {
  it.each(
    cases([
      ['copy:artifact', 1],
      ['copy:manifest', 1],
    ]),
  )(
    'off-site, at %s, %i: no set there without all of it, and a second run goes on',
    { timeout: 120_000 },
    async (step, count) => {
      await killed('copy', step, count, async (folder) => {
        const target = directoryTarget({ path: join(folder.directory, '..', 'offsite') });
        const there = await target.sets();
        expect(there).toEqual(step === 'copy:manifest' ? [ids[2]] : []);
        const { presentFiles } = await folder.store.copySet(ids[0] ?? '', target);
        expect(presentFiles).toBeGreaterThan(0);
        expect((await target.sets()).toReversed()).toEqual([ids[0], ids[2]]);
      });
    },
  );

  it.each(
    cases([
      ['fetch:artifact', 1],
      ['fetch:artifact', 3],
      ['fetch:manifest', 1],
      ['fetch:renamed', 1],
    ]),
  )(
    'from off-site, at %s, %i: no set here without all of it, and a second run goes on',
    { timeout: 120_000 },
    async (step, count) => {
      const target = ({ directory }: StoreFolder): ReturnType<typeof directoryTarget> =>
        directoryTarget({ path: join(directory, '..', 'offsite') });
      await killed(
        'fetch',
        step,
        count,
        async (folder) => {
          const found = await folder.store.list();
          expect(found.filter(({ status }) => status === 'complete').map(({ id }) => id)).toEqual(
            step === 'fetch:renamed' ? [ids[2]] : [],
          );
          await folder.store.sweep();
          const { fetched } = await folder.store.fetchSet(ids[0] ?? '', target(folder));
          expect(fetched.at(-1)).toBe(ids[0]);
          expect(await complete(folder.store)).toEqual([ids[0], ids[2]]);
          await allRestorable(folder.store);
          await nothingUnfinished(folder);
        },
        async (folder) => {
          await folder.store.copySet(ids[0] ?? '', target(folder));
          for (const id of ids) await rm(join(folder.directory, id), { recursive: true });
        },
      );
    },
  );
});

it('every step was hit', () => {
  expect(storeSteps.filter((step) => !histogram.has(step))).toEqual([]);
});

// The control: the same look at a set whose manifest was written before its artifacts finds it wanting.
it('a set that was cut short in the other order would be found', async () => {
  await using folder = await storeFolder({ timeZone: 'UTC' });
  const { id } = await makeSet(folder.store, { contents: killedContents });
  await rm(join(folder.directory, id, 'vault.keys.dump.zst.gpg'));
  const [entry] = (await folder.store.list()) as [SetEntry];
  expect(entry).toMatchObject({ id, status: 'damaged' });
  await expect(folder.store.verify(id)).resolves.toMatchObject({ verdict: 'invalid' });
});
