import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { startScript } from '../test/child.ts';
import { temporaryFolder } from '../test/folder.ts';
import { acquireLease, currentLeaseHolder, type LeaseHolder } from './index.ts';
import { isGone, ownIdentity } from './process-identity.ts';

describe('a lease', () => {
  it('is held by one at a time, and the error names the holder', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    await using lease = await acquireLease({ path, owner: 'up', command: 'devstack up' });
    await lease.assertHeld();
    await expect(acquireLease({ path, owner: 'down' })).rejects.toMatchObject({
      code: 'LEASE_HELD',
      message: expect.stringContaining(`devstack up (pid ${String(process.pid)}`) as string,
      details: { owner: 'up', pid: process.pid, command: 'devstack up', token: 1 },
    });
    expect(await currentLeaseHolder(path)).toMatchObject({ owner: 'up', released: false });
  });

  it('is free again when it is released, with a greater token', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    const tokens: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await using lease = await acquireLease({ path, owner: 'up' });
      tokens.push(lease.token);
      await lease.release();
      await expect(lease.assertHeld()).rejects.toMatchObject({ code: 'LEASE_LOST' });
    }
    expect(tokens).toEqual([1, 2, 3]);
    expect(await currentLeaseHolder(path)).toBeUndefined();
    expect(await readdir(path)).toEqual(['000000000003.json']);
    expect(await currentLeaseHolder(join(folder.path, 'other'))).toBeUndefined();
  });

  it('is waited for, and the wait is told', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    const first = await acquireLease({ path, owner: 'first' });
    const onWait = vi.fn((_holder: LeaseHolder) => void first.release());
    await using second = await acquireLease({ path, owner: 'second', waitMs: 10_000, onWait });
    expect(second.token).toBe(2);
    expect(onWait.mock.calls.map(([holder]) => holder.owner)).toEqual(['first']);
  });

  it('stops waiting when the signal says so', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    await using _first = await acquireLease({ path, owner: 'first' });
    const controller = new AbortController();
    const waiting = acquireLease({
      path,
      owner: 'second',
      waitMs: 60_000,
      signal: controller.signal,
      onWait: () => {
        controller.abort();
      },
    });
    await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it('of a living process is respected, and taken over once that is killed', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    await using holder = startScript('hold-lease.ts', path, 'other');
    expect(await holder.nextLine()).toBe('1');
    await expect(acquireLease({ path, owner: 'own' })).rejects.toMatchObject({
      code: 'LEASE_HELD',
      details: { pid: holder.child.pid, command: 'hold other' },
    });
    await holder.kill();
    await using lease = await acquireLease({ path, owner: 'own' });
    expect(lease.token).toBe(2);
  });

  it('is never held twice, whoever is killed meanwhile', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    await using dead = startScript('hold-lease.ts', path, 'dead');
    await dead.nextLine();
    await dead.kill();
    // All see the same dead holder at once.
    const contenders = Array.from({ length: 4 }, () =>
      startScript('contend-for-lease.ts', path, join(folder.path, 'inside'), '15'),
    );
    const tokens = await Promise.all(
      contenders.map(async (contender) => JSON.parse(await contender.nextLine()) as number[]),
    );
    for (const own of tokens) expect(own).toEqual(own.toSorted((a, b) => a - b));
    expect(new Set(tokens.flat()).size).toBe(60);
    expect(Math.min(...tokens.flat())).toBeGreaterThan(1);
  }, 60_000);

  it('is lost when another one has taken it over, and releasing it then harms nobody', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    const first = await acquireLease({ path, owner: 'first' });
    // As a process that was stopped for long finds it: its lease was declared dead by others.
    const file = join(path, '000000000001.json');
    const entry = JSON.parse(await readFile(file, 'utf8')) as LeaseHolder;
    await writeFile(file, JSON.stringify({ ...entry, startTime: '1' }));
    await using second = await acquireLease({ path, owner: 'second' });
    await expect(first.assertHeld()).rejects.toMatchObject({
      code: 'LEASE_LOST',
      message: expect.stringContaining('second') as string,
    });
    await first.release();
    await second.assertHeld();
  });

  it('with a time to live is renewed while its process lives', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    await using lease = await acquireLease({ path, owner: 'renewed', ttlMs: 300 });
    await delay(700);
    await lease.assertHeld();
    await expect(acquireLease({ path, owner: 'other' })).rejects.toMatchObject({ code: 'LEASE_HELD' });
  });

  it('with a time to live ends when it is not renewed', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    const first = await acquireLease({ path, owner: 'first' });
    const file = join(path, '000000000001.json');
    const entry = JSON.parse(await readFile(file, 'utf8')) as LeaseHolder;
    await writeFile(file, JSON.stringify({ ...entry, expiresAt: new Date(0).toISOString() }));
    await expect(first.assertHeld()).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await using second = await acquireLease({ path, owner: 'second' });
    expect(second.token).toBe(2);
  });

  it('that cannot be read counts as free', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lease');
    await (await acquireLease({ path, owner: 'first' })).release();
    await writeFile(join(path, '000000000007.json'), '{"tok');
    await using lease = await acquireLease({ path, owner: 'second' });
    expect(lease.token).toBe(8);
  });
});

describe('whether a holder is gone', () => {
  const own = ownIdentity();
  it.each([
    ['this process', own, false],
    ['a pid that was used again', { ...own, startTime: '1' }, true],
    ['a pid that nobody has', { ...own, pid: 4194304 }, true],
    ['a process from before the last boot', { ...own, bootId: 'another' }, true],
    ['a process of another machine', { ...own, bootId: 'another', hostname: 'another' }, false],
    ['a process of another pid namespace', { ...own, pid: 4194304, pidNamespace: 'pid:[1]' }, false],
  ])('%s', (_, identity, expected) => {
    expect(isGone(identity, own)).toBe(expected);
  });

  it.each([
    ['another machine', { hostname: 'another' }, false],
    ['a pid that nobody has', { pid: 4194304 }, true],
  ])('where there is no /proc: %s', (_, other, expected) => {
    const bare = { ...own, startTime: null, bootId: null, pidNamespace: null };
    expect(isGone({ ...bare, ...other }, bare)).toBe(expected);
  });
});
