import { lstat, mkdir, readdir, readFile, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  addPart,
  beginSet,
  engine,
  filesWith,
  makeSet,
  otherPassphrase,
  partRecord,
  passphrase,
  pieces,
  random,
  storeFolder,
  textOf,
  twoServices,
  type StoreFolder,
} from '../test/store-folder.ts';

// OpenPGP makes each guess at a passphrase slow, and so each artifact here: a busy machine needs its time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let folder: StoreFolder;
beforeEach(async () => {
  folder = await storeFolder();
});
afterEach(async () => folder[Symbol.asyncDispose]());

const day = 86_400_000;
const later = (ms: number): void => {
  folder.now = new Date(folder.now.getTime() + ms);
};

describe('a set', () => {
  it('is a folder named by the civil time of its start, and gives back what was put in', async () => {
    const manifest = await makeSet(folder.store);
    expect(manifest).toMatchObject({
      schema: 'devstack/backup-set/1',
      id: '20261120_110000',
      kind: 'full',
      parent: null,
      sequence: 1,
      revision: 1,
      previous: null,
      project: 'example',
      createdAt: '2026-11-20T10:00:00.000Z',
      timeZone: 'Europe/Berlin',
      localDate: '2026-11-20',
      encrypted: true,
      tool: { name: 'devstack', version: '1.0.0' },
      host: { name: 'laptop' },
    });
    expect((await readdir(join(folder.directory, manifest.id))).toSorted()).toEqual([
      'RECOVERY.md',
      'SHA256SUMS',
      'manifest.json',
      'postgres.app.dump.zst.gpg',
      'postgres.app.fingerprint.json.zst.gpg',
      'postgres.globals.dump.zst.gpg',
      'postgres.globals.fingerprint.json.zst.gpg',
      'vault.keys.dump.zst.gpg',
      'vault.keys.fingerprint.json.zst.gpg',
    ]);
    await expect(folder.store.read(manifest.id)).resolves.toEqual(manifest);
    expect(await textOf(folder.store.open(manifest.id, 'vault/keys/content'))).toBe(twoServices['vault']?.['keys']);
    const [artifact] = manifest.artifacts;
    expect(artifact).toBeDefined();
    if (artifact !== undefined) expect(await textOf(folder.store.open(manifest.id, artifact))).toContain('"of"');
  });

  it('is private, and holds neither content nor passphrase in clear, while one without encryption does', async () => {
    const { id } = await makeSet(folder.store);
    expect((await stat(folder.directory)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder.directory, id))).mode & 0o777).toBe(0o700);
    for (const name of await readdir(join(folder.directory, id)))
      expect((await lstat(join(folder.directory, id, name))).mode & 0o777, name).toBe(0o600);
    expect(await filesWith(folder.directory, passphrase.reveal())).toEqual([]);
    expect(await filesWith(folder.directory, 'secret-share')).toEqual([]);
    // The control: the search finds what is there.
    await makeSet(folder.reopen({ allowUnencrypted: true }), { encrypted: false });
    expect(await filesWith(folder.directory, 'secret-share')).toEqual(['20261120_110000_2/vault.keys.dump.zst']);
  });

  it('tells no checksum of a small secret, nor of a fingerprint, that would confirm a guess', async () => {
    const { id, artifacts, parts } = await makeSet(folder.store);
    const secret = artifacts.find(({ name }) => name === 'vault/keys/content');
    expect(secret?.plain).toEqual({ bytes: 25, hmac: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    const plain = await makeSet(folder.reopen({ allowUnencrypted: true }), { encrypted: false });
    const guess = plain.artifacts.find(({ name }) => name === 'vault/keys/content')?.plain;
    expect(guess).toHaveProperty('sha256');
    const text = await readFile(join(folder.directory, id, 'manifest.json'), 'utf8');
    if (guess !== undefined && 'sha256' in guess) expect(text).not.toContain(guess.sha256);
    expect(parts[0]?.fingerprintDigest).not.toBe(plain.parts[0]?.fingerprintDigest);
  });

  it('names files so that every file system can, and keeps the true names in the manifest', async () => {
    await using draft = await folder.store.create({ project: 'p', kind: 'full', encrypted: true });
    const names = ['../../etc/passwd', 'Größe', 'größe', 'Данные', '', 'a\\b', 'CON', '..', 'x'.repeat(300)];
    const files: string[] = [];
    for (const part of names.filter((name) => name !== ''))
      files.push(
        (await draft.add({ service: 'mysql', part, kind: 'content', extension: 'sql', content: pieces('x') })).file,
      );
    expect(files).toEqual([
      'mysql.etc-passwd.sql.zst.gpg',
      'mysql.gro-e.sql.zst.gpg',
      'mysql.gro-e-2.sql.zst.gpg',
      'mysql.part.sql.zst.gpg',
      'mysql.a-b.sql.zst.gpg',
      'mysql.con.sql.zst.gpg',
      'mysql.part-2.sql.zst.gpg',
      `mysql.${'x'.repeat(100)}.sql.zst.gpg`,
    ]);
    const { id, artifacts } = await draft.finish();
    expect(artifacts.map(({ part }) => part)).toEqual(names.filter((name) => name !== ''));
    await expect(folder.store.verify(id)).resolves.toMatchObject({ verdict: 'valid', checkedArtifacts: 8 });
    expect(await readdir(join(folder.directory, '..'))).toEqual(['backups']);
  });

  it('takes several megabytes, and says how far it is', async () => {
    await using draft = await folder.store.create({ project: 'p', kind: 'full', encrypted: true });
    const seen: number[] = [];
    const record = await draft.add({
      service: 'postgres',
      part: 'big',
      kind: 'content',
      extension: 'dump',
      content: pieces(random(3_000_000)),
      engine,
      metadata: { rows: 3 },
      onProgress: ({ plainBytes }) => seen.push(plainBytes),
    });
    expect(record).toMatchObject({ plain: { bytes: 3_000_000 }, engine, metadata: { rows: 3 } });
    expect(seen.at(-1)).toBe(3_000_000);
    await draft.finish();
  });

  it('has a number that grows, and names the one before it', async () => {
    const first = await makeSet(folder.store);
    later(day);
    const second = await makeSet(folder.store);
    const [, entry] = await folder.store.list();
    expect(second).toMatchObject({ sequence: 2, previous: { id: first.id, sha256: entry?.sha256 } });
    // A clock that was put back, and a catalog that was lost, change nothing of that.
    later(-30 * day);
    await rm(join(folder.directory, '.store', 'catalog.json'));
    await expect(makeSet(folder.store)).resolves.toMatchObject({ sequence: 3, previous: { id: second.id } });
    expect((await folder.store.catalog()).lastSequence).toBe(3);
  });
});

