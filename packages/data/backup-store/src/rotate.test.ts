import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultPolicy } from '@devstack-core/backup-rotation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeSet, snapshot, storeFolder, type StoreFolder } from '../test/store-folder.ts';
import type { BackupStore, SetManifest, StoreStep } from './index.ts';

// OpenPGP makes each guess at a passphrase slow, and so each artifact here: a busy machine needs its time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const day = 86_400_000;
let folder: StoreFolder;
let store: BackupStore;
// Without encryption many sets are made in no time; what encryption adds is tested elsewhere.
const plain = { allowUnencrypted: true } as const;

beforeEach(async () => {
  folder = await storeFolder(plain);
  store = folder.store;
});
afterEach(async () => folder[Symbol.asyncDispose]());

async function sets(count: number, contents = { postgres: { app: 'x' } }): Promise<SetManifest[]> {
  const made: SetManifest[] = [];
  for (let number = 0; number < count; number += 1) {
    folder.now = new Date(folder.now.getTime() + day);
    made.push(await makeSet(store, { encrypted: false, contents }));
  }
  return made;
}
const ids = async (): Promise<string[]> => (await store.list()).map(({ id }) => id);

describe('rotation', () => {
  it('keeps 7 days, 4 weeks and 12 months, and moves the rest to the trash', { timeout: 120_000 }, async () => {
    const made = await sets(30);
    const dry = await store.rotate(defaultPolicy, { dryRun: true });
    expect(dry.removed).toEqual([]);
    expect(await ids()).toHaveLength(30);
    const { plan, removed } = await store.rotate(defaultPolicy, { planId: dry.plan.planId });
    expect(plan.planId).toBe(dry.plan.planId);
    expect(await ids()).toEqual(plan.keep.map(({ id }) => id));
    expect(removed.map(({ id }) => id)).toEqual(plan.remove.map(({ id }) => id));
    expect(plan.freedBytes).toBeGreaterThan(0);
    expect((await store.trash()).length).toBe(removed.length);
    expect(made.length).toBe(plan.keep.length + removed.length);
    expect(await store.missing()).toEqual([]);
    expect((await store.history()).at(-1)).toMatchObject({ event: 'rotate', planId: plan.planId });
    // Once more there is nothing to do.
    expect((await store.rotate(defaultPolicy)).removed).toEqual([]);
  });

  it('never removes the last verified set of a service, a pinned one, or what is not ours', async () => {
    const [first, second, third] = await sets(6);
    await store.recordRestoreTest(first?.id ?? '', { verdict: 'valid', services: { postgres: 'valid' } });
    await store.pin(second?.id ?? '');
    await mkdir(join(folder.directory, 'photos'));
    await writeFile(join(folder.directory, third?.id ?? '', 'manifest.json'), '{}');
    const { removed } = await store.rotate({ keepLast: 1 });
    expect(removed).toHaveLength(2);
    expect((await ids()).toSorted()).toEqual(
      [first?.id, second?.id, third?.id, '20261126_110000', 'photos'].toSorted(),
    );
    const entry = (await store.list()).find(({ id }) => id === first?.id);
    expect(entry).toMatchObject({ verifiedServices: ['postgres'], verified: { level: 3, verdict: 'valid' } });
    // Not pinned any more, and another one verified: now they go.
    await store.pin(second?.id ?? '', false);
    await store.recordRestoreTest('20261126_110000', { verdict: 'valid', services: { postgres: 'valid' } });
    expect((await store.rotate({ keepLast: 1 })).removed.map(({ id }) => id)).toEqual([first?.id, second?.id]);
  });

  it('never removes a base that a kept increment needs', async () => {
    const [base] = await sets(1);
    folder.now = new Date(folder.now.getTime() + day);
    const increment = await makeSet(store, {
      encrypted: false,
      parent: base?.id ?? '',
      contents: { postgres: { app: 'x' } },
    });
    const { plan } = await store.rotate({ keepLast: 1 });
    expect(plan.keep.map(({ id }) => id)).toEqual([increment.id, base?.id]);
    expect(plan.remove).toEqual([]);
  });

  it('removes nothing that it cannot prove: without the passphrase, and sets without encryption', async () => {
    const made = await sets(3);
    const encrypted = [await makeSet(store), await makeSet(store), await makeSet(store)];
    const believing = folder.reopen({ allowUnencrypted: false });
    expect((await believing.rotate({ keepLast: 1 })).removed.map(({ id }) => id)).toEqual(
      encrypted.slice(0, 2).map(({ id }) => id),
    );
    expect(await ids()).toHaveLength(4);
    const without = folder.reopen({ passphrase: undefined as never });
    expect((await without.rotate({ keepLast: 1 })).removed.map(({ id }) => id)).toEqual(
      made.slice(0, 2).map(({ id }) => id),
    );
  });

  it('refuses a plan that does not hold any more, before it removes anything', async () => {
    const [first] = await sets(4);
    const before = await ids();
    await expect(store.rotate({ keepLast: 1 }, { planId: '0123456789abcdef' })).rejects.toMatchObject({
      code: 'BACKUP_PLAN_STALE',
    });
    const meddling = folder.reopen({
      onStep: async (step: StoreStep) => {
        if (step === 'rotate:planned')
          await store.recordRestoreTest(first?.id ?? '', { verdict: 'valid', services: { postgres: 'valid' } });
      },
    });
    await expect(meddling.rotate({ keepLast: 1 })).rejects.toMatchObject({
      code: 'BACKUP_PLAN_STALE',
      message: expect.stringContaining('last verified of postgres') as string,
    });
    expect(await ids()).toEqual(before);
    await expect(store.rotate({})).rejects.toMatchObject({ code: 'ROTATION_POLICY_INVALID' });
  });

  it.each([-366, 366])('with a clock that is wrong by %i days keeps the newest', async (days) => {
    const made = await sets(10);
    folder.now = new Date(folder.now.getTime() + days * day);
    const { removed, plan } = await store.rotate({ daily: 3 });
    if (days < 0) {
      expect(removed).toEqual([]);
      expect(plan.warnings).toHaveLength(10);
    } else
      expect(plan.keep.map(({ id }) => id)).toEqual(
        made
          .slice(-3)
          .map(({ id }) => id)
          .toReversed(),
      );
  });

  it('is not confused by what lies about unfinished', async () => {
    await sets(2);
    for (const name of ['.20200101_000000.partial', '.20200101_000000.fetch'])
      await mkdir(join(folder.directory, name));
    expect((await store.rotate({ keepLast: 1 })).removed).toHaveLength(1);
    expect(await readdir(folder.directory)).not.toContain('.20200101_000000.partial');
  });

  it('waits for nobody: while a backup is being made it is refused', async () => {
    await sets(2);
    await using draft = await store.create({ project: 'p', kind: 'full', encrypted: false });
    await expect(store.rotate({ keepLast: 1 })).rejects.toMatchObject({ code: 'BACKUP_LOCKED' });
    await expect(store.sweep()).rejects.toMatchObject({ code: 'BACKUP_LOCKED' });
    expect(await readdir(folder.directory)).toContain(`.${draft.id}.partial`);
  });
});

