import { chmod, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectDocker, type DockerEngine, type ProgramOutput } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { testImage } from '../test/images.ts';
import { makeSet, otherPassphrase, passphrase, random, storeFolder, type StoreFolder } from '../test/store-folder.ts';
import type { SetManifest } from './index.ts';

const large = Buffer.from(random(3_000_000)).toString('base64');
const contents = {
  postgres: { 'Größe "1"': large, globals: "CREATE ROLE it's;\n" },
  vault: { keys: 'a-secret-share', '`rm -rf /` # x': 'x' },
};
let docker: DockerEngine;
let image: string;
let folder: StoreFolder;
let full: SetManifest;
let increment: SetManifest;

beforeAll(async () => {
  docker = await connectDocker({ env: process.env });
  image = await testImage('debian');
  folder = await storeFolder({ allowUnencrypted: true });
  full = await makeSet(folder.store, { contents });
  folder.now = new Date(folder.now.getTime() + 86_400_000);
  increment = await makeSet(folder.store, {
    contents: { ...contents, vault: { keys: 'another-share' } },
    parent: full.id,
  });
}, 960_000);
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

/** The blocks of shell in a recovery card, in their order. */
function blocksOf(card: string): string[] {
  return [...card.matchAll(/^(`{3,})sh\n(.*?)\n\1$/gms)].map(([, , text = '']) => text);
}

/** Runs commands in Debian's own shell, in the set's folder, with nothing else there but the passphrase's file. */
async function inDebian(work: string, id: string, commands: string): Promise<ProgramOutput> {
  return docker.runEphemeral({
    image,
    argv: ['sh', '-euc', `export HOME=/tmp; cd /backups/${id}; ${commands}`],
    binds: [`${work}:/backups`],
    user: `${String(process.getuid?.() ?? 0)}:${String(process.getgid?.() ?? 0)}`,
    tmpfs: { '/tmp': 'rw' },
    timeoutMs: 120_000,
  });
}

async function copied(): Promise<string> {
  const work = join(folder.directory, '..', `work-${String(Math.random()).slice(2)}`);
  await cp(folder.directory, work, { recursive: true });
  await writeFile(join(work, 'PASSPHRASE-FILE'), `${passphrase.reveal()}\n`);
  await chmod(join(work, 'PASSPHRASE-FILE'), 0o600);
  return work;
}

it('Debian’s own tools open every artifact, by the card alone', { timeout: 240_000 }, async () => {
  const work = await copied();
  const card = await readFile(join(work, full.id, 'RECOVERY.md'), 'utf8');
  const [install = '', check = '', decrypt = '', single = '', ...restore] = blocksOf(card);
  expect(install).toBe('apt-get install --yes coreutils gnupg zstd');
  expect(card).not.toContain(passphrase.reveal());
  const commands = decrypt.replace('PASSPHRASE-FILE', '/backups/PASSPHRASE-FILE');
  const { exitCode, stdout, stderr } = await inDebian(work, full.id, `${check}\n${commands}`);
  expect({ exitCode, stderr: stderr.replace(/^gpg: .*\n/gm, '') }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).not.toContain('DAMAGED');
  expect(stdout.match(/: OK$/gm)).toHaveLength(8);
  const plain = join(work, full.id, 'plain');
  expect(await readdir(plain)).toHaveLength(8);
  expect(await readFile(join(plain, 'postgres.gro-e-1.dump'), 'utf8')).toBe(large);
  expect(await readFile(join(plain, 'vault.keys.dump'), 'utf8')).toBe('a-secret-share');
  // The short way, too, and a hint for each part that stays one line.
  const short = single.replace(
    'gpg --decrypt',
    'gpg --batch --pinentry-mode loopback --passphrase-file /backups/PASSPHRASE-FILE --decrypt',
  );
  expect((await inDebian(work, full.id, short)).exitCode).toBe(0);
  expect(restore).toHaveLength(4);
  for (const hint of restore) expect(hint).toMatch(/^pg_restore .*$/);
});

it('what an increment has from an earlier set is where its card says', { timeout: 240_000 }, async () => {
  const work = await copied();
  const card = await readFile(join(work, increment.id, 'RECOVERY.md'), 'utf8');
  const named = [...card.matchAll(/`\.\.\/(\d{8}_\d{6}\/[^`/]+\.gpg)`/g)].map(([, path = '']) => path);
  expect(named.length).toBeGreaterThan(0);
  for (const path of named) await expect(readFile(join(work, path))).resolves.toBeDefined();
  for (const id of [full.id, increment.id]) {
    const blocks = blocksOf(await readFile(join(work, id, 'RECOVERY.md'), 'utf8'));
    await inDebian(work, id, (blocks[2] ?? '').replace('PASSPHRASE-FILE', '/backups/PASSPHRASE-FILE'));
  }
  const plain = [...card.matchAll(/^- content: `([^`]+)`$/gm)].map(([, path = '']) => join(work, increment.id, path));
  const texts = await Promise.all(plain.map((path) => readFile(path, 'utf8')));
  expect(texts.toSorted()).toEqual([large, "CREATE ROLE it's;\n", 'another-share'].toSorted());
});

it(
  'whoever is a recipient opens it with a private key alone, before and after a change of the passphrase',
  { timeout: 240_000 },
  async () => {
    await using own = await storeFolder();
    const work = await copied();
    const gpg = 'gpg --batch --quiet --pinentry-mode loopback --passphrase-file /backups/KEY';
    await writeFile(join(work, 'KEY'), 'the passphrase of her key\n');
    const made = await inDebian(
      work,
      full.id,
      `${gpg} --quick-generate-key ada default default; ${gpg} --armor --export > /backups/ada.asc; ${gpg} --armor --export-secret-keys > /backups/ada.key`,
    );
    expect(made.exitCode, made.stderr).toBe(0);
    const one = { vault: { keys: 'a-secret-share' } };
    const store = own.reopen({ recipients: [await readFile(join(work, 'ada.asc'), 'utf8')] });
    const { id, recipients } = await makeSet(store, { contents: one });
    expect(recipients).toMatchObject([{ fingerprint: expect.stringMatching(/^[0-9A-F]{40}$/) as string }]);
    // The passphrase still proves and opens it, and gpg is not in the way of the other one.
    expect(await store.verify(id)).toMatchObject({ verdict: 'valid' });
    // Others could not open what is taken over from a set for somebody else.
    own.now = new Date(own.now.getTime() + 86_400_000);
    const next = await makeSet(own.store, { contents: one, parent: id });
    expect(next.artifacts.filter(({ heldBy }) => heldBy !== null)).toEqual([]);
    await own.store.remove(next.id);

    const openedBy = async (key: string): Promise<ProgramOutput> => {
      await rm(join(work, id), { recursive: true, force: true });
      await cp(join(own.directory, id), join(work, id), { recursive: true });
      const card = await readFile(join(work, id, 'RECOVERY.md'), 'utf8');
      expect(card).toContain(recipients?.[0]?.fingerprint ?? 'none');
      const [, , , , block = ''] = blocksOf(card);
      const byKey = block
        .replace('YOUR-KEY', recipients?.[0]?.fingerprint ?? '')
        .replace('| gpg --decrypt', `| ${gpg} --decrypt || true`);
      return inDebian(work, id, `${key}\n${byKey}`);
    };
    const plain = join(work, id, 'plain');
    const hers = `${gpg} --import /backups/ada.key`;
    expect((await openedBy(hers)).stdout).not.toContain('DAMAGED');
    expect(await readFile(join(plain, 'vault.keys.dump'), 'utf8')).toBe('a-secret-share');
    expect(await readdir(plain)).toHaveLength(2);
    await own.reopen().changePassphrase(otherPassphrase);
    expect((await openedBy(hers)).stdout).not.toContain('DAMAGED');
    expect(await readdir(plain)).toHaveLength(2);
    // The control: without her key nothing comes out.
    const others = await openedBy('gpg --batch --quiet --import /backups/ada.asc');
    expect(others.stdout.match(/^DAMAGED: /gm)).toHaveLength(2);
    expect(await readdir(plain)).toEqual([]);
  },
);

it('a set without encryption needs no gpg', { timeout: 240_000 }, async () => {
  const { id } = await makeSet(folder.store, { encrypted: false });
  const work = await copied();
  const [install = '', check = '', decompress = ''] = blocksOf(await readFile(join(work, id, 'RECOVERY.md'), 'utf8'));
  expect(install).not.toContain('gnupg');
  expect((await inDebian(work, id, `${check}\n${decompress}`)).exitCode).toBe(0);
  expect(await readFile(join(work, id, 'plain', 'postgres.app.dump'), 'utf8')).toBe('CREATE TABLE t();\n');
});

it(
  'the control: damage and a wrong passphrase are told, and leave nothing to be used',
  { timeout: 240_000 },
  async () => {
    const work = await copied();
    const [, check = '', decrypt = ''] = blocksOf(await readFile(join(work, full.id, 'RECOVERY.md'), 'utf8'));
    const path = join(work, full.id, 'vault.keys.dump.zst.gpg');
    const bytes = await readFile(path);
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
    await writeFile(path, bytes);
    const checked = await inDebian(work, full.id, check);
    expect(checked.exitCode).not.toBe(0);
    expect(checked.stdout).toContain('vault.keys.dump.zst.gpg: FAILED');
    const commands = decrypt.replace('PASSPHRASE-FILE', '/backups/PASSPHRASE-FILE');
    const opened = await inDebian(work, full.id, commands);
    expect(opened.stdout.match(/^DAMAGED: .*$/gm)).toEqual(['DAMAGED: vault.keys.dump.zst.gpg']);
    expect((await readdir(join(work, full.id, 'plain'))).filter((name) => name.includes('vault.keys.dump'))).toEqual(
      [],
    );
    await rm(join(work, full.id, 'plain'), { recursive: true });
    await writeFile(join(work, 'PASSPHRASE-FILE'), 'another horse another staple\n');
    expect((await inDebian(work, full.id, commands)).stdout.match(/^DAMAGED: .*$/gm)).toHaveLength(8);
    expect(await readdir(join(work, full.id, 'plain'))).toEqual([]);
  },
);
