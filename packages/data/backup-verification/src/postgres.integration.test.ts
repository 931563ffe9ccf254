import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBackupStore, type BackupStore } from '@devstack-core/backup-store';
import {
  postgresAdapter,
  rehearser,
  serializeFingerprint,
  type BackupPart,
  type PostgresPlace,
  type Rehearser,
  type Throwaway,
} from '@devstack-core/database-backup';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifySet, type VerificationReport } from './index.ts';

let folder: string;
let docker: DockerEngine;
let source: Throwaway<PostgresPlace>;
const labels = { 'io.devstack.test': `verification-${randomBytes(4).toString('hex')}` };
const passphrase = new Secret('a long enough passphrase for a verification');
const tool = { name: 'test', version: '1' };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-verification-'));
  docker = await connectDocker({ env: process.env });
  source = await postgresAdapter.throwaway({ docker, image: 'devstack/postgres:local', labels });
  await sql('postgres', 'CREATE DATABASE shop; CREATE ROLE clerk LOGIN;');
  await sql(
    'shop',
    `CREATE TABLE orders (id int PRIMARY KEY, what text, at timestamptz DEFAULT '2026-01-01');
     INSERT INTO orders SELECT i, repeat('ö' || i, 20) FROM generate_series(1, 5000) i;
     CREATE TABLE "Ünïcode" (x jsonb); INSERT INTO "Ünïcode" VALUES ('{"a": [1, null]}');
     CREATE VIEW recent AS SELECT * FROM orders; CREATE INDEX ON orders (what); GRANT SELECT ON orders TO clerk;`,
  );
}, 180_000);

afterAll(async () => {
  await source[Symbol.asyncDispose]();
  const left = await docker.listContainers({ all: true, labels });
  docker.close();
  await rm(folder, { recursive: true, force: true });
  expect(left).toEqual([]);
});

async function sql(database: string, text: string): Promise<void> {
  const { exitCode, stderr } = await docker.exec(
    source.container,
    ['psql', '-v', 'ON_ERROR_STOP=1', '--host', source.host ?? '', '--username', source.username, '--dbname', database],
    { stdin: text },
  );
  if (exitCode !== 0) throw new Error(stderr);
}

/** A set of the source as it is now. */
async function backUp(
  name: string,
  change: (part: BackupPart) => BackupPart = (part) => part,
): Promise<{ readonly store: BackupStore; readonly id: string }> {
  const store = openBackupStore({ directory: join(folder, name), passphrase, tool });
  await using draft = await store.create({ project: 'test', kind: 'full', encrypted: true });
  for await (const original of postgresAdapter.open(source)) {
    const part = change(original);
    const fingerprint = Buffer.from(serializeFingerprint(await part.fingerprint()));
    const about = { service: 'postgres', part: part.name, engine: part.engine };
    await draft.add({ ...about, kind: 'content', extension: part.extension, content: part.content() });
    await draft.add({ ...about, kind: 'fingerprint', extension: 'fingerprint.json', content: once(fingerprint) });
    const { fingerprint: _fingerprint, content: _content, ...description } = part;
    draft.part({ ...description, service: 'postgres', fingerprintDigest: draft.digestOf(fingerprint) });
  }
  const { id } = await draft.finish();
  return { store, id };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  yield bytes;
}

function verify(
  { store, id }: { readonly store: BackupStore; readonly id: string },
  engine: Rehearser = rehearser(postgresAdapter),
): Promise<VerificationReport> {
  return verifySet({ store, id, docker, rehearsers: [engine], labels });
}

const verdictsOf = ({ parts }: VerificationReport): Readonly<Record<string, string>> =>
  Object.fromEntries(parts.map(({ part, verdict, findings }) => [part, findings[0]?.class ?? verdict]));

describe('a set of a real PostgreSQL', () => {
  it('is proven by restoring it into the same image', async () => {
    const { store, id } = await backUp('whole');
    const report = await verify({ store, id });
    expect(verdictsOf(report)).toMatchObject({ globals: 'valid', shop: 'valid' });
    expect(report).toMatchObject({ verdict: 'valid', selfTest: 'passed', isRecorded: true });
    expect(report.engines).toMatchObject([{ service: 'postgres', engine: 'postgresql', image: { isSame: true } }]);
    expect(report.parts.find(({ part }) => part === 'shop')?.parsed).toMatch(/^PostgreSQL custom-format dump 1\.\d+/);
    const [entry] = await store.list();
    expect(entry).toMatchObject({ verifiedServices: ['postgres'], verified: { level: 3, verdict: 'valid' } });
    expect(await store.history()).toMatchObject([
      { event: 'create' },
      { event: 'verify', outcome: 'succeeded', level: 3 },
    ]);
  }, 180_000);

  it('is found out where a restore changes a row behind everybody’s back', async () => {
    const honest = rehearser(postgresAdapter);
    const broken: Rehearser = {
      ...honest,
      rehearse: async (options) => {
        const place = await postgresAdapter.throwaway(options);
        return {
          restore: async (part, content, restore) => {
            await postgresAdapter.restore(place, part, content, restore);
            if (part.name !== 'shop') return;
            await docker.exec(place.container, [
              'psql', '--host', place.host ?? '', '--username', place.username, '--dbname', 'shop',
              '--command', "UPDATE orders SET what = what || ' ' WHERE id = 4711",
            ]); // prettier-ignore
          },
          fingerprint: (part, restore) => postgresAdapter.fingerprint(place, part, restore),
          check: (part, restore) => postgresAdapter.check(place, part, restore),
          [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
        };
      },
    };
    const report = await verify(await backUp('tampered'), broken);
    expect(verdictsOf(report)).toMatchObject({ globals: 'valid', shop: 'content-differs' });
    const shop = report.parts.find(({ part }) => part === 'shop');
    expect(shop?.differences).toMatchObject([
      { name: expect.stringContaining('orders') as string, problem: 'content' },
    ]);
  }, 180_000);

  it('is told apart when a dump was cut off before it was encrypted, and when its file is damaged', async () => {
    const cut = await backUp('cut', (part) =>
      part.name === 'shop'
        ? { ...part, fingerprint: () => part.fingerprint(), content: () => half(part.content()) }
        : part,
    );
    expect(verdictsOf(await verify(cut))).toMatchObject({ shop: 'malformed' });
    const flipped = await backUp('flipped');
    const directory = join(folder, 'flipped', flipped.id);
    const [file = ''] = (await readdir(directory)).filter((name) => name.startsWith('postgres.shop.dump'));
    const bytes = await readFile(join(directory, file));
    bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
    await writeFile(join(directory, file), bytes);
    const report = await verify(flipped);
    expect(verdictsOf(report)).toMatchObject({ globals: 'valid', shop: 'corrupted' });
    expect(report.verdict).toBe('invalid');
  }, 240_000);

  it('is told apart from one with another passphrase', async () => {
    const { store, id } = await backUp('locked');
    const other = openBackupStore({
      directory: store.directory,
      passphrase: new Secret('this is quite another one, too'),
      tool,
    });
    const report = await verify({ store: other, id });
    expect(report).toMatchObject({ verdict: 'invalid', parts: [], findings: [{ class: 'wrong-passphrase' }] });
  }, 120_000);
});

async function* half(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  const whole = Buffer.concat(pieces);
  yield whole.subarray(0, whole.byteLength >> 1);
}
