import { cp, mkdtemp, open as openFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBackupStore, type BackupStore } from '@devstack-core/backup-store';
import { connectDocker } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { reset, up, type Stack } from '@devstack-core/stack-lifecycle';
import { createTestStack, type TestStack } from '@devstack-core/stack-lifecycle/test/test-stack';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { fillPostgres, postgres, tablesOf } from '../test/awkward-data.ts';
import { checkoutCopy } from '../test/checkout-copy.ts';
import {
  backUpStack,
  changeWalArchiving,
  physicalOf,
  physicalSetBefore,
  recoverStack,
  restoreStack,
  verifyBackup,
  walArchiving,
} from './index.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

// One stack, taken through its life in order: each test begins where the one before ended.
let copy: Awaited<ReturnType<typeof checkoutCopy>>;
let own: TestStack;
let images: Record<string, string>;
let folder: string;
let store: BackupStore;
const ids: string[] = [];
const docker = (): ReturnType<typeof connectDocker> => connectDocker({ env: process.env });
const openCopy = (directory: string): BackupStore =>
  openBackupStore({
    directory,
    passphrase: new Secret('correct horse battery staple 9'),
    tool: { name: 'test', version: '1' },
  });

beforeAll(async () => {
  copy = await checkoutCopy();
  folder = await mkdtemp(join(tmpdir(), 'devstack-sbp-'));
  store = openCopy(join(folder, 'sets'));
  await using checkout = await createTestStack();
  images = Object.fromEntries(Object.entries(checkout.stack.env).filter(([name]) => name.endsWith('_IMAGE')));
  own = await createTestStack(copy.root);
  await up(await open(), { services: ['vault', 'postgres'] });
  await fillPostgres(await open());
});

afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
  await copy[Symbol.asyncDispose]();
});

function open(): Promise<Stack> {
  return own.open(images);
}

async function query(text: string): Promise<readonly unknown[]> {
  await using sql = await postgres(await open());
  return await sql.query(text);
}

async function backUp(only?: readonly string[]): Promise<string> {
  const made = await backUpStack(await open(), store, { physical: true, only, parent: ids.at(-1) });
  ids.push(made.manifest.id);
  return made.manifest.id;
}

async function inPostgres(script: string): Promise<string> {
  const engine = await docker();
  const [row] = (await engine.listContainers({ project: own.stack.project.id })).filter(
    ({ service }) => service === 'postgres',
  );
  return (await engine.exec(row?.id ?? '', ['sh', '-c', script])).stdout;
}

let before: { readonly at: Date; readonly tables: string };

test('a chain grows with the log, and each set says what it is', async () => {
  const stack = await open();
  // As the configuration says; the control of every restore below.
  expect(await walArchiving(stack)).toMatchObject({ mode: 'off', summarizes: true });
  await changeWalArchiving(stack, true);
  await expect.poll(async () => (await walArchiving(stack)).mode).toBe('on');
  await backUp();
  await query(`UPDATE orders SET at = '2030-01-01Z' WHERE id = 3`);
  await backUp(['postgres']);
  await query(`DELETE FROM orders WHERE id = 4`);
  await query(`SELECT pg_create_restore_point('before the mistake')`);
  before = { at: new Date(), tables: await tablesOf(stack) };
  await query(`CREATE TABLE garbage AS SELECT 1 AS one`);
  await query(`UPDATE "Größe ☃" SET n = 0`);
  await backUp(['postgres']);
  const sets = await Promise.all(ids.map(async (id) => physicalOf(await store.read(id))));
  expect(sets.map((set) => [set?.link, set?.wal !== undefined, set?.base.metadata?.['reason']])).toEqual([
    [0, true, 'a full one was asked for'],
    [1, true, undefined],
    [2, true, undefined],
  ]);
  expect(await walArchiving(stack)).toMatchObject({ files: 0, failingSince: undefined });
  expect(await inPostgres('ls /var/lib/devstack/wal-archive')).toBe('');
  const { plan } = await store.rotate({ daily: 0, weekly: 0, monthly: 0, keepLast: 1 }, { dryRun: true });
  expect(plan.remove).toEqual([]);
});

