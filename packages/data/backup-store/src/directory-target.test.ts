import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { offsiteSuite } from '../test/offsite-suite.ts';
import { makeSet, storeFolder } from '../test/store-folder.ts';
import { directoryTarget } from './index.ts';

// OpenPGP makes each guess at a passphrase slow, and so each artifact here: a busy machine needs its time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'devstack-offsite-'));
  folders.push(path);
  return path;
}

offsiteSuite(
  'a folder on another disk',
  async () => {
    const path = await newFolder();
    return {
      target: directoryTarget({ path }),
      names: async () => {
        const entries = await readdir(path, { recursive: true, withFileTypes: true });
        return entries
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1));
      },
      read: (name) => readFile(join(path, name)),
      write: async (name, content) => {
        await mkdir(dirname(join(path, name)), { recursive: true });
        await writeFile(join(path, name), content);
      },
      remove: (name) => rm(join(path, name)),
    };
  },
  200_000,
);

it('a drive that is not mounted, or is full or closed, is said so, and nothing is written beside it', async () => {
  await using here = await storeFolder();
  const { id } = await makeSet(here.store, { contents: { vault: { keys: 'x' } } });
  const missing = join(await newFolder(), 'usb');
  await expect(here.store.copySet(id, directoryTarget({ path: missing }))).rejects.toMatchObject({
    code: 'BACKUP_TARGET_FAILED',
    hint: expect.stringContaining('mount') as string,
  });
  await expect(directoryTarget({ path: missing }).sets()).rejects.toMatchObject({ code: 'BACKUP_TARGET_FAILED' });
  await expect(stat(missing)).rejects.toMatchObject({ code: 'ENOENT' });
  const full = directoryTarget({ path: '/dev' });
  expect(full.label).toBe('/dev');
  const blocked = await newFolder();
  await writeFile(join(blocked, id), 'a file where the folder is to be');
  await expect(here.store.copySet(id, directoryTarget({ path: blocked }))).rejects.toMatchObject({
    code: 'BACKUP_TARGET_FAILED',
  });
});

it('leftovers of a copy that was killed go with the next one', async () => {
  await using here = await storeFolder();
  const path = await newFolder();
  const { id } = await makeSet(here.store, { contents: { vault: { keys: 'x' } } });
  await mkdir(join(path, id));
  await writeFile(join(path, id, 'vault.keys.dump.zst.gpg.0123456789ab.tmp'), 'half');
  await here.store.copySet(id, directoryTarget({ path }));
  expect((await readdir(join(path, id))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});
