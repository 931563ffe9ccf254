import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Aside, Candidate, KeptAside, RecoverySource, RecoveryStep, RecoverySteps } from '../src/index.ts';

/** Called before each thing that changes the world: throws, or kills. */
export type Tick = (point: string) => void | Promise<void>;

export const newest: Candidate = {
  id: '20261120_020000',
  manifestSha256: 'b'.repeat(64),
  sequence: 8,
  createdAt: '2026-11-20T02:00:00.000Z',
  kind: 'full',
  encrypted: true,
  sizeBytes: 1_000_000,
  snapshots: [
    { service: 'postgres', snapshotAt: '2026-11-20T02:00:01.000Z' },
    { service: 'vault', snapshotAt: '2026-11-20T02:00:05.000Z' },
  ],
};

export const older: Candidate = {
  ...newest,
  id: '20261119_020000',
  sequence: 7,
  createdAt: '2026-11-19T02:00:00.000Z',
};

/** Sets of which all are valid unless named. */
export function fakeSource(
  sets: readonly Candidate[] = [older, newest],
  bad: Readonly<Record<string, string>> = {},
): RecoverySource {
  return {
    list: () => Promise.resolve(sets),
    verify: (id) => {
      const reason = bad[id];
      return Promise.resolve(
        reason === undefined ? { verdict: 'valid', reasons: [] } : { verdict: 'invalid', reasons: [reason] },
      );
    },
  };
}

export const things = ['configuration', 'vault', 'volume'] as const;

/** A stack made of files: `<root>/things/<thing>` holds `old`, `new`, or something between. */
export interface FakeWorld {
  readonly steps: RecoverySteps;
  /** How often each step ran to its end. */
  readonly ended: Map<string, number>;
}

export interface FakeWorldOptions {
  readonly root: string;
  readonly tick: Tick;
  /** This step fails after it has changed something. */
  readonly failing?: string | undefined;
}

/** Fills the world with what is there before the disaster recovery; nothing for a new machine. */
export async function prepareWorld(root: string, isOccupied: boolean): Promise<void> {
  await rm(root, { recursive: true, force: true });
  await mkdir(join(root, 'things'), { recursive: true });
  await mkdir(join(root, 'aside'));
  if (!isOccupied) return;
  for (const thing of things) await writeFile(join(root, 'things', thing), 'old');
  await writeFile(join(root, 'things', 'services'), 'running old');
}

/** Everything in it, as `name=content`. */
export async function stateOf(root: string): Promise<string> {
  const lines: string[] = [];
  for (const folder of ['things', 'aside'])
    for (const name of (await readdir(join(root, folder))).toSorted())
      lines.push(`${folder}/${name}=${await readFile(join(root, folder, name), 'utf8')}`);
  return lines.join('\n');
}

export const occupiedState =
  'things/configuration=old\nthings/services=running old\nthings/vault=old\nthings/volume=old';
export const emptyState = '';
export const newState = 'things/configuration=new\nthings/services=running new\nthings/vault=new\nthings/volume=new';

export function fakeWorld({ root, tick, failing }: FakeWorldOptions): FakeWorld {
  const ended = new Map<string, number>();
  const thing = (name: string): string => join(root, 'things', name);
  const asideOf = (name: string): string => join(root, 'aside', name);
  const make = async (point: string, path: string, content: string): Promise<void> => {
    await tick(`${point}: begin`);
    await writeFile(path, 'half');
    await tick(`${point}: half`);
    await writeFile(path, content);
    await tick(`${point}: made`);
  };
  const failIf = (step: string): void => {
    if (failing === step) throw new Error(`the fake step ${step} fails`);
  };
  const ends = (step: string): void => {
    ended.set(step, (ended.get(step) ?? 0) + 1);
  };

  // What is renamed is in one of two places, never in both.
  const byRename = (name: string): RecoveryStep => ({
    async run({ keepAside }) {
      // On a later attempt that is its own half-made one: what the first attempt said counts.
      const existed = existsSync(thing(name));
      const aside: Aside = { id: name, what: `the ${name}`, ...(existed ? { keptAt: asideOf(name) } : {}) };
      await keepAside(aside, async () => {
        await tick(`${name}: before the rename`);
        if (existsSync(thing(name)) && !existsSync(asideOf(name))) await rename(thing(name), asideOf(name));
        await tick(`${name}: after the rename`);
      });
      await make(name, thing(name), 'new');
      failIf(name);
      ends(name);
      return { did: [`restored the ${name}`] };
    },
    async putBack(kept) {
      await tick(`${name}: put back`);
      if (kept.keptAt === undefined) await rm(thing(name), { force: true });
      else if (existsSync(kept.keptAt)) await rename(kept.keptAt, thing(name));
      await tick(`${name}: is back`);
    },
    discard: (kept) => remove(kept),
  });

  // What can only be copied is in its place until the copy is whole.
  const volume: Required<Pick<RecoveryStep, 'putBack' | 'discard'>> = {
    async putBack(kept) {
      await tick('volume: put back');
      if (kept.keptAt === undefined) await rm(thing('volume'), { force: true });
      else if (kept.isComplete && existsSync(kept.keptAt)) await cp(kept.keptAt, thing('volume'));
      await tick('volume: is back');
      if (kept.keptAt !== undefined) await rm(kept.keptAt, { force: true });
    },
    discard: (kept) => remove(kept),
  };
  const remove = async (kept: KeptAside): Promise<void> => {
    await tick(`${kept.id}: discard`);
    if (kept.keptAt !== undefined) await rm(kept.keptAt, { force: true });
    await tick(`${kept.id}: discarded`);
  };

  const steps: RecoverySteps = {
    engine: {
      run: async () => {
        await tick('engine');
        failIf('engine');
        ends('engine');
        return { did: ['Docker was running'] };
      },
    },
    configuration: byRename('configuration'),
    vault: byRename('vault'),
    services: {
      async run({ keepAside }) {
        const existed = existsSync(thing('volume'));
        await keepAside(
          { id: 'volume', what: 'the volume', ...(existed ? { keptAt: asideOf('volume') } : {}) },
          async () => {
            await tick('volume: before the copy');
            await writeFile(asideOf('volume'), 'half');
            await tick('volume: half a copy');
            await cp(thing('volume'), asideOf('volume'));
            await tick('volume: copied');
          },
        );
        await make('volume', thing('volume'), 'empty');
        await tick('services: start');
        await writeFile(thing('services'), 'running new');
        failIf('services');
        ends('services');
        return { did: ['started the services'] };
      },
      async undo() {
        await tick('services: stop');
        if (existsSync(asideOf('volume')) || existsSync(asideOf('vault')))
          await writeFile(thing('services'), 'running old');
        else await rm(thing('services'), { force: true });
      },
      ...volume,
    },
    databases: {
      async run() {
        await make('databases', thing('volume'), 'new');
        failIf('databases');
        ends('databases');
        return { did: ['restored the databases'] };
      },
    },
    proof: {
      async run() {
        await tick('proof');
        for (const name of things)
          if ((await readFile(thing(name), 'utf8')) !== 'new') throw new Error(`the ${name} is not as in the backup`);
        failIf('proof');
        ends('proof');
        return { did: ['compared every fingerprint'] };
      },
    },
  };
  return { steps, ended };
}
