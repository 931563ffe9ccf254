import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openBackupStore, type BackupStore } from '@devstack-core/backup-store';
import { beforeEach, describe, expect, it } from 'vitest';
import { fakeCluster, type FakeClusterOptions } from '../test/fake-cluster.ts';
import { fakeService } from '../test/fake-service.ts';
import { temporaryFolder } from '../test/folder.ts';
import { createBackup, physicalSetBefore } from './index.ts';
import { collectLog } from './physical-moment.ts';
import { collectChain, physicalOf, physicalParent, type PhysicalSet } from './physical-set.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: BackupStore;

beforeEach(async () => {
  folder = await temporaryFolder();
  // Without a passphrase, whose key takes its time for each set.
  store = openBackupStore({ directory: join(folder.path, 'sets'), tool: { name: 'test', version: '1' } });
  return () => folder[Symbol.asyncDispose]();
});

async function make(options: FakeClusterOptions, parent?: string): Promise<string> {
  const made = await createBackup(store, { project: 'p', encrypted: false, services: [fakeCluster(options)], parent });
  return made.manifest.id;
}

const at = (minute: number): string => `2026-11-20T10:${String(minute).padStart(2, '0')}:00.000Z`;
const time = (minute: number): { readonly time: Date } => ({ time: new Date(at(minute)) });

/** 0 full at 10:00, 1 upon it at 10:10, 2 upon that at 10:20. */
async function chain(): Promise<readonly [string, string, string]> {
  const first = await make({ endedAt: at(0), logTo: at(1) });
  const second = await make({ endedAt: at(10), logTo: at(11), link: 1, parentManifest: 'c-0' }, first);
  return [first, second, await make({ endedAt: at(20), logTo: at(21), link: 2, parentManifest: 'c-1' }, second)];
}

async function setOf(id: string): Promise<PhysicalSet> {
  const set = physicalOf(await store.read(id));
  if (set === undefined) throw new Error('it is none');
  return set;
}

const idsOf = (sets: readonly PhysicalSet[]): readonly string[] => sets.map(({ manifest }) => manifest.id);

describe('a chain over sets', () => {
  it('is found from its end, the full backup first', async () => {
    const [first, second, third] = await chain();
    expect(idsOf(await collectChain(store, third))).toEqual([first, second, third]);
    expect(idsOf(await collectChain(store, first))).toEqual([first]);
  });

  it('is refused with a link missing, another one in its place, and where there is none', async () => {
    const [first, second, third] = await chain();
    const other = await make({ endedAt: at(30), link: 1, parentManifest: 'c-9' }, first);
    await expect(collectChain(store, other)).rejects.toThrow(`${first} is not the one that it was built upon`);
    await rm(join(store.directory, second), { recursive: true });
    await expect(collectChain(store, third)).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
    const dumps = await createBackup(store, {
      project: 'p',
      encrypted: false,
      services: [fakeService(new Map([['a', 'b']]))],
    });
    await expect(collectChain(store, dumps.manifest.id)).rejects.toMatchObject({ code: 'NOT_PHYSICAL' });
  });

  it('goes on upon its last link, or says why it begins anew', async () => {
    const [first, second, third] = await chain();
    const found = await physicalParent(store, third);
    expect(found).toMatchObject({ parent: { link: 2, chain: 'c' } });
    expect('parent' in found ? Buffer.from(found.parent.manifest).toString() : '').toBe('cluster-manifest of link 2');
    const reason = async (id?: string): Promise<unknown> => physicalParent(store, id);
    expect(await reason()).toEqual({ noParentReason: 'a full one was asked for' });
    const dumps = await createBackup(store, {
      project: 'p',
      encrypted: false,
      services: [fakeService(new Map([['a', 'b']]))],
    });
    expect(await reason(dumps.manifest.id)).toEqual({
      noParentReason: `the backup ${dumps.manifest.id} holds no physical one to build on`,
    });
    await rm(join(store.directory, second), { recursive: true });
    expect(await reason(third)).toEqual({ noParentReason: `the chain of the backup ${third} is not whole` });
    expect(first).not.toBe(second);
  });

  it('keeps each set that a kept one builds upon', async () => {
    const sets = await chain();
    const policy = { daily: 0, weekly: 0, monthly: 0, keepLast: 1 };
    expect((await store.rotate(policy)).removed).toEqual([]);
    await expect(store.remove(sets[0])).rejects.toMatchObject({ code: 'BACKUP_NEEDED' });
    // The control: a chain that nothing kept needs goes.
    await make({ endedAt: at(40), chain: 'd' });
    expect((await store.rotate(policy)).removed.map(({ id }) => id).toSorted()).toEqual([...sets].toSorted());
  });
});

