import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { BackupStore } from '@devstack-core/backup-store';
import {
  postgresAdapter,
  serializeFingerprint,
  type PostgresPlace,
  type Throwaway,
} from '@devstack-core/database-backup';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { storeIn } from '../test/fake-service.ts';
import { canary, placeIn, psql } from '../test/postgres-place.ts';
import { atPlace, compareWithBackup, createBackup, restoreBackup, type ServiceBackup } from './index.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const script = fileURLToPath(new URL('../test/restore-until-killed.ts', import.meta.url));
/** In a soak every step, and each kind so many times; otherwise the first of each kind that changes something. */
const rounds = Number(process.env['DEVSTACK_KILL_ROUNDS'] ?? '0');
const changing =
  /^psql: (CREATE DATABASE|BEGIN|ALTER DATABASE|COMMIT|DROP DATABASE)$|^pg_restore: bytes$|^postgres.kept is restored$/;
const passphrase = 'correct horse battery staple 9';

let docker: DockerEngine;
let server: Throwaway<PostgresPlace>;
let place: PostgresPlace;
let service: ServiceBackup;
let store: BackupStore;
let folder: string;
let id: string;
let present: string;
const histogram = new Map<string, number>();

beforeAll(async () => {
  docker = await connectDocker({ env: process.env });
  folder = await mkdtemp(join(tmpdir(), 'devstack-restore-killed-'));
  await writeFile(join(folder, 'passphrase'), passphrase, { mode: 0o600 });
  store = storeIn(join(folder, 'sets'), passphrase);
  const labels = { 'io.devstack.test': 'restore-killed' };
  server = await postgresAdapter.throwaway({ docker, image: 'devstack/postgres:local', labels });
  place = placeIn(docker, server.container);
  service = atPlace('postgres', postgresAdapter, place);
  await psql(place, 'postgres', 'CREATE DATABASE kept');
  await psql(
    place,
    'kept',
    `CREATE TABLE rows (i int PRIMARY KEY, t text); INSERT INTO rows SELECT i, md5(i::text) || md5((i + 1)::text) FROM generate_series(1, 20000) i;
     CREATE TABLE child (i int REFERENCES rows); INSERT INTO child SELECT i FROM generate_series(1, 100) i; CREATE VIEW seen AS SELECT count(*) FROM rows`,
  );
  id = (await createBackup(store, { project: 'p', services: [service] })).manifest.id;
  await goOn();
  present = await fingerprint();
});

