import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBackupStore, type BackupStore } from '@devstack-core/backup-store';
import type { Fingerprint } from '@devstack-core/database-backup';
import { connectDocker } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { reset, up, volumeCopyLabel, type Stack } from '@devstack-core/stack-lifecycle';
import { createTestStack, type TestStack } from '@devstack-core/stack-lifecycle/test/test-stack';
import { readRootToken } from '@devstack-core/vault-lifecycle';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { contents, damage, fill, passwords, postgres } from '../test/awkward-data.ts';
import { checkoutCopy } from '../test/checkout-copy.ts';
import {
  backUpStack,
  createSnapshot,
  drillStack,
  recoverStack,
  restoreSnapshot,
  restoreStack,
  restoreVaultAlone,
  verifyBackup,
  type RecoverStackOptions,
} from './index.ts';
import { bytesOf } from './set-files.ts';
import { compareStack } from './stack-backup.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

// One stack, taken through its life in order: each test begins where the one before ended.
let copy: Awaited<ReturnType<typeof checkoutCopy>>;
let own: TestStack;
let images: Record<string, string>;
let folder: string;
let store: BackupStore;
let id: string;
let before: { readonly contents: readonly string[]; readonly passwords: readonly string[] };

const tool = { name: 'test', version: '1' };
const passphrase = new Secret('correct horse battery staple 9');
const services = ['vault', 'postgres', 'redis-1'];

beforeAll(async () => {
  copy = await checkoutCopy();
  folder = await mkdtemp(join(tmpdir(), 'devstack-sb-'));
  store = openBackupStore({ directory: join(folder, 'sets'), passphrase, tool });
  await using checkout = await createTestStack();
  images = Object.fromEntries(Object.entries(checkout.stack.env).filter(([name]) => name.endsWith('_IMAGE')));
  own = await createTestStack(copy.root);
  await up(await open(), { services });
  await fill(await open());
});

afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
  await copy[Symbol.asyncDispose]();
});

function open(): Promise<Stack> {
  return own.open(images);
}

// As on a machine that knows nothing of the project: the set says which it was.
function recovery(more: Partial<RecoverStackOptions> = {}): RecoverStackOptions {
  const { configHome } = own;
  const env = { ...process.env, ...images };
  return { store, root: copy.root, configHome, env, confirm: () => Promise.resolve(true), ...more };
}

async function left(project: string): Promise<readonly string[]> {
  const docker = await connectDocker({ env: process.env });
  const lists = await Promise.all([docker.listContainers({ all: true }), docker.listVolumes(), docker.listNetworks()]);
  return lists.flat().flatMap(({ name }) => (name.startsWith(project) ? [name] : []));
}

test('a backup has everything, and nobody else changes the stack meanwhile', async () => {
  const stack = await open();
  // As a backup that was killed leaves it.
  const docker = await stack.engine();
  const [redis] = (await docker.listContainers({ project: stack.project.id })).filter(
    ({ service }) => service === 'redis-1',
  );
  await docker.pauseContainer(redis?.id ?? '');
  let refused: unknown;
  const made = await backUpStack(stack, store, {
    onEvent: (event) => {
      if (event.type === 'step-started') refused ??= up(stack, { services }).catch((error: unknown) => error);
    },
  });
  expect(await refused).toMatchObject({ code: 'LEASE_HELD' });
  id = made.manifest.id;
  const parts = made.manifest.parts.map(({ service, name }) => `${service}/${name}`);
  expect(parts).toEqual(
    expect.arrayContaining(['vault/raft', 'vault/vault', 'configuration/configs', 'postgres/globals']),
  );
  expect(new Set(made.manifest.parts.map(({ service }) => service))).toEqual(
    new Set(['vault', 'configuration', 'postgres', 'redis']),
  );
  before = { contents: await contents(stack), passwords: await passwords(stack) };
});

test('what did not change is taken over from the set before', async () => {
  const stack = await open();
  const made = await backUpStack(stack, store, { parent: id, only: ['configuration', 'redis-1'] });
  expect(made.manifest.kind).toBe('incremental');
  expect(made.unchanged).toBeGreaterThanOrEqual(2);
  await store.remove(made.manifest.id);
  await expect(backUpStack(stack, store, { only: ['nothing'] })).rejects.toMatchObject({ code: 'UNKNOWN_SERVICE' });
  await expect(backUpStack(stack, store, { only: ['mysql'] })).rejects.toMatchObject({ code: 'SERVICE_NOT_RUNNING' });
});

test('it is verified by restoring it; the control, a flipped bit, is found', async () => {
  const docker = (): ReturnType<typeof connectDocker> => connectDocker({ env: process.env });
  expect(await verifyBackup({ store, id, docker })).toMatchObject({ verdict: 'valid' });
  const flipped = join(folder, 'flipped');
  await cp(store.directory, flipped, { recursive: true });
  const file = (await readdir(join(flipped, id))).find((name) => name.startsWith('postgres.') && name.endsWith('.gpg'));
  const path = join(flipped, id, file ?? '');
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  await writeFile(path, bytes);
  const control = openBackupStore({ directory: flipped, passphrase, tool });
  expect(await verifyBackup({ store: control, id, docker, level: 1 })).toMatchObject({ verdict: 'invalid' });
});