describe('the trash', () => {
  it('gives a set back as it was, and only while it is there', async () => {
    const [first, second] = await sets(2);
    const before = await snapshot(join(folder.directory, first?.id ?? ''));
    await store.rotate({ keepLast: 1 });
    expect(await store.trash()).toMatchObject([{ id: first?.id, why: expect.any(String) as string }]);
    await expect(store.undelete(first?.id ?? '')).resolves.toEqual(first);
    expect(await snapshot(join(folder.directory, first?.id ?? ''))).toEqual(before);
    expect(await store.trash()).toEqual([]);
    await expect(store.undelete(first?.id ?? '')).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
    await expect(store.verify(first?.id ?? '')).resolves.toMatchObject({ verdict: 'valid' });
    expect(Object.keys((await store.catalog()).sets)).toEqual([second?.id, first?.id]);
  });

  it('is emptied when its time is over, and before that when it is asked for', async () => {
    const [first, second] = await sets(3);
    await store.remove(first?.id ?? '');
    folder.now = new Date(folder.now.getTime() + 6 * day);
    await store.remove(second?.id ?? '');
    expect((await store.sweep()).removed).toEqual([]);
    folder.now = new Date(folder.now.getTime() + 2 * day);
    const swept = await store.sweep();
    expect(swept.removed).toHaveLength(1);
    expect(swept.freedBytes).toBeGreaterThan(0);
    expect(await store.trash()).toMatchObject([{ id: second?.id }]);
    await store.sweep({ emptyTrash: true });
    expect(await readdir(join(folder.directory, '.trash'))).toEqual([]);
  });

  it('does not put a set over one that is there', async () => {
    const [first] = await sets(1);
    await store.remove(first?.id ?? '');
    await mkdir(join(folder.directory, first?.id ?? ''));
    await expect(store.undelete(first?.id ?? '')).rejects.toMatchObject({ code: 'BACKUP_EXISTS' });
    await rm(join(folder.directory, first?.id ?? ''), { recursive: true });
    await store.undelete(first?.id ?? '');
  });

  it('keeps the id of what is in it from being used again', async () => {
    const [first] = await sets(1);
    await store.remove(first?.id ?? '');
    const again = await makeSet(store, { encrypted: false });
    expect(again.id).toBe(`${first?.id ?? ''}_2`);
  });
});

describe('a sweep', () => {
  it('takes away what was never finished and what lies about in a set, and nothing else', async () => {
    const [first] = await sets(1);
    const own = first?.id ?? '';
    const before = await snapshot(join(folder.directory, own));
    await mkdir(join(folder.directory, '.20200101_000000.partial'));
    await writeFile(join(folder.directory, '.20200101_000000.partial', 'x.zst'), 'half');
    await mkdir(join(folder.directory, '.20200101_000001.fetch'));
    await writeFile(join(folder.directory, own, 'stray.zst'), 'old');
    await writeFile(join(folder.directory, own, '.manifest.json.123-0123456789ab.tmp'), 'old');
    await writeFile(join(folder.directory, own, 'my-notes.txt'), 'mine');
    const swept = await store.sweep();
    expect(swept.removed.toSorted()).toEqual([
      '.20200101_000000.partial',
      `${own}/.manifest.json.123-0123456789ab.tmp`,
      `${own}/stray.zst`,
    ]);
    expect(await readdir(folder.directory)).toContain('.20200101_000001.fetch');
    const after = new Map(await snapshot(join(folder.directory, own)));
    after.delete('my-notes.txt');
    expect(after).toEqual(before);
  });
});
