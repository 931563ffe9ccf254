import { copyFile, cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { prepareFaultWorld, stateAt, type FaultWorld, type PreparedWorld } from '../test/fault-world.ts';

// One line of the fault matrix for each damage, one column for each operation: the newer of two sets is damaged. Whatever is done with it ends
// in the previous state or in the complete new one, and says so.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let prepared: PreparedWorld;
beforeAll(async () => {
  prepared = await prepareFaultWorld();
});
afterAll(() => prepared[Symbol.asyncDispose]());

const file = 'files.orders.txt.zst.gpg';
type Damage = (path: (name: string, set?: string) => string) => Promise<void>;

const changed =
  (name: string, at: (length: number) => number): Damage =>
  async (path) => {
    const bytes = await readFile(path(name));
    const offset = at(bytes.length);
    bytes.writeUInt8(bytes.readUInt8(offset) ^ 4, offset);
    await writeFile(path(name), bytes);
  };
const cut =
  (to: (length: number) => number): Damage =>
  async (path) =>
    truncate(path(file), to((await readFile(path(file))).length));

const damages: readonly (readonly [string, Damage, string])[] = [
  ['a bit of the header flipped', changed(file, () => 3), 'corrupted'],
  ['a bit of the body flipped', changed(file, (length) => length >> 1), 'corrupted'],
  ['a bit of the MDC flipped', changed(file, (length) => length - 3), 'corrupted'],
  ['a bit of the manifest flipped', changed('manifest.json', (length) => length >> 1), 'forged|corrupted'],
  ['an artifact cut to nothing', cut(() => 0), 'corrupted'],
  ['an artifact cut to one byte', cut(() => 1), 'corrupted'],
  ['an artifact cut in half', cut((length) => length >> 1), 'corrupted'],
  ['an artifact short of its last byte', cut((length) => length - 1), 'corrupted'],
  ['bytes appended to an artifact', (path) => writeFile(path(file), 'more', { flag: 'a' }), 'corrupted'],
  ['an artifact of the older set in its place', (path) => copyFile(path(file, prepared.older), path(file)), 'swapped'],
  [
    'the older set in its place',
    async (path) => {
      await rm(path(''), { recursive: true });
      await cp(path('', prepared.older), path(''), { recursive: true });
    },
    'replayed',
  ],
  [
    'a manifest of a newer format',
    async (path) => {
      const text = await readFile(path('manifest.json'), 'utf8');
      await writeFile(path('manifest.json'), text.replace('devstack/backup-set/1', 'devstack/backup-set/2'));
    },
    'newer-format',
  ],
];

async function damaged(damage: Damage): Promise<FaultWorld & AsyncDisposable> {
  const world = await prepared.copy();
  await damage((name, set = prepared.newer) => join(world.sets, set, name));
  return world;
}

/** Nothing unfinished, nothing in clear, and the older set as good as before. */
async function nothingElse(world: FaultWorld): Promise<void> {
  expect(await world.inClear()).toEqual([]);
  expect((await world.names()).filter((name) => name.startsWith('.') && name !== '.trash')).toEqual([]);
  if ((await world.store.trash()).some(({ id }) => id === prepared.older)) await world.store.undelete(prepared.older);
  // Its checksums: to decrypt it each time would take the most of the time of these tests.
  expect(await world.verify(prepared.older, 1)).toMatchObject({ verdict: 'valid' });
}

describe('create', () => {
  it.each(damages)('beside a set with %s makes a complete one, or none upon it', async (_, damage) => {
    await using world = await damaged(damage);
    const { manifest } = await world.create();
    expect(await world.verify(manifest.id, 1)).toMatchObject({ verdict: 'valid' });
    // What it would take over is the damaged part itself.
    await world.hold(stateAt('newer'));
    const upon = await world.create(prepared.newer).then(
      (made) => made.manifest.id,
      () => undefined,
    );
    expect(upon).toBeUndefined();
    expect(await world.complete()).toContain(manifest.id);
    await nothingElse(world);
  });

  it('the control: upon a whole set it takes the parts over', async () => {
    await using world = await prepared.copy();
    await world.hold(stateAt('newer'));
    const made = await world.create(prepared.newer);
    expect(made.unchanged).toBe(1);
    expect(await world.verify(made.manifest.id)).toMatchObject({ verdict: 'valid' });
  });
});

describe('rotate', () => {
  it.each(damages)('never counts on a set with %s once that is known, and loses nothing before', async (_, damage) => {
    await using world = await damaged(damage);
    await world.rotate();
    // Not known yet: what went can be had back.
    await nothingElse(world);
    await world.verify(prepared.newer, 1);
    const { removed } = await world.rotate();
    expect(removed).toEqual([]);
    expect(await world.complete()).toEqual([prepared.older]);
    await nothingElse(world);
  });

  it('the control: where both are whole the older one goes', async () => {
    await using world = await prepared.copy();
    await world.verify(prepared.newer, 1);
    expect((await world.rotate()).removed.map(({ id }) => id)).toEqual([prepared.older]);
  });
});

describe('verify', () => {
  it.each(damages)('says of a set with %s what is wrong with it', async (_, damage, kind) => {
    await using world = await damaged(damage);
    for (const level of [1, 2] as const) {
      const { verdict, findings, parts } = await world.verify(prepared.newer, level);
      expect(verdict).toBe('invalid');
      const classes = [findings, ...parts.map((part) => part.findings)].flat().map((one) => one.class);
      expect(classes[0]).toMatch(new RegExp(`^(${kind})$`));
    }
    expect((await world.store.history()).at(-1)).toMatchObject({ event: 'verify', outcome: 'failed' });
    await nothingElse(world);
  });

  it('the control: a whole one is valid', async () => {
    await using world = await prepared.copy();
    expect(await world.verify(prepared.newer)).toMatchObject({ verdict: 'valid' });
  });
});

describe('restore', () => {
  it.each(damages)('of a set with %s is refused, and what is there stays', async (_, damage) => {
    await using world = await damaged(damage);
    await expect(world.restore(prepared.newer)).rejects.toMatchObject({
      code: expect.stringMatching(/^BACKUP_/) as string,
    });
    expect(await world.held()).toEqual(stateAt('present'));
    await nothingElse(world);
  });

  it('the control: a whole one replaces what is there', async () => {
    await using world = await prepared.copy();
    await world.restore(prepared.newer);
    expect(await world.held()).toEqual(stateAt('newer'));
  });
});

describe('recover', () => {
  it.each(damages)('passes a set with %s by, and refuses it by name', async (_, damage) => {
    await using world = await damaged(damage);
    await expect(world.recover(prepared.newer)).rejects.toMatchObject({ code: 'NO_RESTORABLE_BACKUP' });
    expect(await world.held()).toEqual(stateAt('present'));
    const { record } = await world.recover();
    expect(record).toMatchObject({ outcome: 'recovered', backupId: prepared.older });
    expect(await world.held()).toEqual(stateAt('older'));
    await nothingElse(world);
  });

  it('the control: a whole one is taken', async () => {
    await using world = await prepared.copy();
    expect((await world.recover()).record.backupId).toBe(prepared.newer);
    expect(await world.held()).toEqual(stateAt('newer'));
  });
});