describe('the log', () => {
  it('is collected up to the first set that was made after the moment', async () => {
    const [first, second, third] = await chain();
    const base = await setOf(first);
    const ids = async (...target: Parameters<typeof collectLog> extends [unknown, unknown, infer T] ? [T] : never) =>
      idsOf((await collectLog(store, base, ...target)).sets);
    expect(await ids(undefined)).toEqual([first]);
    expect(await ids(time(1))).toEqual([first]);
    expect(await ids(time(5))).toEqual([first, second]);
    expect(await ids(time(21))).toEqual([first, second, third]);
    expect(await ids({ name: 'x' })).toEqual([first, second, third]);
    await expect(ids(time(22))).rejects.toThrow(`reaches to ${at(21)} (backup ${third})`);
    await expect(collectLog(store, await setOf(second), time(9))).rejects.toMatchObject({
      code: 'TARGET_OUT_OF_REACH',
      hint: `Use ${first}.`,
    });
    expect(await physicalSetBefore(store, new Date(at(15)))).toBe(second);
    await expect(physicalSetBefore(store, new Date('2020-01-01'))).rejects.toMatchObject({
      code: 'TARGET_OUT_OF_REACH',
    });
  });

  it('ends with a restore, and with another cluster', async () => {
    const first = await make({ endedAt: at(0), logTo: at(1) });
    await make({ endedAt: at(2), logTo: at(3), system: '8' });
    const after = await make({ endedAt: at(10), logTo: at(11), timeline: 3 });
    await make({ endedAt: at(20), logTo: at(21), timeline: 3 });
    const { sets, highestTimeline } = await collectLog(store, await setOf(first), { name: 'x' });
    expect(idsOf(sets)).toEqual([first, after]);
    expect(highestTimeline).toBe(3);
  });

  it('is missing where it was not archived', async () => {
    const first = await make({ endedAt: at(0) });
    expect((await collectLog(store, await setOf(first), undefined)).sets).toEqual([]);
    await expect(collectLog(store, await setOf(first), time(5))).rejects.toThrow('no archived log');
  });

  it('leaves the archive when its set is complete, and not before', async () => {
    const released: string[] = [];
    const cluster = fakeCluster({ endedAt: at(0), logTo: at(1), released });
    const failing = {
      service: 'other',
      // eslint-disable-next-line require-yield -- it fails before there is anything
      async *open() {
        await Promise.resolve();
        throw new Error('no dump');
      },
    };
    await expect(createBackup(store, { project: 'p', encrypted: false, services: [cluster, failing] })).rejects.toThrow(
      'no dump',
    );
    expect(released).toEqual([]);
    await createBackup(store, { project: 'p', encrypted: false, services: [cluster] });
    expect(released).toEqual([at(1)]);
  });

  it('that cannot leave the archive does not spoil its set', async () => {
    const warnings: string[] = [];
    const cluster = fakeCluster({ endedAt: at(0), logTo: at(1) });
    const services = [
      {
        ...cluster,
        async *open() {
          for await (const part of cluster.open({}))
            yield { ...part, release: () => Promise.reject(new Error('the server is gone')) };
        },
      },
    ];
    const { manifest } = await createBackup(store, {
      project: 'p',
      encrypted: false,
      services,
      onEvent: (event) => {
        if (event.type === 'warning') warnings.push(event.code);
      },
    });
    expect(warnings).toEqual(['WAL_NOT_RELEASED']);
    expect((await store.verify(manifest.id)).verdict).toBe('valid');
  });
});
