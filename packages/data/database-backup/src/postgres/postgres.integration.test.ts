import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareFingerprints } from '../fingerprint.ts';
import type { BackupPart, Fingerprint, StoredPart, Throwaway } from '../types.ts';
import { postgresAdapter } from './adapter.ts';
import { readPostgresArchive } from './archive-stream.ts';
import { postgresDatabasePart } from './database-part.ts';
import { dumpPostgresDatabase } from './dump.ts';
import type { PostgresPlace } from './place.ts';
import { restorePostgresDatabase } from './restore.ts';
import { openSession, type Row } from './session.ts';
import { holdSnapshot } from './snapshot.ts';
import { image, labels, makeAwkward, oddDatabase, run, startServer, type TestServer } from './testing/server.ts';

interface Kept {
  readonly part: StoredPart;
  readonly fingerprint: Fingerprint;
  readonly content: Buffer;
}

let docker: DockerEngine;
let source: TestServer;
let target: Throwaway<PostgresPlace>;
const kept = new Map<string, Kept>();

beforeAll(async () => {
  docker = await connectDocker();
  source = await startServer(docker);
  target = await postgresAdapter.throwaway({ docker, image, labels });
  await makeAwkward(source);
  await run(source, 'postgres', `CREATE DATABASE other; CREATE DATABASE forgejo`);
});

afterAll(async () => {
  await target[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

describe('a backup and its restore elsewhere', () => {
  it('gives roles first and then each database but those that others own', async () => {
    for await (const part of postgresAdapter.open({ ...source, excludeDatabases: ['forgejo'] }))
      kept.set(part.name, await keep(part));
    expect([...kept.keys()]).toEqual(['globals', oddDatabase, 'other', 'postgres', 'template1']);
    expect([...kept.values()].map(({ part }) => part.consistency)).toEqual(Array(5).fill('exact'));
    expect(kept.get('globals')?.part.isSecret).toBe(true);
    expect(JSON.stringify([...kept.values()].map(({ part }) => part))).not.toContain('SCRAM');
  });

  it('brings back every row, object, privilege and sequence, and finds the restored sound', async () => {
    for (const { part, content, fingerprint } of kept.values()) {
      await postgresAdapter.restore(target, part, pieces(content));
      expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part)), part.name).toEqual([]);
      expect(await postgresAdapter.check(target, part), part.name).toEqual([]);
    }
    expect(kept.get(oddDatabase)?.fingerprint.items.length).toBeGreaterThan(150);
  });

  it('brings roles back with the passwords that they had', async () => {
    const verifiers = `SELECT rolname AS name, rolpassword AS verifier FROM pg_authid WHERE oid >= 16384 ORDER BY rolname`;
    const expected = await ask(source, 'postgres', verifiers);
    expect(expected.filter(({ verifier }) => verifier !== null).length).toBeGreaterThan(2);
    const found = await ask(target, 'postgres', verifiers);
    expect(found.filter(({ name }) => name !== 'devstack')).toEqual(expected);
  });

  it('takes a second restore of the same over the first', async () => {
    const sessions = await openSession(target, oddDatabase, { purpose: 'restore' });
    for (const name of ['globals', oddDatabase, 'postgres', 'template1']) {
      const { part, content, fingerprint } = get(name);
      await postgresAdapter.restore(target, part, pieces(content));
      expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part)), name).toEqual([]);
    }
    await expect(sessions.query('SELECT 1 AS one')).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await sessions[Symbol.asyncDispose]();
    expect(await leftovers(target)).toEqual([]);
  });

  it('keeps the password of a role that is there, and gives it its settings back', async () => {
    await run(
      target,
      'postgres',
      `ALTER ROLE app PASSWORD 'of the place'; ALTER ROLE app SET work_mem = '1MB'; ALTER ROLE app NOCREATEDB`,
    );
    const [before] = await ask(
      target,
      'postgres',
      `SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = 'app'`,
    );
    const { part, content, fingerprint } = get('globals');
    expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part))).toEqual([
      { kind: 'role', name: 'app', problem: 'content', expected: 1, actual: 1 },
    ]);
    await postgresAdapter.restore(target, part, pieces(content));
    expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part))).toEqual([]);
    expect(
      await ask(target, 'postgres', `SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = 'app'`),
    ).toEqual([before]);
  });

  it('leaves an archive that readers of half an archive refuse', async () => {
    const { content } = get(oddDatabase);
    const head = await readPostgresArchive(pieces(content));
    expect(head.database).toBe(oddDatabase);
    for (const damaged of [
      content.subarray(0, 100),
      content.subarray(0, content.length / 2),
      content.subarray(0, -1),
      Buffer.concat([content, Buffer.alloc(3)]),
    ])
      await expect(readPostgresArchive(pieces(damaged))).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
  });
});