describe('an incremental set', () => {
  it('refers to what has not changed, also through several, and needs whoever holds it', async () => {
    const full = await makeSet(folder.store);
    later(day);
    const changed = { ...twoServices, postgres: { ...twoServices['postgres'], app: 'CREATE TABLE u();\n' } };
    const second = await makeSet(folder.store, { parent: full.id, contents: changed });
    later(day);
    const third = await makeSet(folder.store, { parent: second.id, contents: changed });
    const heldBy = (name: string): unknown => third.artifacts.find((one) => one.name === name)?.heldBy;
    expect(heldBy('postgres/app/content')).toBe(second.id);
    expect(heldBy('postgres/globals/content')).toBe(full.id);
    expect(heldBy('postgres/app/fingerprint')).toBeNull();
    expect(await textOf(folder.store.open(third.id, 'postgres/app/content'))).toBe('CREATE TABLE u();\n');
    expect(await textOf(folder.store.open(third.id, 'vault/keys/content'))).toBe(twoServices['vault']?.['keys']);
    expect((await folder.store.chain(third.id)).map(({ id }) => id)).toEqual([full.id, second.id, third.id]);
    await expect(folder.store.verify(third.id)).resolves.toMatchObject({ verdict: 'valid' });
    const [entry] = await folder.store.list();
    expect(entry).toMatchObject({ id: third.id, needs: [full.id, second.id], status: 'complete' });
    expect(await readFile(join(folder.directory, third.id, 'RECOVERY.md'), 'utf8')).toContain(
      `../${full.id}/postgres.globals.dump.zst.gpg`,
    );
  });

  it('takes anew what is approximate, of another version, or has another fingerprint', async () => {
    const full = await makeSet(folder.store);
    later(day);
    await using draft = await folder.store.create({
      project: 'p',
      kind: 'incremental',
      parent: full.id,
      encrypted: true,
    });
    const fingerprint = Buffer.from(JSON.stringify({ of: Buffer.from('CREATE TABLE t();\n').toString('base64') }));
    const part = { service: 'postgres', part: 'app', engine };
    expect(draft.unchanged(part, fingerprint)?.name).toBe('postgres/app/content');
    expect(draft.unchanged(part, Buffer.from('{}'))).toBeUndefined();
    expect(draft.unchanged({ ...part, engine: { ...engine, version: '18.0' } }, fingerprint)).toBeUndefined();
    expect(draft.unchanged({ ...part, part: 'other' }, fingerprint)).toBeUndefined();
    expect(draft.parent?.id).toBe(full.id);
  });

  it('is damaged without its base, and needs a parent', async () => {
    const full = await makeSet(folder.store);
    later(day);
    const second = await makeSet(folder.store, { parent: full.id });
    await expect(folder.store.remove(full.id)).rejects.toMatchObject({ code: 'BACKUP_NEEDED' });
    await rm(join(folder.directory, full.id), { recursive: true });
    expect(await folder.store.list()).toMatchObject([
      { id: second.id, status: 'damaged', problem: { code: 'BACKUP_INCOMPLETE' } },
    ]);
    expect(await folder.store.missing()).toMatchObject([{ id: full.id }]);
    await expect(folder.store.verify(second.id)).resolves.toMatchObject({
      verdict: 'invalid',
      problems: expect.arrayContaining([expect.objectContaining({ kind: 'not-found' })]) as unknown,
    });
    await expect(folder.store.chain(second.id)).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
    await expect(folder.store.create({ project: 'p', kind: 'incremental', encrypted: true })).rejects.toMatchObject({
      code: 'BACKUP_DRAFT_INVALID',
    });
    await expect(
      folder.store.create({ project: 'p', kind: 'full', parent: second.id, encrypted: true }),
    ).rejects.toMatchObject({
      code: 'BACKUP_DRAFT_INVALID',
    });
  });
});

