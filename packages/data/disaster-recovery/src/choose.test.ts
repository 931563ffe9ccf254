import { describe, expect, it } from 'vitest';
import { fakeSource, newest, older } from '../test/fake-world.ts';
import { chooseSet, recoveryPoint, type RecoveryEvent } from './index.ts';

const now = new Date('2026-11-20T10:00:00Z');

describe('the set to restore', () => {
  it('is the newest one that is valid, by number and not by the order of the list', async () => {
    const { set, skipped } = await chooseSet({ source: fakeSource([older, newest]), now });
    expect(set.id).toBe(newest.id);
    expect(skipped).toEqual([]);
  });

  it('is an older one where newer ones cannot be restored, with the reasons', async () => {
    const partial = { ...newest, id: '20261120_030000', sequence: 9, unusable: 'it was never finished' };
    const events: RecoveryEvent[] = [];
    const { set, skipped, warnings } = await chooseSet({
      source: fakeSource([older, newest, partial], { [newest.id]: 'postgres.shop.dump.zst.gpg is changed' }),
      now,
      onEvent: (event) => events.push(event),
    });
    expect(set.id).toBe(older.id);
    expect(skipped).toEqual([
      { id: partial.id, reason: 'it was never finished' },
      { id: newest.id, reason: 'postgres.shop.dump.zst.gpg is changed' },
    ]);
    expect(warnings).toContain('2 sets in the same place are newer.');
    expect(events).toMatchObject([{ isUsed: false }, { isUsed: false }, { isUsed: true }]);
  });

  it('names newer folders whose manifest cannot be believed, and has no place for them in the order', async () => {
    const forged = { ...newest, sequence: 0, snapshots: [], unusable: 'the manifest is not the one that was written' };
    const before = { ...forged, id: '20261001_020000', createdAt: '2026-10-01T02:00:00.000Z' };
    const { set, skipped } = await chooseSet({ source: fakeSource([older, before, forged]), now });
    expect(set.id).toBe(older.id);
    expect(skipped).toEqual([{ id: forged.id, reason: 'the manifest is not the one that was written' }]);
    await expect(chooseSet({ source: fakeSource([before, forged]), now })).rejects.toMatchObject({
      details: { skipped: [{ id: before.id }, { id: forged.id }] },
    });
  });

  it('is the latest by number when a clock was wrong', async () => {
    const ahead = { ...older, createdAt: '2027-11-19T02:00:00.000Z' };
    expect((await chooseSet({ source: fakeSource([ahead, newest]), now })).set.id).toBe(newest.id);
  });

  it('holds what has to be recovered', async () => {
    const vaultOnly = { ...newest, snapshots: newest.snapshots.filter(({ service }) => service === 'vault') };
    const choice = await chooseSet({
      source: fakeSource([older, vaultOnly]),
      requiredServices: ['vault', 'postgres'],
      now,
    });
    expect(choice.set.id).toBe(older.id);
    expect(choice.skipped).toEqual([{ id: newest.id, reason: 'it does not hold postgres' }]);
  });

  it('is the one that was named, or none', async () => {
    expect((await chooseSet({ source: fakeSource(), backup: older.id, now })).set.id).toBe(older.id);
    const source = fakeSource([older, newest], { [newest.id]: 'changed' });
    await expect(chooseSet({ source, backup: newest.id, now })).rejects.toMatchObject({
      code: 'NO_RESTORABLE_BACKUP',
      details: { skipped: [{ id: newest.id, reason: 'changed' }] },
    });
    await expect(chooseSet({ source: fakeSource([]), now })).rejects.toMatchObject({
      code: 'NO_RESTORABLE_BACKUP',
      message: 'There is no backup set.',
    });
  });

  it('may be one with findings where the user accepts that, never one that cannot be read', async () => {
    const source = fakeSource([{ ...older, unusable: 'forged' }, newest], { [newest.id]: 'a warning' });
    const { set, warnings } = await chooseSet({ source, acceptUnverified: true, now });
    expect(set.id).toBe(newest.id);
    expect(warnings.join()).toContain('a warning');
    await expect(
      chooseSet({ source: fakeSource([{ ...older, unusable: 'forged' }]), acceptUnverified: true, now }),
    ).rejects.toMatchObject({ code: 'NO_RESTORABLE_BACKUP' });
  });

  it('comes with warnings of what a person should know', async () => {
    const future = { ...newest, createdAt: '2027-11-20T02:00:00.000Z', encrypted: false };
    const { warnings } = await chooseSet({ source: fakeSource([older, future]), now });
    expect(warnings.join(' ')).toMatch(/in the future .* not encrypted.* never restored/);
    const fine = { ...newest, provenAt: '2026-11-20T03:00:00.000Z' };
    expect((await chooseSet({ source: fakeSource([older, fine]), now })).warnings).toEqual([]);
  });
});

describe('the recovery point', () => {
  it('is that of the oldest part of the worst service', () => {
    const point = recoveryPoint(
      {
        snapshots: [
          { service: 'redis', snapshotAt: '2026-11-20T09:00:00Z' },
          { service: 'postgres', snapshotAt: '2026-11-20T09:30:00Z' },
          { service: 'postgres', snapshotAt: '2026-11-19T10:00:00Z' },
        ],
      },
      now,
    );
    expect(point).toMatchObject({ worstSeconds: 86_400, worstService: 'postgres' });
    expect(point.services).toHaveLength(2);
  });

  it('is nothing where the clock says that the snapshot is yet to come, or there is none', () => {
    const snapshots = [{ service: 'redis', snapshotAt: '2027-01-01T00:00:00Z' }];
    expect(recoveryPoint({ snapshots }, now).worstSeconds).toBe(0);
    expect(recoveryPoint({ snapshots: [] }, now)).toEqual({ worstSeconds: 0, worstService: '', services: [] });
  });
});
