import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { unfinishedRecovery } from '@devstack-core/disaster-recovery';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { prepareFaultWorld, stateAt, type FaultWorld, type PreparedWorld } from '../test/fault-world.ts';

// kill -9 at every step of create and rotate, and at every line of the journal of recover: kill.integration.test.ts of backup-store, killed.test.ts
// of disaster-recovery. Here: what is left, and SIGTERM.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const script = fileURLToPath(new URL('../test/run-fault.ts', import.meta.url));
/** A soak asks for every point, and several times. */
const rounds = Number(process.env['DEVSTACK_KILL_ROUNDS'] ?? '1');
const isSoak = process.env['DEVSTACK_KILL_ROUNDS'] !== undefined;
const histogram = new Map<string, number>();

let prepared: PreparedWorld;
beforeAll(async () => {
  prepared = await prepareFaultWorld(2);
});
afterAll(async () => {
  await prepared[Symbol.asyncDispose]();
  process.stderr.write(`kills by step: ${JSON.stringify(Object.fromEntries(histogram))}\n`);
});

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly said: string;
}

async function run(
  world: FaultWorld,
  operation: string,
  signal: 'SIGKILL' | 'SIGTERM',
  point: string,
  more: { readonly skip?: number; readonly isTorn?: boolean } = {},
): Promise<Ended> {
  const args = [world.folder, operation, signal, point, String(more.skip ?? 0), prepared.newer];
  const child = spawn(
    process.execPath,
    ['-C', '@devstack-core/source', script, ...args, ...(more.isTorn === true ? ['torn'] : [])],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const lines = said.trim().split('\n');
  expect(lines, said).toContain(point);
  return { signal: child.signalCode, code: child.exitCode, said: lines.at(-1) ?? '' };
}

async function killed(world: FaultWorld, operation: string, point: string, isTorn = false): Promise<void> {
  expect(await run(world, operation, 'SIGKILL', point, { isTorn })).toMatchObject({ signal: 'SIGKILL', said: point });
  if (!isTorn) histogram.set(`${operation}: ${point}`, (histogram.get(`${operation}: ${point}`) ?? 0) + 1);
}

/** Each part is the previous or the new one: what was killed has not left half of one. */
async function isWhole(world: FaultWorld): Promise<boolean> {
  const [present, newer] = [stateAt('present', 2), stateAt('newer', 2)];
  return Object.entries(await world.held()).every(([name, held]) => held === present[name] || held === newer[name]);
}

const points = (some: readonly string[], more: readonly string[] = []): readonly string[] =>
  [...some, ...(isSoak ? more : [])].flatMap((point) => Array.from({ length: rounds }, () => point));

describe('kill -9', () => {
  it.each(
    points(
      ['restore orders: half of it written', 'restore orders: in its place', 'restore users: half of it written'],
      ['restore orders: begun', 'restore orders: all of it written', 'restore users: in its place'],
    ),
  )('of a restore at "%s" leaves each part as it was or as in the set, and the next one ends it', async (point) => {
    await using world = await prepared.copy();
    await killed(world, 'restore', point);
    expect(await isWhole(world)).toBe(true);
    expect(await world.inClear()).toEqual([]);
    await world.restore(prepared.newer);
    expect(await world.held()).toEqual(stateAt('newer', 2));
    expect(await world.inClear()).toEqual([]);
  });

  it('the control: of one that writes over what is there leaves half of a part, which is seen', async () => {
    await using world = await prepared.copy();
    await killed(world, 'restore', 'restore orders: half of it written', true);
    expect(await isWhole(world)).toBe(false);
  });

  it.each(points(['verify part'], ['verify checksums', 'verify part-finished']))(
    'of a verification at "%s" changes no set, and the next one says the same',
    async (point) => {
      await using world = await prepared.copy();
      const names = await world.names();
      await killed(world, 'verify', point);
      expect(await world.names()).toEqual(names);
      expect(await world.inClear()).toEqual([]);
      expect(await world.verify(prepared.newer)).toMatchObject({ verdict: 'valid' });
      expect(await world.complete()).toEqual([prepared.newer, prepared.older]);
    },
  );

  it.each(points(['dump users: a piece given'], ['dump orders: begun', 'store draft:artifact']))(
    'of a backup at "%s" leaves no set, nothing in clear, and nothing after the next one',
    async (point) => {
      await using world = await prepared.copy();
      await killed(world, 'create', point);
      expect(await world.inClear()).toEqual([]);
      expect(await world.complete()).toEqual([prepared.newer, prepared.older]);
      const { manifest } = await world.create();
      expect(await world.names()).toEqual([prepared.older, prepared.newer, manifest.id]);
    },
  );
});

describe('SIGTERM', () => {
  it.each(points(['dump users: a piece given', 'store finish:card'], ['dump orders: begun', 'store draft:artifact']))(
    'to a backup at "%s" leaves no half of a set',
    async (point) => {
      await using world = await prepared.copy();
      const { signal, code, said } = await run(world, 'create', 'SIGTERM', point);
      expect(signal).toBeNull();
      const before = [prepared.older, prepared.newer];
      const names = await world.names();
      if (code === 0) expect(await world.complete()).toHaveLength(3);
      else expect({ said, names }).toEqual({ said: 'INTERRUPTED', names: before });
      expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
      expect(await world.inClear()).toEqual([]);
    },
  );

  it.each(points(['store rotate:tombstone'], ['store rotate:planned', 'store rotate:moved']))(
    'to a rotation at "%s" lets it come to its end',
    async (point) => {
      await using world = await prepared.copy();
      expect(await run(world, 'rotate', 'SIGTERM', point)).toEqual({ signal: null, code: 0, said: 'done' });
      expect(await world.complete()).toEqual([prepared.newer]);
      expect((await world.store.trash()).map(({ id }) => id)).toEqual([prepared.older]);
    },
  );

  it.each(points(['verify part'], ['verify checksums']))('to a verification at "%s" records nothing', async (point) => {
    await using world = await prepared.copy();
    expect(await run(world, 'verify', 'SIGTERM', point)).toEqual({ signal: null, code: 1, said: 'INTERRUPTED' });
    expect((await world.store.history()).filter(({ event }) => event === 'verify')).toEqual([]);
    expect(await world.complete()).toEqual([prepared.newer, prepared.older]);
  });

  it.each(points(['restore orders: in its place'], ['restore orders: begun']))(
    'to a restore at "%s" leaves each part as it was or as in the set',
    async (point) => {
      await using world = await prepared.copy();
      expect(await run(world, 'restore', 'SIGTERM', point)).toMatchObject({ code: 1, said: 'INTERRUPTED' });
      expect(await isWhole(world)).toBe(true);
      expect((await world.held())['users']).toBe(stateAt('present', 2)['users']);
      expect(await world.inClear()).toEqual([]);
    },
  );

  it.each(points(['restore orders: in its place'], ['journal after run', 'journal after attempt databases']))(
    'to a recovery at "%s" is gone on from by the next',
    async (point) => {
      await using world = await prepared.copy();
      expect(await run(world, 'recover', 'SIGTERM', point)).toMatchObject({ code: 1, said: 'INTERRUPTED' });
      expect(await unfinishedRecovery(join(world.folder, 'recovery'))).toMatchObject({ state: 'going-forward' });
      expect(await isWhole(world)).toBe(true);
      expect((await world.recover()).record.outcome).toBe('recovered');
      expect(await world.held()).toEqual(stateAt('newer', 2));
    },
  );
});
