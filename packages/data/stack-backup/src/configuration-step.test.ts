import fs, { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import type { Aside, KeptAside, RecoveryStep, StepContext } from '@devstack-core/disaster-recovery';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { beforeEach, describe, expect, it } from 'vitest';
import { storeIn } from '../test/fake-service.ts';
import { temporaryFolder } from '../test/folder.ts';
import { openConfigurationParts } from './configuration-source.ts';
import { configurationStep } from './configuration-step.ts';
import { createBackup } from './create.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let id: string;
const root = (): string => join(folder.path, 'checkout');
const work = (): string => join(folder.path, 'work');
const store = (): ReturnType<typeof storeIn> => storeIn(join(folder.path, 'sets'));

beforeEach(async () => {
  folder = await temporaryFolder();
  for (const path of ['infrastructure/compose', 'configs/vault', 'configs/tooling'])
    await mkdir(join(root(), path), { recursive: true });
  await writeFile(join(root(), 'infrastructure/compose/compose.yaml'), 'services: {}');
  await writeFile(join(root(), 'configs/vault/vault.hcl'), 'backed up');
  await writeFile(join(root(), 'configs/tooling/lint.js'), 'not ours');
  await writeFile(join(root(), '.env'), 'DEVSTACK_TLS=true\n');
  const project = { id: 'p', subnetPrefix: '10.9', portOffset: 7, root: root() };
  const stack = { project } as unknown as Stack;
  const open = (): ReturnType<typeof openConfigurationParts> => openConfigurationParts(stack, ['vault'], undefined);
  const { manifest } = await createBackup(store(), { project: 'p', services: [{ service: 'configuration', open }] });
  id = manifest.id;
  expect(manifest.parts[0]?.metadata).toMatchObject({ project: 'p', subnetPrefix: '10.9', services: ['vault'] });
  return () => folder[Symbol.asyncDispose]();
});

function step(compareOnly = false): RecoveryStep {
  return configurationStep({ store: store(), root: root(), work: work(), compareOnly });
}

/** As the recovery calls it; what is put aside is written down. */
function context(aside: Map<string, KeptAside>): StepContext {
  return {
    set: { id } as StepContext['set'],
    attempt: 1,
    signal: undefined,
    aside: [],
    report: () => undefined,
    keepAside: async (one: Aside, move: (aside: Aside) => Promise<void>) => {
      if (aside.get(one.id)?.isComplete === true) return;
      const first = aside.get(one.id) ?? { ...one, step: 'configuration', isComplete: false };
      aside.set(one.id, first);
      if (first.keptAt !== undefined) await move(first);
      aside.set(one.id, { ...first, isComplete: true });
    },
  };
}

async function change(): Promise<void> {
  await writeFile(join(root(), 'configs/vault/vault.hcl'), 'of today');
  await writeFile(join(root(), 'configs/vault/new.hcl'), 'of today');
  await fs.rm(join(root(), '.env'));
}

const hcl = (): Promise<string> => readFile(join(root(), 'configs/vault/vault.hcl'), 'utf8');

describe('the configuration', () => {
  it('is left alone where it is as in the set', async () => {
    const aside = new Map<string, KeptAside>();
    const { did } = await step().run(context(aside));
    expect(did).toEqual([
      'infrastructure/compose: as in the backup',
      'configs: as in the backup',
      '.env: as in the backup',
    ]);
    expect(aside.size).toBe(0);
    expect(await step().describe?.(context(aside).set)).toHaveLength(1);
  });

  it('comes back, what was there is kept, and what is no part of it stays', async () => {
    await change();
    const aside = new Map<string, KeptAside>();
    await step().run(context(aside));
    expect(await hcl()).toBe('backed up');
    expect(existsSync(join(root(), 'configs/vault/new.hcl'))).toBe(false);
    expect(await readFile(join(root(), '.env'), 'utf8')).toContain('DEVSTACK_TLS');
    expect(await readFile(join(root(), 'configs/tooling/lint.js'), 'utf8')).toBe('not ours');
    expect(await readFile(join(aside.get('configs/vault')?.keptAt ?? '', 'new.hcl'), 'utf8')).toBe('of today');
    // Cut off after it was made, it is made again.
    await step().run(context(aside));
    expect(await hcl()).toBe('backed up');
    for (const one of aside.values()) await step().putBack?.(one);
    for (const one of aside.values()) await step().putBack?.(one);
    expect(await hcl()).toBe('of today');
    expect(existsSync(join(root(), '.env'))).toBe(false);
  });

  it('keeps what an earlier recovery has put aside', async () => {
    for (const text of ['first', 'second']) {
      await writeFile(join(root(), 'configs/vault/vault.hcl'), text);
      await step().run(context(new Map()));
    }
    const kept = (await readdir(work())).filter((name) => name.startsWith('old-'));
    expect(kept).toHaveLength(2);
    const texts = kept.map((name) => readFile(join(work(), name, 'configs/vault/vault.hcl'), 'utf8'));
    expect(await Promise.all(texts)).toEqual(['first', 'second']);
  });

  it('comes back from another disk, where nothing can be renamed', async () => {
    await change();
    const { rename } = fs;
    fs.rename = async (from, to) => {
      if (String(from).startsWith(work()) !== String(to).startsWith(work()))
        throw Object.assign(new Error('cross-device link'), { code: 'EXDEV' });
      await rename(from, to);
    };
    syncBuiltinESMExports();
    try {
      const aside = new Map<string, KeptAside>();
      await step().run(context(aside));
      expect(await hcl()).toBe('backed up');
      for (const one of aside.values()) await step().putBack?.(one);
      expect(await hcl()).toBe('of today');
    } finally {
      fs.rename = rename;
      syncBuiltinESMExports();
    }
  });

  it('is only compared in a drill, and nothing unpacked is left', async () => {
    await change();
    const { did } = await step(true).run(context(new Map()));
    expect(did).toContain('configs: differs from the backup, unpacked for a trial');
    expect(await hcl()).toBe('of today');
    await step(true).undo?.(context(new Map()).set);
    expect(await readdir(work())).toEqual([]);
    expect(await step(true).describe?.(context(new Map()).set)).toEqual(['compare the configuration']);
  });
});