describe('a draft', () => {
  it('that is given up leaves nothing but a line in the history', async () => {
    {
      await using draft = await beginSet(folder.store);
      expect(await readdir(folder.directory)).toContain(`.${draft.id}.partial`);
      expect(await folder.store.list()).toMatchObject([{ id: draft.id, status: 'partial' }]);
    }
    expect(await folder.store.list()).toEqual([]);
    expect(await readdir(folder.directory)).toEqual(['.store']);
    expect(await folder.store.history()).toMatchObject([{ event: 'create', outcome: 'failed', code: 'INTERRUPTED' }]);
  });

  it('cannot be finished once anything has failed', async () => {
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half a du');
      await Promise.resolve();
      throw new Error('the server went away');
    };
    await using draft = await beginSet(folder.store);
    const failing = { service: 'redis', part: 'keys', kind: 'content', extension: 'rdb', content: broken() };
    await expect(draft.add(failing)).rejects.toThrow('the server went away');
    await expect(draft.add({ ...failing, content: pieces('x') })).rejects.toMatchObject({
      code: 'BACKUP_DRAFT_INVALID',
    });
    await expect(draft.finish()).rejects.toMatchObject({ code: 'BACKUP_DRAFT_INVALID' });
    await draft[Symbol.asyncDispose]();
    expect(await readdir(folder.directory)).toEqual(['.store']);
  });

  it('is refused when it is empty, names something twice, or tells of a part that has nothing', async () => {
    const attempt = async (work: (draft: Awaited<ReturnType<typeof beginSet>>) => Promise<unknown>): Promise<void> => {
      await using draft = await beginSet(folder.store, { contents: {} });
      await expect(work(draft)).rejects.toMatchObject({ code: 'BACKUP_DRAFT_INVALID' });
    };
    await attempt((draft) => draft.finish());
    await attempt(async (draft) => {
      await addPart(draft, 'postgres', 'app', 'x');
      await addPart(draft, 'postgres', 'app', 'x');
    });
    await attempt(async (draft) => {
      await addPart(draft, 'postgres', 'app', 'x');
      draft.part(partRecord('postgres', 'other'));
      await draft.finish();
    });
    await attempt(async (draft) => {
      const record = await draft.add({
        service: 's',
        part: 'p',
        kind: 'content',
        extension: 'x',
        content: pieces('x'),
      });
      await draft.reference(record);
    });
    await attempt(async (draft) => {
      await draft.add({ service: 's\n', part: 'p', kind: 'content', extension: 'x', content: pieces('x') });
      await draft.finish();
    });
    expect(await folder.store.list()).toEqual([]);
  });

  it('that cannot even be begun leaves nothing, and the lock is free', async () => {
    const failing = folder.reopen({
      onStep: (step) => {
        if (step === 'create:folder') throw new Error('no more');
      },
    });
    await expect(failing.create({ project: 'p', kind: 'full', encrypted: true })).rejects.toThrow('no more');
    expect((await readdir(folder.directory)).filter((name) => name !== '.store')).toEqual([]);
    await expect(makeSet(folder.store)).resolves.toMatchObject({ sequence: 1 });
  });

  it('is stopped by its signal', async () => {
    const controller = new AbortController();
    await using draft = await folder.store.create({
      project: 'p',
      kind: 'full',
      encrypted: true,
      signal: controller.signal,
    });
    await addPart(draft, 'postgres', 'app', 'x');
    controller.abort();
    await expect(draft.finish()).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it('two at once: the second is told who is at it', async () => {
    await using first = await beginSet(folder.store);
    const error = (await folder.store.create({ project: 'p', kind: 'full', encrypted: true }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )) as { code: string; message: string; details: Record<string, unknown> };
    expect(error).toMatchObject({ code: 'BACKUP_LOCKED', details: { pid: process.pid, holder: 'backup of example' } });
    expect(error.message).toContain(`pid ${String(process.pid)}`);
    await first.finish();
    await expect(makeSet(folder.store)).resolves.toMatchObject({ id: '20261120_110000_2' });
  });

  it('needs a passphrase, or to be told that it needs none', async () => {
    const without = folder.reopen({ passphrase: undefined as never });
    await expect(without.create({ project: 'p', kind: 'full', encrypted: true })).rejects.toMatchObject({
      code: 'BACKUP_PASSPHRASE_NEEDED',
    });
    const plain = await makeSet(without, { encrypted: false });
    await expect(without.read(plain.id)).resolves.toMatchObject({ encrypted: false });
    expect(await textOf(without.open(plain.id, 'postgres/app/content'))).toBe('CREATE TABLE t();\n');
    await expect(without.verify(plain.id)).resolves.toMatchObject({ verdict: 'valid' });
    expect(await readFile(join(folder.directory, plain.id, 'RECOVERY.md'), 'utf8')).toContain(
      'Nothing here is encrypted',
    );
    // A store with a passphrase does not believe it: anybody can have put it there.
    await expect(folder.store.read(plain.id)).rejects.toMatchObject({ code: 'BACKUP_UNENCRYPTED' });
    await expect(folder.store.verify(plain.id)).resolves.toMatchObject({ verdict: 'inconclusive' });
  });

  it('is refused where the space is not enough for another one like the last', async () => {
    await makeSet(folder.store);
    const huge = { project: 'example', kind: 'full', encrypted: true, expectedBytes: 2 ** 50 } as const;
    await expect(folder.store.create(huge)).rejects.toMatchObject({
      code: 'BACKUP_NO_SPACE',
      details: { neededBytes: Math.ceil(2 ** 50 * 1.3) },
    });
    expect(await folder.store.list()).toHaveLength(1);
    expect((await folder.store.history()).at(-1)).toMatchObject({ outcome: 'failed', code: 'BACKUP_NO_SPACE' });
    await expect(makeSet(folder.store)).resolves.toBeDefined();
  });
});

describe('the list', () => {
  it('is in the order of the manifests, and tells what is what', async () => {
    const first = await makeSet(folder.store);
    later(day);
    const second = await makeSet(folder.store, { contents: { redis: { keys: 'x' } } });
    await mkdir(join(folder.directory, 'photos'));
    await writeFile(join(folder.directory, 'notes.txt'), 'mine');
    await mkdir(join(folder.directory, '20200101_000000'));
    await symlink(join(folder.directory, second.id), join(folder.directory, '20300101_000000'));
    // The time of a file says nothing.
    await utimes(join(folder.directory, first.id, 'manifest.json'), folder.now, new Date('2030-01-01'));
    later(day);
    const entries = await folder.store.list();
    expect(entries.map(({ id, status }) => `${id} ${status}`)).toEqual([
      `${second.id} complete`,
      `${first.id} complete`,
      '20200101_000000 damaged',
      '20300101_000000 foreign',
      'notes.txt foreign',
      'photos foreign',
    ]);
    expect(entries[0]).toMatchObject({
      ageMs: day,
      services: ['redis'],
      encrypted: true,
      trust: 'authentic',
      pinned: false,
      verified: null,
    });
    expect(entries[0]?.bytes).toBe(second.artifacts.reduce((sum, { cipher }) => sum + cipher.bytes, 0));
  });

  it.each([366, -366])('a set made while the clock was wrong by %i days stands in no other’s way', async (days) => {
    const small = { contents: { vault: { keys: 'x' } } };
    const before = await makeSet(folder.store, small);
    later(days * day);
    const wrong = await makeSet(folder.store, small);
    later(-days * day + 3_600_000);
    const after = await makeSet(folder.store, small);
    expect([before, wrong, after].map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    const found = (await folder.store.list()).map(({ id }) => id);
    expect(found).toEqual(days > 0 ? [after.id, wrong.id, before.id] : [after.id, before.id, wrong.id]);
    // What is dated in the future counts for nothing and stays; what is dated too early is old, and goes.
    const { plan } = await folder.store.rotate({ keepLast: 2 });
    expect(plan.keep.map(({ id }) => id)).toEqual(expect.arrayContaining([after.id, before.id]));
    expect(plan.remove.map(({ id }) => id)).toEqual(days > 0 ? [] : [wrong.id]);
  });

  it('without a passphrase shows sets that are not proved; with a wrong one says so', async () => {
    const { id } = await makeSet(folder.store);
    const without = folder.reopen({ passphrase: undefined as never });
    expect(await without.list()).toMatchObject([{ id, status: 'complete', trust: 'unchecked' }]);
    await expect(without.read(id)).rejects.toMatchObject({ code: 'BACKUP_PASSPHRASE_NEEDED' });
    await expect(without.verify(id)).resolves.toMatchObject({
      verdict: 'inconclusive',
      problems: [{ kind: 'unproved', code: 'BACKUP_PASSPHRASE_NEEDED' }],
    });
    const wrong = folder.reopen({ passphrase: otherPassphrase });
    expect(await wrong.list()).toMatchObject([{ id, status: 'wrong-passphrase' }]);
    await expect(wrong.read(id)).rejects.toMatchObject({ code: 'BACKUP_WRONG_PASSPHRASE' });
    await expect(wrong.verify(id)).resolves.toMatchObject({ problems: [{ kind: 'wrong-passphrase' }] });
    // And holds nothing against the set afterwards.
    expect(await folder.store.list()).toMatchObject([{ id, status: 'complete' }]);
  });

  it('finds no set where there is none', async () => {
    expect(await folder.store.list()).toEqual([]);
    await expect(folder.store.read('20261120_110000')).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
    await expect(folder.store.read('../etc')).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
    const { id } = await makeSet(folder.store);
    await expect(textOf(folder.store.open(id, 'no/such/thing'))).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
    await expect(folder.store.pin('20200101_000000')).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
    await expect(folder.store.verify('20200101_000000')).resolves.toMatchObject({ problems: [{ kind: 'not-found' }] });
  });

  it('makes its catalog anew when it is asked to, and forgets what is missing', async () => {
    const first = await makeSet(folder.store);
    later(day);
    const second = await makeSet(folder.store);
    await rm(join(folder.directory, first.id), { recursive: true });
    expect(await folder.store.missing()).toEqual([{ id: first.id, createdAt: first.createdAt }]);
    const rebuilt = await folder.store.rebuildCatalog();
    expect(Object.keys(rebuilt.sets)).toEqual([second.id]);
    expect(rebuilt.lastSequence).toBe(2);
    await writeFile(join(folder.directory, '.store', 'catalog.json'), '{"sets": 7');
    await expect(folder.store.list()).resolves.toMatchObject([{ id: second.id, status: 'complete' }]);
    await expect(folder.store.rebuildCatalog()).resolves.toEqual(rebuilt);
  });
});

describe('what a verification showed', () => {
  const contents = { vault: { keys: 'x' } };
  const stateOf = async (id: string): Promise<unknown> => {
    const entry = (await folder.store.list()).find((set) => set.id === id);
    return { status: entry?.status, verified: entry?.verified?.level, services: entry?.verifiedServices };
  };

  it('is not forgotten for a shallower one that agrees, and is for any that does not', async () => {
    const { id } = await makeSet(folder.store, { contents });
    await folder.store.verify(id, { level: 1 });
    expect(await stateOf(id)).toEqual({ status: 'complete', verified: 1, services: [] });
    await folder.store.recordRestoreTest(id, { verdict: 'valid', services: { vault: 'valid' } });
    await folder.store.verify(id, { level: 2 });
    expect(await stateOf(id)).toEqual({ status: 'complete', verified: 3, services: ['vault'] });
    const file = join(folder.directory, id, 'vault.keys.dump.zst.gpg');
    const bytes = await readFile(file);
    await writeFile(file, Buffer.from(bytes.map((byte, index) => (index === 50 ? byte ^ 1 : byte))));
    await folder.store.verify(id, { level: 1 });
    expect(await stateOf(id)).toEqual({ status: 'damaged', verified: 1, services: [] });
    // Whole again, it says so only when somebody has looked.
    await writeFile(file, bytes);
    expect(await stateOf(id)).toMatchObject({ status: 'damaged' });
    await folder.store.verify(id, { level: 2 });
    expect(await stateOf(id)).toMatchObject({ status: 'complete', verified: 2 });
    await writeFile(join(folder.directory, id, '.state.json'), 'not JSON');
    expect(await stateOf(id)).toEqual({ status: 'complete', verified: undefined, services: [] });
  });

  it('is told while it goes on, and stops at once when it is told to', async () => {
    const { id } = await makeSet(folder.store, { contents });
    const seen: number[] = [];
    const controller = new AbortController();
    await folder.store.verify(id, { onProgress: ({ bytes, ofBytes }) => seen.push(bytes / ofBytes) });
    expect(seen.at(-1)).toBe(1);
    await expect(
      folder.store.verify(id, {
        signal: controller.signal,
        onProgress: () => {
          controller.abort();
        },
      }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(await stateOf(id)).toMatchObject({ status: 'complete', verified: 2 });
  });
});

describe('a new passphrase', { timeout: 120_000 }, () => {
  const small = { contents: { vault: twoServices['vault'] ?? {} } };

  it('is what every set opens with afterwards, incremental ones too, and the old one opens none', async () => {
    const full = await makeSet(folder.store, small);
    later(day);
    const second = await makeSet(folder.store, { ...small, parent: full.id });
    await folder.store.verify(second.id);
    await expect(folder.store.changePassphrase(otherPassphrase)).resolves.toEqual({
      changed: [full.id, second.id],
      alreadyChanged: [],
      skipped: [],
    });
    const next = folder.reopen({ passphrase: otherPassphrase });
    for (const { id } of [full, second]) {
      await expect(next.verify(id)).resolves.toMatchObject({ verdict: 'valid' });
      expect(await textOf(next.open(id, 'vault/keys/content'))).toBe(twoServices['vault']?.['keys']);
      await expect(folder.store.read(id)).rejects.toMatchObject({ code: 'BACKUP_WRONG_PASSPHRASE' });
    }
    expect(await readdir(join(folder.directory, full.id))).toContain('vault.keys.dump.r2.zst.gpg');
    expect(await readdir(join(folder.directory, full.id))).not.toContain('vault.keys.dump.zst.gpg');
    expect(await filesWith(folder.directory, otherPassphrase.reveal())).toEqual([]);
    // Again, and an increment after it: nothing is compared under a key that is gone.
    await expect(next.changePassphrase(new Secret('a third horse and its staple'))).resolves.toMatchObject({
      changed: [full.id, second.id],
    });
    const third = folder.reopen({ passphrase: new Secret('a third horse and its staple') });
    await expect(third.verify(full.id)).resolves.toMatchObject({ verdict: 'valid' });
    later(day);
    const after = await makeSet(third, { ...small, parent: second.id });
    expect(after.artifacts.every(({ heldBy }) => heldBy === null)).toBe(true);
  });

  it('goes on after it was cut short, and tells what it left alone', async () => {
    const first = await makeSet(folder.store, small);
    later(day);
    const second = await makeSet(folder.store, small);
    later(day);
    const third = await makeSet(folder.store, small);
    await truncate(join(folder.directory, third.id, 'vault.keys.dump.zst.gpg'), 10);
    let manifests = 0;
    const stopping = folder.reopen({
      onStep: (step) => {
        if (step === 'rekey:artifact' && (manifests += 1) === 3) throw new Error('killed');
      },
    });
    await expect(stopping.changePassphrase(otherPassphrase)).rejects.toThrow('killed');
    await expect(folder.store.changePassphrase(otherPassphrase)).resolves.toMatchObject({
      changed: [second.id],
      alreadyChanged: [first.id],
      skipped: [{ id: third.id }],
    });
    const next = folder.reopen({ passphrase: otherPassphrase });
    await expect(next.verify(second.id)).resolves.toMatchObject({ verdict: 'valid' });
    await expect(folder.reopen({ formerPassphrases: [otherPassphrase] }).read(first.id)).resolves.toBeDefined();
  });

  it('takes away what an earlier run had half written, and leaves sets without encryption alone', async () => {
    const { id } = await makeSet(folder.store, small);
    await writeFile(join(folder.directory, id, 'vault.keys.dump.r2.zst.gpg'), 'half');
    later(day);
    const plain = await makeSet(folder.store, { ...small, encrypted: false });
    await expect(folder.store.changePassphrase(otherPassphrase)).resolves.toMatchObject({ changed: [id] });
    const next = folder.reopen({ passphrase: otherPassphrase, allowUnencrypted: true });
    for (const one of [id, plain.id]) await expect(next.verify(one)).resolves.toMatchObject({ verdict: 'valid' });
    later(day);
    await expect(makeSet(next, small)).resolves.toMatchObject({ previous: { id: plain.id } });
  });

  it('must be a good one, and needs the old one', async () => {
    await makeSet(folder.store, small);
    await expect(folder.store.changePassphrase(new Secret('short'))).rejects.toMatchObject({
      code: 'PASSPHRASE_INVALID',
    });
    const without = folder.reopen({ passphrase: undefined as never });
    await expect(without.changePassphrase(otherPassphrase)).rejects.toMatchObject({ code: 'BACKUP_PASSPHRASE_NEEDED' });
  });
});