test('databases come back from damage', async ({ signal }) => {
  const stack = await open();
  await damage(stack);
  expect(await contents(stack)).not.toEqual(before.contents);
  const damaged = await compareStack(stack, store, { id });
  expect(damaged.filter(({ differences }) => (differences ?? []).length > 0)).toHaveLength(2);
  const restored = await restoreStack(stack, store, { id, signal });
  expect(restored.flatMap(({ differences }) => differences)).toEqual([]);
  expect(await contents(stack)).toEqual(before.contents);
});

test('everything comes back when containers, volumes, keys and configuration are gone', async ({ signal }) => {
  const { id: project } = own.stack.project;
  // As a restore that was killed leaves it.
  const docker = await connectDocker({ env: process.env });
  await docker.ensureVolume({ name: `${project}_data.restored`, labels: { [volumeCopyLabel]: project } });
  await reset(await open());
  await rm(own.configHome, { recursive: true, force: true });
  await rm(join(copy.root, 'configs/vault'), { recursive: true });
  await rm(join(copy.root, 'infrastructure/compose'), { recursive: true });
  expect(await left(project)).toEqual([]);
  const report = await recoverStack(recovery({ signal }));
  expect(report.record).toMatchObject({ kind: 'recover', outcome: 'recovered', backupId: id });
  expect(report.leftovers).toEqual([]);
  const stack = await open();
  expect(await contents(stack)).toEqual(before.contents);
  expect(await passwords(stack)).toEqual(before.passwords);
  expect(await readdir(join(own.configHome, '.recovery'))).not.toContain('vault');
});

test('a recovery that is not proven puts everything back, and starts it', async ({ signal }) => {
  const stack = await open();
  {
    await using sql = await postgres(stack);
    await sql.query('CREATE TABLE after_the_backup AS SELECT 42 AS answer');
  }
  const setting = join(copy.root, 'configs/vault/later.hcl');
  await writeFile(setting, '# later\n');
  const failed = recoverStack(recovery({ store: withOtherExpectation(store), signal }));
  await expect(failed).rejects.toMatchObject({ code: 'RECOVERY_ROLLED_BACK', details: { step: 'proof' } });
  {
    await using sql = await postgres(stack);
    expect(await sql.query('SELECT answer FROM after_the_backup')).toEqual([{ answer: 42 }]);
  }
  expect(await passwords(stack)).toEqual(before.passwords);
  expect(await contents(stack)).toEqual(before.contents);
  expect(existsSync(setting)).toBe(true);
  expect((await left(own.stack.project.id)).filter((name) => name.includes('aside'))).toEqual([]);
});

// One row more than there was, in the set's own words.
function withOtherExpectation(real: BackupStore): BackupStore {
  return {
    ...real,
    open: (set, artifact, options) =>
      isFingerprintOfPostgres(typeof artifact === 'string' ? artifact : artifact.name)
        ? changed(real.open(set, artifact, options))
        : real.open(set, artifact, options),
  };
}

function isFingerprintOfPostgres(name: string): boolean {
  return name.startsWith('postgres/') && name.endsWith('/fingerprint');
}

async function* changed(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const said = JSON.parse(Buffer.from(await bytesOf(content)).toString()) as Fingerprint;
  const items = said.items.map((item) => (item.kind === 'table' ? { ...item, count: item.count + 1 } : item));
  yield Buffer.from(JSON.stringify({ ...said, items }));
}

test('a drill beside the running stack leaves nothing', async ({ signal }) => {
  const report = await drillStack(recovery({ signal }));
  expect(report.record).toMatchObject({ kind: 'drill', outcome: 'recovered' });
  expect(await left('devstack-drill-')).toEqual([]);
  expect(existsSync(join(own.configHome, '.recovery/drill'))).toBe(false);
  expect(await contents(await open())).toEqual(before.contents);
});

test('a snapshot of stopped volumes brings back what was there', async () => {
  const stack = await open();
  const snapshots = openBackupStore({ directory: join(folder, 'snapshots'), passphrase, tool });
  const { manifest } = await createSnapshot(stack, snapshots);
  await damage(stack);
  expect(await contents(stack)).not.toEqual(before.contents);
  const { volumes } = await restoreSnapshot(stack, snapshots, { id: manifest.id });
  expect(volumes.length).toBeGreaterThanOrEqual(3);
  expect(await contents(stack)).toEqual(before.contents);
  expect((await left(stack.project.id)).filter((name) => name.endsWith('.restored'))).toEqual([]);
  await expect(restoreSnapshot(stack, store, { id })).rejects.toMatchObject({ code: 'NOTHING_SELECTED' });
});

test('Vault alone comes back; cut off, the next call goes on and keeps what the first has kept', async () => {
  const stack = await open();
  const [now] = await passwords(stack);
  const root = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  await root.kvWrite('service/later', { note: new Secret('after the backup') });
  expect((await root.kvRead('service/later'))?.data).toBeDefined();
  const cutOff = await restoreVaultAlone(stack, store, {
    id,
    onEvent: () => {
      throw new Error('cut off');
    },
  }).catch((error: unknown) => error);
  expect(cutOff).toMatchObject({ code: 'VAULT_RESTORE_UNFINISHED' });
  const { keptAt } = await restoreVaultAlone(stack, store, { id });
  expect(cutOff).toMatchObject({ details: { keptAt } });
  expect(await readdir(keptAt)).toEqual(expect.arrayContaining(['raft.snap', 'vault', 'approles']));
  expect((await passwords(stack))[0]).toBe(now);
  const back = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  expect(await back.kvRead('service/later')).toBeUndefined();
});
