import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { fakeService, storeIn } from '../test/fake-service.ts';
import { temporaryFolder } from '../test/folder.ts';
import { bytesText, compareWithBackup, createBackup, decryptBackup, restoreBackup, verifyBackup } from './index.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const store = (): ReturnType<typeof storeIn> => storeIn(join(folder.path, 'sets'));

beforeEach(async () => {
  folder = await temporaryFolder();
  return () => folder[Symbol.asyncDispose]();
});

const texts = (): Map<string, string> =>
  new Map([
    ['orders', 'all orders'],
    ['globals', 'roles'],
    ['größe ☃', ''],
  ]);
const setsIn = async (): Promise<readonly string[]> =>
  (await readdir(join(folder.path, 'sets'))).filter((name) => !name.startsWith('.store'));

describe('a backup', () => {
  it('tells each part, its rate and what it made', async () => {
    const events: string[] = [];
    const options = { project: 'p', services: [fakeService(texts())] };
    await createBackup(store(), options);
    const made = await createBackup(store(), {
      ...options,
      onEvent: (event) => {
        if (event.type === 'step-done') events.push(`${event.step} ${event.detail}`);
        if (event.type === 'progress') expect(event.text).toMatch(/^fake: .*: \d.* [KMGT]?i?B, .*\/s/);
      },
    });
    expect(events).toEqual(['fake/orders 10 B, exact', 'fake/globals 5 B, exact', 'fake/größe ☃ 0 B, exact']);
    expect(made).toMatchObject({ unchanged: 0, manifest: { kind: 'full', encrypted: true } });
    expect(made.plainBytes).toBeGreaterThan(15);
    expect(made.storedBytes).toBeGreaterThan(0);
  });

  it('takes over what is exactly the same in its parent, and nothing approximate', async () => {
    const held = texts();
    const first = await createBackup(store(), { project: 'p', services: [fakeService(held)] });
    held.set('orders', 'all orders, and one more');
    const second = await createBackup(store(), {
      project: 'p',
      services: [fakeService(held)],
      parent: first.manifest.id,
    });
    expect(second).toMatchObject({ unchanged: 2, manifest: { kind: 'incremental' } });
    const approximate = fakeService(held, { consistency: 'approximate' });
    const third = await createBackup(store(), { project: 'p', services: [approximate], parent: second.manifest.id });
    expect(third.unchanged).toBe(0);
    // What was taken over comes back as well.
    const back = new Map<string, string>();
    await restoreBackup(store(), { set: second.manifest.id, services: [fakeService(back)] });
    expect(back).toEqual(new Map([...held].toSorted()));
  });

  it('is none when a dump fails, when it is interrupted, or of nothing', async () => {
    const failing = fakeService(texts(), {
      onWork: () => {
        throw new Error('the server is gone');
      },
    });
    await expect(createBackup(store(), { project: 'p', services: [failing] })).rejects.toThrow('the server is gone');
    const controller = new AbortController();
    const aborting = fakeService(texts(), {
      onWork: () => {
        controller.abort();
      },
    });
    const interrupted = createBackup(store(), { project: 'p', services: [aborting], signal: controller.signal });
    await expect(interrupted).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(createBackup(store(), { project: 'p', services: [] })).rejects.toMatchObject({
      code: 'NOTHING_SELECTED',
    });
    expect(await setsIn()).toEqual([]);
    await createBackup(store(), { project: 'p', services: [fakeService(texts())] });
    expect(await setsIn()).toHaveLength(1);
  });

  it('can do without fingerprints; then nothing can be compared', async () => {
    const held = texts();
    const services = [fakeService(held)];
    const { manifest } = await createBackup(store(), { project: 'p', services, fingerprints: false });
    held.set('orders', 'others');
    const compared = await compareWithBackup(store(), { set: manifest.id, services });
    expect(compared.map(({ differences }) => differences)).toEqual([null, null, null]);
  });

  it('is verified without Docker up to level 2', async () => {
    const { manifest } = await createBackup(store(), { project: 'p', services: [fakeService(texts())] });
    const docker = (): never => {
      throw new Error('no Docker here');
    };
    const about = { store: store(), id: manifest.id, docker };
    expect(await verifyBackup({ ...about, level: 1 })).toMatchObject({ verdict: 'valid' });
    await expect(verifyBackup(about)).rejects.toThrow('no Docker here');
  });
});