afterAll(async () => {
  process.stderr.write(`kills by step: ${JSON.stringify(Object.fromEntries(histogram))}\n`);
  await server[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** What has happened since the backup. */
async function goOn(): Promise<void> {
  await psql(
    place,
    'kept',
    `UPDATE rows SET t = 'later' WHERE i % 2 = 0; DELETE FROM child; CREATE TABLE later (i int)`,
  );
}

async function fingerprint(): Promise<string> {
  const { parts } = await store.read(id);
  const part = parts.find(({ name }) => name === 'kept');
  if (part === undefined) throw new Error('the part is gone');
  const found = await service.fingerprint({ ...part, service: 'postgres' });
  if (found === undefined) throw new Error('the part has no fingerprint');
  return serializeFingerprint(found);
}

async function isAsInTheSet(): Promise<boolean> {
  const compared = await compareWithBackup(store, { set: id, services: [service] });
  return compared.every(({ differences }) => differences?.length === 0);
}

/** What is held now: anything between the two is neither. */
async function held(): Promise<'old' | 'new' | 'neither'> {
  const now = await fingerprint().catch((error: unknown) => {
    // A database that is not there, or that is half of one, cannot be asked.
    if (isDevstackError(error)) return '';
    throw error;
  });
  if (now === present) return 'old';
  return (await isAsInTheSet().catch(() => false)) ? 'new' : 'neither';
}

async function run(
  killAt: number | string,
  mode = 'whole',
): Promise<{ readonly killed: boolean; readonly steps: readonly string[] }> {
  const args = [store.directory, join(folder, 'passphrase'), id, server.container, String(killAt), mode];
  const child = spawn(process.execPath, ['-C', '@devstack-core/source', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return { killed: child.signalCode === 'SIGKILL', steps: said.trim().split('\n') };
}

/** Programs in the container meet the end of their input a moment after the process that wrote it was killed. */
async function quiet(): Promise<void> {
  const sql = `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;
  await expect.poll(() => psql(place, 'postgres', sql), { timeout: 30_000 }).toBe('0');
}

async function left(): Promise<readonly string[]> {
  const databases = await psql(
    place,
    'postgres',
    `SELECT datname FROM pg_database WHERE datname LIKE 'devstack-backup-%'`,
  );
  const files = await docker.exec(server.container, ['sh', '-c', 'grep -rls "$1" /run /tmp || :', 'sh', canary]);
  const scratch = await docker.exec(server.container, ['ls', '-A', place.scratch]);
  return [databases, files.stdout.trim(), scratch.stdout.trim()].filter((one) => one !== '');
}

/** Back to what was there before a restore that has come to its end. */
async function goBack(): Promise<void> {
  await restoreBackup(store, { set: id, services: [service] });
  await goOn();
  expect(await held()).toBe('old');
}

describe('a restore into a running server', () => {
  it('is the old or the new database, whole, wherever the restore is killed', { timeout: 1_800_000 }, async () => {
    const { killed, steps } = await run(0);
    expect(killed).toBe(false);
    expect(await held()).toBe('new');
    await goBack();
    const moments = momentsOf(steps.slice(0, -1));
    expect(moments.length).toBeGreaterThanOrEqual(6);
    const seen = { old: 0, new: 0 };
    for (const moment of moments) {
      const result = await run(moment);
      const step = result.steps.at(-1) ?? '';
      expect(result.killed, step).toBe(true);
      histogram.set(step, (histogram.get(step) ?? 0) + 1);
      await quiet();
      const now = await held();
      expect(['old', 'new'], step).toContain(now);
      seen[now === 'old' ? 'old' : 'new'] += 1;
      if (now === 'new') await goBack();
    }
    expect(seen.old).toBeGreaterThan(3);
    expect(seen.new).toBeGreaterThan(0);
    // What killed ones have left, the next one takes away.
    await restoreBackup(store, { set: id, services: [service] });
    expect(await held()).toBe('new');
    expect(await left()).toEqual([]);
    await goOn();
  });

  it('the control: one that goes straight over what is there is caught in between', async () => {
    const { steps } = await run(0, 'torn');
    await goBack();
    const inTheMiddle = steps.findIndex((step) => step === 'pg_restore: bytes') + 2;
    expect((await run(inTheMiddle, 'torn')).killed).toBe(true);
    await quiet();
    expect(await held()).toBe('neither');
    await goBack();
  });

  it('is the old database where the server is killed in the middle, and the next restore ends it', async () => {
    const crashing: ServiceBackup = {
      ...service,
      restore: (part, content, options) =>
        service.restore(part, part.name === 'kept' ? crashed(content) : content, options),
    };
    await expect(restoreBackup(store, { set: id, services: [crashing] })).rejects.toMatchObject({
      code: expect.stringMatching(/RESTORE_FAILED|PLACE_UNUSABLE/) as string,
    });
    await expect
      .poll(
        async () => (await docker.exec(server.container, ['pg_isready', '-q', '-h', '/run/devstack-backup'])).exitCode,
        {
          timeout: 60_000,
        },
      )
      .toBe(0);
    await quiet();
    expect(await held()).toBe('old');
    await restoreBackup(store, { set: id, services: [service] });
    expect(await held()).toBe('new');
    expect(await left()).toEqual([]);
  });
});

// How many there are depends on what the one before has left: so by name, too.
function momentsOf(steps: readonly string[]): readonly (number | string)[] {
  const kinds = [...new Set(steps)];
  if (rounds === 0) return kinds.filter((kind) => changing.test(kind));
  const numbers = steps.map((_, index) => index + 1).slice(0, -5);
  return [...numbers, ...Array.from({ length: rounds }, () => kinds).flat()];
}

async function* crashed(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let pieces = 0;
  for await (const piece of content) {
    yield piece;
    pieces += 1;
    if (pieces !== 1) continue;
    // A backend that is killed takes the whole server down, which starts again by itself.
    const sql = `SELECT pid FROM pg_stat_activity WHERE datname LIKE 'devstack-backup-new-%' LIMIT 1`;
    await expect.poll(() => psql(place, 'postgres', sql), { timeout: 20_000 }).not.toBe('');
    const pid = await psql(place, 'postgres', sql);
    await docker.exec(server.container, ['sh', '-c', 'kill -9 "$1"', 'sh', pid]);
  }
}