describe('a difference is reported', () => {
  it.each([
    [
      'one changed row',
      `UPDATE searched SET tags = ARRAY['other'] WHERE id = 77`,
      `UPDATE searched SET tags = ARRAY['t0'] WHERE id = 77`,
      'table',
      'public.searched',
    ],
    [
      'one row more',
      `INSERT INTO loose VALUES (NULL)`,
      `DELETE FROM loose WHERE code IS NULL`,
      'table',
      'public.loose',
    ],
    [
      'a number in its last digit',
      `UPDATE types SET d = 'NaN' WHERE d = 'Infinity'`,
      `UPDATE types SET d = 'Infinity' WHERE d = 'NaN'`,
      'table',
      'public.types',
    ],
    [
      'one missing index',
      `DROP INDEX searched_lower`,
      `CREATE UNIQUE INDEX searched_lower ON searched (lower(name) text_pattern_ops) WHERE id > 10`,
      'index',
      'public.searched_lower',
    ],
    ['one altered sequence', `SELECT nextval('fresh')`, `SELECT setval('fresh', 1, false)`, 'sequence', 'public.fresh'],
    [
      'a byte of a large object',
      `SELECT lo_put(5001, 17, '\\x11')`,
      `SELECT lo_put(5001, 17, '\\xff')`,
      'large objects',
      'all',
    ],
    [
      'a privilege that is gone',
      `REVOKE SELECT (id) ON searched FROM auditors`,
      `GRANT SELECT (id) ON searched TO auditors`,
      'structure',
      'public.searched',
    ],
    [
      'another default',
      `ALTER TABLE "empty table" ALTER "select" SET DEFAULT 'x'`,
      `ALTER TABLE "empty table" ALTER "select" SET DEFAULT E'a\\\\b''c'`,
      'structure',
      'public."empty table"',
    ],
    [
      'a trigger that is awake',
      `ALTER TABLE searched ENABLE TRIGGER sleeping`,
      `ALTER TABLE searched DISABLE TRIGGER sleeping`,
      'trigger',
      'public.searched sleeping',
    ],
    [
      'another policy',
      `ALTER POLICY own ON searched USING (id < 101)`,
      `ALTER POLICY own ON searched USING (name = current_user OR id < 100)`,
      'policy',
      'public.searched own',
    ],
    [
      'another limit in a check',
      `ALTER TABLE chicken DROP CONSTRAINT span, ADD CONSTRAINT span CHECK (egg BETWEEN 0 AND 101 OR egg IS NULL)`,
      `ALTER TABLE chicken DROP CONSTRAINT span, ADD CONSTRAINT span CHECK (egg BETWEEN 0 AND 100 OR egg IS NULL)`,
      'constraint',
      'public.chicken span',
    ],
    [
      'another comment',
      `COMMENT ON SCHEMA "ünïcødé ☃" IS 'x'`,
      `COMMENT ON SCHEMA "ünïcødé ☃" IS 'Schnee'`,
      'comment',
      'schema ünïcødé ☃',
    ],
    [
      'a setting of the database',
      `ALTER DATABASE "Odd DB ☃ 'x' ""y"" =z" SET work_mem = '7MB'`,
      `ALTER DATABASE "Odd DB ☃ 'x' ""y"" =z" SET work_mem = '9MB'`,
      'database',
      'properties',
    ],
  ])('%s', async (_what, change, back, kind, name) => {
    const { part, fingerprint } = get(oddDatabase);
    await run(target, oddDatabase, change);
    const differences = compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part));
    await run(target, oddDatabase, back);
    expect(differences).toEqual([expect.objectContaining({ kind, name })]);
    expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part))).toEqual([]);
  });

  it('a row that breaks its foreign key or check, and an index without its row', async () => {
    const { part } = get(oddDatabase);
    await run(target, oddDatabase, `SET session_replication_role = replica; DELETE FROM egg WHERE id = 3`);
    expect(await postgresAdapter.check(target, part)).toEqual([
      expect.stringMatching(/table public\.chicken breaks its constraint chicken_egg_fkey \(SQLSTATE 23503\)/),
    ]);
    await run(target, oddDatabase, `SET session_replication_role = replica; INSERT INTO egg VALUES (3, 3, 'c3')`);
    expect(await postgresAdapter.check(target, part)).toEqual([]);
    // The index is told that it has everything, and has nothing.
    await run(
      target,
      oddDatabase,
      `CREATE TABLE holed (id int); INSERT INTO holed SELECT generate_series(1, 1000); CREATE INDEX holed_id ON holed (id);
       UPDATE pg_catalog.pg_index SET indisready = false, indislive = false WHERE indexrelid = 'holed_id'::regclass; INSERT INTO holed VALUES (2000);
       UPDATE pg_catalog.pg_index SET indisready = true, indislive = true WHERE indexrelid = 'holed_id'::regclass`,
    );
    expect(await postgresAdapter.check(target, part)).toEqual([expect.stringContaining('holed_id')]);
    await run(target, oddDatabase, `DROP TABLE holed`);
  });
});