describe('a restore', () => {
  it('goes in the order that the engine needs, skips what is done, and proves it', async () => {
    const held = texts();
    const { manifest } = await createBackup(store(), { project: 'p', services: [fakeService(held)] });
    const order: string[] = [];
    const back = new Map([['orders', 'damaged']]);
    const services = [fakeService(back, { onWork: (part) => order.push(part) })];
    const before = await compareWithBackup(store(), { set: manifest.id, services });
    expect(before.find(({ part }) => part === 'orders')?.differences).toHaveLength(1);
    const parts: string[] = [];
    await restoreBackup(store(), {
      set: manifest.id,
      services,
      done: new Set(['fake/größe ☃']),
      onPart: (part) => Promise.resolve(void parts.push(part)),
      onEvent: () => undefined,
    });
    expect(order).toEqual(['globals', 'orders']);
    expect(parts).toEqual(['fake/globals', 'fake/orders']);
    const after = await compareWithBackup(store(), {
      set: manifest.id,
      services,
      signal: new AbortController().signal,
    });
    expect(after.flatMap(({ differences }) => differences)).toEqual([]);
  });

  it('refuses another engine, other services, and goes no further once interrupted', async () => {
    const { manifest } = await createBackup(store(), { project: 'p', services: [fakeService(texts())] });
    const restore = (
      services: Parameters<typeof restoreBackup>[1]['services'],
      signal?: AbortSignal,
    ): Promise<unknown> => restoreBackup(store(), { set: manifest.id, services, signal });
    const other = fakeService(new Map(), { engine: 'othersql' });
    await expect(restore([other])).rejects.toMatchObject({ code: 'ENGINE_MISMATCH' });
    await expect(restore([fakeService(new Map(), { service: 'x' })])).rejects.toMatchObject({
      code: 'NOTHING_SELECTED',
    });
    await expect(restore([fakeService(new Map())], AbortSignal.abort())).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(restore([fakeService(new Map())])).resolves.toHaveLength(3);
  });
});

describe('decryption', () => {
  it('writes what was backed up, private, and only under its own name', async () => {
    const { manifest } = await createBackup(store(), { project: 'p', services: [fakeService(texts())] });
    const directory = join(folder.path, 'plain');
    const paths = await decryptBackup(store(), {
      id: manifest.id,
      directory,
      only: ['fake'],
      onEvent: () => undefined,
    });
    expect(paths).toHaveLength(6);
    expect((await readdir(directory)).filter((name) => name.endsWith('.partial'))).toEqual([]);
    await expect(decryptBackup(store(), { id: manifest.id, directory })).rejects.toMatchObject({
      code: 'TARGET_EXISTS',
    });
    expect(await decryptBackup(store(), { id: manifest.id, directory, only: ['vault'] })).toEqual([]);
  });

  it('takes away what a killed one has left, whatever it is asked for', async () => {
    const { manifest } = await createBackup(store(), { project: 'p', services: [fakeService(texts())] });
    const directory = join(folder.path, 'plain');
    await mkdir(directory, { mode: 0o700 });
    const left = `${manifest.artifacts.at(-1)?.file.replace('.zst.gpg', '') ?? ''}.partial`;
    await writeFile(join(directory, left), 'half of it, in clear');
    await writeFile(join(directory, 'mine.partial'), 'of somebody else');
    await decryptBackup(store(), { id: manifest.id, directory, only: ['vault'] });
    expect(await readdir(directory)).toEqual(['mine.partial']);
  });

  it('leaves nothing with a wrong passphrase or when it is interrupted', async () => {
    const { manifest } = await createBackup(store(), { project: 'p', services: [fakeService(texts())] });
    const directory = join(folder.path, 'plain');
    const wrong = storeIn(join(folder.path, 'sets'), 'another passphrase altogether 7');
    await expect(decryptBackup(wrong, { id: manifest.id, directory })).rejects.toThrow();
    const signal = AbortSignal.abort();
    await expect(decryptBackup(store(), { id: manifest.id, directory, signal })).rejects.toThrow();
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('bytes for people', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [1.4 * 2 ** 30, '1.4 GiB'],
    [2 ** 52, '4096.0 TiB'],
  ])('%d is %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });
});
