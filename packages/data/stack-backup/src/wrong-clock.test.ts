import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { passphrase, prepareFaultWorld, stateAt, type FaultWorld, type PreparedWorld } from '../test/fault-world.ts';

// What time and passphrase say falsely: the columns of the fault matrix for a clock that is wrong by a year, the days of 23 and 25 hours, and
// another passphrase.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let prepared: PreparedWorld;
beforeAll(async () => {
  prepared = await prepareFaultWorld();
});
afterAll(() => prepared[Symbol.asyncDispose]());

const right = new Date('2026-10-03T10:00:00Z');
const clocks: readonly (readonly [string, Date])[] = [
  ['a year ahead', new Date('2027-10-03T10:00:00Z')],
  ['a year behind', new Date('2025-10-03T10:00:00Z')],
];

describe('a clock', () => {
  it.each(clocks)(
    'that is %s makes a set that is the newest all the same, also when it is right again',
    async (_, now) => {
      await using world = await prepared.copy({ now: () => now });
      await world.hold(stateAt('present'));
      const { manifest } = await world.create();
      expect(manifest.sequence).toBe(3);
      expect(await world.verify(manifest.id, 1)).toMatchObject({ verdict: 'valid' });
      const later = world.with({ now: () => right });
      const next = await later.create();
      expect(next.manifest).toMatchObject({ sequence: 4, previous: { id: manifest.id } });
      expect(await later.complete()).toContain(prepared.older);
      expect(await later.verify(next.manifest.id, 1)).toMatchObject({ verdict: 'valid' });
      // By number: neither a date in the future nor one in the past comes before it.
      expect((await later.recover()).record.backupId).toBe(next.manifest.id);
    },
  );

  it.each(clocks)('that is %s while sets are rotated leaves the newest', async (_, now) => {
    await using world = await prepared.copy({ now: () => now });
    await world.rotate();
    expect(await world.complete()).toContain(prepared.newer);
    for (const { id } of await world.store.trash()) await world.store.undelete(id);
    expect(await world.complete()).toEqual([prepared.newer, prepared.older]);
  });

  it.each(clocks)('that is %s changes no verdict', async (_, now) => {
    await using world = await prepared.copy({ now: () => now });
    expect(await world.verify(prepared.newer)).toMatchObject({ verdict: 'valid' });
    expect(await world.with({ now: () => right }).complete()).toEqual([prepared.newer, prepared.older]);
  });

  it.each(clocks)('that is %s restores what was asked for', async (_, now) => {
    await using world = await prepared.copy({ now: () => now });
    await world.restore(prepared.older);
    expect(await world.held()).toEqual(stateAt('older'));
  });

  it.each(clocks)('that is %s recovers from the newest, and no point in time is yet to come', async (_, now) => {
    await using world = await prepared.copy({ now: () => now });
    const { record } = await world.recover();
    expect(record).toMatchObject({ outcome: 'recovered', backupId: prepared.newer });
    expect(record.rpoSeconds).toBeGreaterThanOrEqual(0);
    expect(record.rtoSeconds).toBeGreaterThanOrEqual(0);
    expect(await world.held()).toEqual(stateAt('newer'));
  });
});

describe('a day of 25 or 23 hours', () => {
  const days: readonly (readonly [string, readonly string[]])[] = [
    // 02:30 twice: once in summer time, once in winter time.
    ['in autumn', ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z']],
    // 02:30 never: 01:59:59 is followed by 03:00:00.
    ['in spring', ['2027-03-28T00:59:59Z', '2027-03-28T01:00:00Z']],
  ];

  it.each(days)(
    '%s gives each set a name of its own, in order; verified, restored and recovered is the later',
    async (_, times) => {
      await using world = await prepared.copy({ timeZone: 'Europe/Berlin' });
      const made: string[] = [];
      let at: FaultWorld = world;
      for (const [index, time] of times.entries()) {
        at = world.with({ now: () => new Date(time) });
        await at.hold({ orders: `number ${String(index)}` });
        made.push((await at.create()).manifest.id);
      }
      expect(new Set(made).size).toBe(2);
      const [first = '', second = ''] = made;
      expect(await at.complete()).toEqual([second, first, prepared.newer, prepared.older]);
      expect(await at.verify(second)).toMatchObject({ verdict: 'valid' });
      await at.restore(first);
      expect(await at.held()).toEqual({ orders: 'number 0' });
      expect((await at.recover()).record.backupId).toBe(second);
      expect(await at.held()).toEqual({ orders: 'number 1' });
    },
  );
});

describe('another passphrase', () => {
  const other = `${passphrase} and more`;

  it('makes a set of its own, upon none of the others, and harms none', async () => {
    await using world = await prepared.copy({ passphrase: other });
    await expect(world.create(prepared.newer)).rejects.toMatchObject({ code: 'BACKUP_WRONG_PASSPHRASE' });
    const { manifest } = await world.create();
    expect(await world.verify(manifest.id, 1)).toMatchObject({ verdict: 'valid' });
    const owner = world.with({ passphrase });
    expect(await owner.complete()).toEqual([prepared.newer, prepared.older]);
    expect((await owner.store.list()).find(({ id }) => id === manifest.id)?.status).toBe('wrong-passphrase');
    expect(await world.inClear()).toEqual([]);
  });

  it('removes nothing', async () => {
    await using world = await prepared.copy({ passphrase: other });
    expect((await world.rotate()).removed).toEqual([]);
    expect(await world.with({ passphrase }).complete()).toEqual([prepared.newer, prepared.older]);
  });

  it('is told apart from damage, and is no verdict on the set', async () => {
    await using world = await prepared.copy({ passphrase: other });
    const { verdict, findings } = await world.verify(prepared.newer);
    expect([verdict, findings.map((one) => one.class)]).toEqual(['invalid', ['wrong-passphrase']]);
    expect(await world.with({ passphrase }).complete()).toEqual([prepared.newer, prepared.older]);
  });

  it('restores nothing, and what is there stays', async () => {
    await using world = await prepared.copy({ passphrase: other });
    await expect(world.restore(prepared.newer)).rejects.toMatchObject({ code: 'BACKUP_WRONG_PASSPHRASE' });
    expect(await world.held()).toEqual(stateAt('present'));
  });

  it('recovers nothing, and what is there stays', async () => {
    await using world = await prepared.copy({ passphrase: other });
    await expect(world.recover()).rejects.toMatchObject({ code: 'NO_RESTORABLE_BACKUP' });
    expect(await world.held()).toEqual(stateAt('present'));
    expect(await world.inClear()).toEqual([]);
  });
});