describe('a database that is at work', () => {
  it('is dumped as of one moment, sequences as the dump has them', async () => {
    await run(source, 'other', `CREATE TABLE busy (id bigserial PRIMARY KEY, t text)`);
    await using writer = await openSession(source, 'other', { purpose: 'restore' });
    const over = new AbortController();
    const writing = (async () => {
      while (!over.signal.aborted) await writer.run(`INSERT INTO public.busy (t) VALUES ('x')`);
    })();
    await using snapshot = await holdSnapshot(source, 'other');
    await using part = await postgresDatabasePart(source, snapshot);
    const { content, fingerprint, part: stored } = await keep(part);
    over.abort();
    await writing;
    await postgresAdapter.restore(target, stored, pieces(content));
    expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, stored))).toEqual([]);
    // Control: the source itself has gone on.
    expect(
      compareFingerprints(fingerprint, await postgresAdapter.fingerprint(source, stored)).map(({ kind }) => kind),
    ).toContain('table');
  });

  it('keeps its structure until the dump is through, and may be written to', async () => {
    const snapshot = await holdSnapshot(source, 'other');
    await expect(
      run(source, 'other', `SET lock_timeout = '200ms'; ALTER TABLE busy ADD COLUMN more int`),
    ).rejects.toMatchObject({ details: { sqlState: '55P03' } });
    await run(source, 'other', `INSERT INTO busy (t) VALUES ('while it was held')`);
    await run(source, 'other', `CREATE TABLE late (i int)`);
    const names = (await snapshot.query(`SELECT relname AS name FROM pg_class WHERE relname IN ('busy', 'late')`)).map(
      (row) => row['name'],
    );
    await snapshot[Symbol.asyncDispose]();
    expect(names).toEqual(['busy']);
    await run(source, 'other', `SET lock_timeout = '200ms'; ALTER TABLE busy ADD COLUMN more int; DROP TABLE late`);
  });

  it('waits with its writers where that is asked for', async () => {
    await using snapshot = await holdSnapshot(source, 'other', { lock: 'share' });
    expect(snapshot.takenAt).toMatch(/^\d{4}-\d\d-\d\dT/);
    await expect(
      run(source, 'other', `SET lock_timeout = '200ms'; INSERT INTO busy (t) VALUES ('x')`),
    ).rejects.toMatchObject({ details: { sqlState: '55P03' } });
  });

  it('whose tables are locked is not waited for forever', async () => {
    await using locker = await openSession(source, 'other', { purpose: 'restore' });
    await locker.run('BEGIN; LOCK TABLE public.busy IN ACCESS EXCLUSIVE MODE');
    await expect(holdSnapshot(source, 'other', { lockTimeoutMs: 300 })).rejects.toMatchObject({
      code: 'DUMP_FAILED',
      message: expect.stringContaining('lock timeout') as string,
    });
  });
});