test('it is verified with its chain; the control, a broken link in another set, is found', async () => {
  const id = ids[2] ?? '';
  expect(await verifyBackup({ store, id, docker })).toMatchObject({ verdict: 'valid', selfTest: 'passed' });
  expect(await verifyBackup({ store, id, docker, level: 2 })).toMatchObject({ verdict: 'valid' });
  const broken = join(folder, 'broken');
  await cp(store.directory, broken, { recursive: true });
  const middle = join(broken, ids[1] ?? '');
  const [victim = ''] = (await readdir(middle)).filter((name) => name.startsWith('postgres.cluster.tar'));
  {
    await using file = await openFile(join(middle, victim), 'r+');
    await file.write(Buffer.from('x'), 0, 1, 3000);
  }
  expect(await verifyBackup({ store: openCopy(broken), id, docker, level: 2 })).toMatchObject({ verdict: 'invalid' });
  await rm(middle, { recursive: true });
  await expect(restoreStack(await open(), openCopy(broken), { id, only: ['postgres'] })).rejects.toMatchObject({
    code: 'BACKUP_INCOMPLETE',
  });
});

test('what lies before the backup or beyond the log is refused', async () => {
  const [id = ''] = ids;
  const only = ['postgres'];
  const to = async (time: Date): Promise<unknown> =>
    restoreStack(await open(), store, { id, only, target: { time } }).catch((error: unknown) => error);
  expect(await to(new Date(Date.now() - 3_600_000))).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
  expect(await to(new Date())).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
  const stack = await open();
  await expect(
    restoreStack(stack, store, { id, target: { name: 'x' }, only: ['postgres', 'redis'] }),
  ).rejects.toMatchObject({ code: 'NOTHING_SELECTED' });
});

test('a moment is gone back to, by time and by name; what was there is kept', async () => {
  const stack = await open();
  const only = ['postgres'];
  expect(await physicalSetBefore(store, before.at)).toBe(ids[1]);
  for (const [id, target] of [
    [ids[0], { time: before.at }],
    [ids[1], { name: 'before the mistake' }],
  ] as const) {
    const [restored] = await restoreStack(stack, store, { id: id ?? '', only, target });
    expect(await tablesOf(stack)).toBe(before.tables);
    expect(await query(`SELECT to_regclass('garbage') AS found`)).toEqual([{ found: null }]);
    expect(await inPostgres(`cat ${restored?.keptAt?.folder ?? ''}/PG_VERSION`)).not.toBe('');
    expect(await walArchiving(stack)).toMatchObject({ mode: 'on' });
  }
  // Each restore has a history of its own.
  expect(await query('SELECT timeline_id AS id FROM pg_control_checkpoint()')).toEqual([{ id: 3 }]);
});

test('what follows is another chain; the control, a segment that is gone, is told', async () => {
  const stack = await open();
  const id = await backUp(['postgres']);
  expect(physicalOf(await store.read(id))?.base.metadata?.['reason']).toMatch('restored or promoted');
  for (const table of ['one', 'two']) {
    await query(`CREATE TABLE ${table} AS SELECT 1`);
    await query('SELECT pg_switch_wal()');
    await expect.poll(() => inPostgres('ls /var/lib/devstack/wal-archive')).toMatch(/^0000000300000/m);
    if (table === 'one') await inPostgres('rm /var/lib/devstack/wal-archive/00000003*');
  }
  await expect.poll(async () => (await walArchiving(stack)).files).toBeGreaterThan(0);
  const at = new Date();
  await backUp(['postgres']);
  await expect(restoreStack(stack, store, { id, only: ['postgres'], target: { time: at } })).rejects.toThrow(
    /gap: segment 00000003\w{16} is missing/,
  );
  // It serves all the time, and nothing is left of the attempt but what the two restores have kept.
  expect(await tablesOf(stack)).toBe(before.tables);
  expect((await inPostgres('ls -d /var/lib/devstack/.restore-*')).trim().split('\n')).toHaveLength(2);
});

test('a lost stack comes back from a physical set', async ({ signal }) => {
  await reset(await open());
  await rm(own.configHome, { recursive: true, force: true });
  const report = await recoverStack({
    store,
    root: copy.root,
    configHome: own.configHome,
    env: { ...process.env, ...images },
    backup: ids[0],
    confirm: () => Promise.resolve(true),
    signal,
  });
  expect(report.record).toMatchObject({ outcome: 'recovered' });
  expect(await query('SELECT count(*)::int AS count FROM orders')).toEqual([{ count: 300 }]);
  expect(await inPostgres('ls -A /var/lib/devstack | grep restore || :')).toBe('');
});