describe('a restore that fails', () => {
  it.each([
    ['is cut in half', (content: Buffer) => content.subarray(0, content.length / 2)],
    ['lacks its last byte', (content: Buffer) => content.subarray(0, -1)],
    ['has more at its end', (content: Buffer) => Buffer.concat([content, Buffer.from('more')])],
    ['is something else', () => Buffer.from('-- PostgreSQL database dump')],
    ['breaks a key', (content: Buffer) => replaced(content, '\\.\n\n\n', '\\.\n\n\n', 'c7\n', 'c8\n')],
  ])('as its dump %s leaves what was there', async (_what, damage) => {
    const { part, content, fingerprint } = get(oddDatabase);
    const error: unknown = await postgresAdapter.restore(target, part, pieces(damage(content))).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'RESTORE_FAILED' });
    // What is in a row is in no message.
    expect(JSON.stringify(error)).not.toContain('Key (');
    expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part))).toEqual([]);
    expect(await leftovers(target)).toEqual([]);
  });

  it('as its source breaks off, or the new one is not proven, leaves what was there', async () => {
    const { part, content, fingerprint } = get(oddDatabase);
    const broken = (async function* () {
      yield content.subarray(0, 100_000);
      await Promise.resolve();
      throw new Error('the disk went away');
    })();
    await expect(postgresAdapter.restore(target, part, broken)).rejects.toThrow('the disk went away');
    let name = '';
    const prove = (temporary: string): Promise<void> => {
      name = temporary;
      return Promise.reject(new Error('not what it should be'));
    };
    await expect(restorePostgresDatabase(target, oddDatabase, pieces(content), { prove })).rejects.toThrow(
      'not what it should be',
    );
    expect(name).toMatch(/^devstack-backup-new-/);
    expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part))).toEqual([]);
    expect(await leftovers(target)).toEqual([]);
  });

  it('and was killed is swept by the next', async () => {
    await run(target, 'postgres', `CREATE DATABASE "devstack-backup-new-0123456789ab"`);
    const { part, content } = get('other');
    await postgresAdapter.restore(target, part, pieces(content));
    expect(await leftovers(target)).toEqual([]);
  });

  it('of roles changes none of them', async () => {
    const { part, content, fingerprint } = get('globals');
    const script = content.toString('utf8');
    const broken = script.replace(
      '-- Role memberships',
      'CREATE ROLE half; GRANT nobody_of_that_name TO app;\n-- Role memberships',
    );
    expect(broken).not.toBe(script);
    await expect(postgresAdapter.restore(target, part, pieces(Buffer.from(broken)))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    await expect(postgresAdapter.restore(target, part, pieces(content.subarray(0, -60)))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    expect(compareFingerprints(fingerprint, await postgresAdapter.fingerprint(target, part))).toEqual([]);
  });

  it('as it is for another engine', async () => {
    const { part } = get('other');
    const foreign = { ...part, engine: { ...part.engine, name: 'mariadb' } };
    await expect(postgresAdapter.restore(target, foreign, pieces(Buffer.alloc(1)))).rejects.toMatchObject({
      code: 'ENGINE_MISMATCH',
    });
    const { content } = get('other');
    const newer = replaced(content, '17.', '18.');
    await expect(postgresAdapter.restore(target, part, pieces(newer))).rejects.toMatchObject({
      code: 'ENGINE_MISMATCH',
    });
  });
});

describe('a place that cannot be used', () => {
  it('as the password is wrong is told so, without the password', async () => {
    const wrong = { ...source, password: secret('wrong-canary-password') };
    const error: unknown = await collectParts(wrong).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({
      code: 'PLACE_UNUSABLE',
      message: expect.stringContaining('password authentication failed') as string,
    });
    expect(JSON.stringify(error)).not.toContain('wrong-canary');
    expect(await credentialFiles(source)).toEqual([]);
  });

  it('as a database is not there is told so', async () => {
    await expect(collectParts({ ...source, databases: ['not there'] })).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    await expect(collect(dumpPostgresDatabase(source, 'not there'))).rejects.toMatchObject({ code: 'PLACE_UNUSABLE' });
  });
});

function get(name: string): Kept {
  const found = kept.get(name);
  if (found === undefined) throw new Error(`no part ${name}`);
  return found;
}

async function keep(part: BackupPart): Promise<Kept> {
  const fingerprint = await part.fingerprint();
  const content = await collect(part.content());
  const { fingerprint: _asked, content: _read, ...description } = part;
  return { part: { ...description, service: 'postgres' }, fingerprint, content };
}

async function collectParts(place: PostgresPlace): Promise<void> {
  for await (const part of postgresAdapter.open(place)) await keep(part);
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// Cut at odd places, as it comes out of a decryption.
async function* pieces(content: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  for (let at = 0, size = 1; at < content.length; at += size, size = Math.min(size * 3, 65_521))
    yield content.subarray(at, at + size);
}

// Of the same length, so that only the content differs.
function replaced(content: Buffer, ...pairs: readonly string[]): Buffer {
  const copy = Buffer.from(content);
  for (let index = 0; index < pairs.length; index += 2) {
    const at = copy.indexOf(pairs[index] ?? '');
    if (at < 0) throw new Error(`there is no ${String(pairs[index])} in it`);
    copy.write(pairs[index + 1] ?? '', at, 'utf8');
  }
  return copy;
}

async function ask(place: PostgresPlace, database: string, sql: string): Promise<readonly Row[]> {
  await using session = await openSession(place, database, { purpose: 'restore' });
  return await session.query(sql);
}

async function leftovers(place: PostgresPlace): Promise<readonly Row[]> {
  return ask(place, 'postgres', `SELECT datname FROM pg_database WHERE datname LIKE 'devstack-backup%'`);
}

async function credentialFiles(place: PostgresPlace): Promise<readonly string[]> {
  const { stdout } = await docker.exec(place.container, ['ls', '-A', place.scratch]);
  return stdout.split('\n').filter((name) => name !== '');
}
