import { readFile } from 'node:fs/promises';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watchProcesses } from '../../test/canary.ts';
import { chunked, dumpAll, first, type DumpedPart } from '../../test/parts.ts';
import { compareFingerprints, serializeFingerprint } from '../fingerprint.ts';
import type { Throwaway } from '../types.ts';
import { mariadbAdapter } from './adapter.ts';
import type { MariadbPlace } from './place.ts';
import { image, labels, run, startServer, type TestServer } from './testing/server.ts';

const name = 'awk ward-ü';
let docker: DockerEngine;
let source: TestServer;
let target: Throwaway<MariadbPlace>;
let parts: readonly DumpedPart[];

beforeAll(async () => {
  docker = await connectDocker();
  [source, target] = await Promise.all([startServer(docker), mariadbAdapter.throwaway({ docker, image, labels })]);
  await run(source.admin, await readFile(new URL('testing/awkward.sql', import.meta.url), 'utf8'));
});

afterAll(async () => {
  await target[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

describe('a server full of awkward data', () => {
  it('is dumped at one moment, each database after those that its views read, without a secret where others look', async () => {
    await using watch = watchProcesses(source.canary);
    parts = await dumpAll(mariadbAdapter, source);
    const { looks, found } = watch.stop();
    expect(found).toEqual([]);
    expect(looks).toBeGreaterThan(100);
    expect(parts.map(({ stored }) => [stored.name, stored.kind, stored.consistency])).toEqual([
      [name, 'mariadb-database', 'exact'],
      ['a_reader', 'mariadb-database', 'exact'],
      ['leer', 'mariadb-database', 'exact'],
      ['globals', 'mariadb-globals', 'exact'],
    ]);
    expect(new Set(parts.slice(0, 3).map(({ stored }) => stored.snapshotAt)).size).toBe(1);
    expect(parts[0]?.stored.engine.name).toBe('mariadb');
    expect(parts[0]?.stored.engine.version).toMatch(/^11\.8\.\d+$/);
    expect(parts[0]?.stored.consistencyReason).toBeUndefined();
    expect(parts[0]?.bytes.toString()).not.toContain(source.canary);
    // No credential file is left.
    expect((await docker.exec(source.container, ['ls', '-A', source.scratch])).stdout).toBe('');
  });

  it('the watch reports a secret that is in an argument', async () => {
    await using watch = watchProcesses(source.canary);
    await docker.exec(source.container, ['sh', '-c', 'sleep 0.5', source.canary]);
    expect(watch.stop().found).not.toEqual([]);
  });

  it('gives the same bytes and fingerprints again', async () => {
    const again = await dumpAll(mariadbAdapter, source);
    for (const [index, { bytes, fingerprint }] of parts.entries()) {
      expect(serializeFingerprint(again[index]?.fingerprint ?? fingerprint)).toBe(serializeFingerprint(fingerprint));
      expect(again[index]?.bytes.equals(bytes)).toBe(true);
    }
  });

  it('comes back whole in an empty server', async () => {
    for (const { stored, bytes } of parts) await mariadbAdapter.restore(target, stored, chunked(bytes, 1000));
    for (const { stored, fingerprint } of parts) {
      expect(compareFingerprints(fingerprint, await mariadbAdapter.fingerprint(target, stored))).toEqual([]);
      expect(await mariadbAdapter.check(target, stored)).toEqual([]);
    }
    expect(await databases(target)).toEqual([name, 'a_reader', 'leer']);
    // Counters go on where they were, and so do rows that a sequence numbers.
    expect(await run(target, `USE \`${name}\`; INSERT INTO counted_on VALUES (); SELECT * FROM counted_on`)).toBe(
      '500',
    );
    expect(await run(target, `USE \`${name}\`; SELECT count(*) FROM remembers FOR SYSTEM_TIME ALL`)).toBe('4');
  });

  it('comes back in place of what is there, and rows of others still refer to it', async () => {
    const { stored, bytes, fingerprint } = first(parts);
    await run(
      target,
      `USE \`${name}\`; DROP VIEW a_view; DROP TABLE found; CREATE TABLE surplus (i int); INSERT INTO parent VALUES (9); CREATE TRIGGER odd BEFORE INSERT ON surplus FOR EACH ROW SET @x = 1`,
    );
    expect(compareFingerprints(fingerprint, await mariadbAdapter.fingerprint(target, stored))).toEqual(
      expect.arrayContaining([
        { kind: 'view', name: 'a_view', problem: 'missing', expected: 1, actual: null },
        { kind: 'table', name: 'found', problem: 'missing', expected: 1, actual: null },
        { kind: 'table', name: 'surplus', problem: 'unexpected', expected: null, actual: 0 },
        { kind: 'trigger', name: 'odd', problem: 'unexpected', expected: null, actual: 1 },
        { kind: 'table', name: 'parent', problem: 'count', expected: 2, actual: 3 },
      ]),
    );
    await mariadbAdapter.restore(target, stored, chunked(bytes));
    expect(compareFingerprints(fingerprint, await mariadbAdapter.fingerprint(target, stored))).toEqual([]);
    expect(await run(target, 'SHOW CREATE TABLE a_reader.elsewhere')).toContain(`REFERENCES \`${name}\`.\`parent\``);
    await expect(run(target, 'INSERT INTO a_reader.elsewhere VALUES (2, 99)')).rejects.toThrow(/foreign key/);
    expect(await databases(target)).toEqual([name, 'a_reader', 'leer']);
  });

  it('loads by the hint of the recovery card alone', async () => {
    await using other = await mariadbAdapter.throwaway({ docker, image, labels });
    const { stored, bytes, fingerprint } = first(parts);
    expect(stored.restoreHint.join('\n')).toContain('mariadb --binary-mode < FILE');
    const { exitCode, stderr } = await docker.exec(
      other.container,
      ['mariadb', '--no-defaults', `--socket=${other.socket ?? ''}`, '--binary-mode'],
      { stdin: bytes },
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(compareFingerprints(fingerprint, await mariadbAdapter.fingerprint(other, stored))).toEqual([]);
  });
});

describe('a fingerprint', () => {
  const changes: readonly (readonly [string, string, object])[] = [
    [
      'one changed row',
      'UPDATE neighbours SET b = "d" WHERE a = "ab"',
      { kind: 'table', name: 'neighbours', problem: 'content' },
    ],
    [
      'characters that moved to the next column',
      'UPDATE neighbours SET a = "a", b = "bc" WHERE a = "ab"',
      { kind: 'table', name: 'neighbours', problem: 'content' },
    ],
    [
      'NULL instead of nothing',
      'UPDATE neighbours SET a = NULL WHERE a = "" AND b = ""',
      { kind: 'table', name: 'neighbours', problem: 'content' },
    ],
    ['a copy less', 'DELETE FROM copies WHERE v = 1 LIMIT 1', { kind: 'table', name: 'copies', problem: 'count' }],
    [
      'the last bit of a float',
      'UPDATE `tbl ``ü` SET f = 16777218 WHERE f + 0e0 = 16777216',
      { kind: 'table', name: 'tbl `ü', problem: 'content' },
    ],
    [
      'a byte in the middle of a blob',
      'UPDATE `tbl ``ü` SET lb = CONCAT(LEFT(lb, 500), 0x01, SUBSTR(lb, 502)) WHERE LENGTH(lb) > 1000',
      { kind: 'table', name: 'tbl `ü', problem: 'content' },
    ],
    ['a missing index', 'ALTER TABLE found DROP INDEX t', { kind: 'schema', name: 'found', problem: 'content' }],
    ['a lost history', 'DELETE HISTORY FROM remembers', { kind: 'table', name: 'remembers', problem: 'count' }],
    [
      'a counter',
      'ALTER TABLE counted_on AUTO_INCREMENT = 900',
      { kind: 'auto-increment', name: 'counted_on', problem: 'count' },
    ],
    ['a sequence', 'ALTER SEQUENCE sq RESTART WITH 5000', { kind: 'sequence-value', name: 'sq', problem: 'count' }],
    ['the order of triggers', 'DROP TRIGGER first_one', { kind: 'trigger', name: 'first_one', problem: 'missing' }],
    [
      'the body of a function',
      'DROP FUNCTION fn; CREATE FUNCTION fn(a int) RETURNS int DETERMINISTIC RETURN a * 3',
      { kind: 'function', name: 'fn', problem: 'content' },
    ],
    ['an event', 'ALTER EVENT ev ENABLE', { kind: 'event', name: 'ev', problem: 'content' }],
    [
      "the database's own collation",
      `ALTER DATABASE \`${name}\` COLLATE latin1_bin`,
      { kind: 'database', name, problem: 'content' },
    ],
  ];

  it.each(changes)('tells %s', async (_, statement, difference) => {
    const { stored, bytes, fingerprint } = first(parts);
    await run(target, `SET sql_mode = ''; USE \`${name}\`; ${statement}`);
    expect(compareFingerprints(fingerprint, await mariadbAdapter.fingerprint(target, stored))).toContainEqual(
      expect.objectContaining(difference),
    );
    await mariadbAdapter.restore(target, stored, chunked(bytes));
    expect(compareFingerprints(fingerprint, await mariadbAdapter.fingerprint(target, stored))).toEqual([]);
  });

  it.each([
    ['a right', 'REVOKE INSERT ON `awk ward-ü`.* FROM app', { kind: 'user', name: 'app@%', problem: 'content' }],
    ['a role', 'DROP ROLE sub', { kind: 'role', name: 'sub', problem: 'missing' }],
    ['another user', 'CREATE USER intruder', { kind: 'user', name: 'intruder@%', problem: 'unexpected' }],
  ])('tells %s of an account', async (_, statement, difference) => {
    const globals = parts.at(-1);
    if (globals === undefined) throw new Error('no globals');
    await run(target, statement);
    expect(
      compareFingerprints(globals.fingerprint, await mariadbAdapter.fingerprint(target, globals.stored)),
    ).toContainEqual(expect.objectContaining(difference));
    await mariadbAdapter.restore(target, globals.stored, chunked(globals.bytes));
    expect(compareFingerprints(globals.fingerprint, await mariadbAdapter.fingerprint(target, globals.stored))).toEqual(
      [],
    );
  });
});

describe('accounts', () => {
  it('come back but for the passwords of those that are there', async () => {
    await using server = await startServer(docker);
    await run(
      server.admin,
      "CREATE USER app@localhost IDENTIFIED BY 'app'; CREATE USER gone@localhost IDENTIFIED BY 'gone'",
    );
    const [globals] = (await dumpAll(mariadbAdapter, { ...server, databases: [] })).filter(
      ({ stored }) => stored.isSecret,
    );
    if (globals === undefined) throw new Error('no globals');
    expect(globals.bytes.toString()).toContain('keeper@localhost');
    await run(
      server.admin,
      "SET PASSWORD FOR keeper@localhost = PASSWORD('new'); SET PASSWORD FOR app@localhost = PASSWORD('new'); DROP USER gone@localhost; CREATE USER later",
    );
    const now = { ...server, password: new Secret('new') };
    await mariadbAdapter.restore(now, globals.stored, chunked(globals.bytes));
    expect(compareFingerprints(globals.fingerprint, await mariadbAdapter.fingerprint(now, globals.stored))).toEqual([
      { kind: 'password', name: 'app@localhost', problem: 'content', expected: 1, actual: 1 },
      { kind: 'password', name: 'keeper@localhost', problem: 'content', expected: 1, actual: 1 },
    ]);
    // Half of them are none of them.
    await expect(
      mariadbAdapter.restore(now, globals.stored, chunked(globals.bytes.subarray(0, -1))),
    ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    expect(await run(server.admin, "SELECT count(*) FROM mysql.user WHERE user = 'keeper'")).toBe('1');
  });
});

describe('checks', () => {
  it('find rows without a parent, views of nothing and a damaged table', async () => {
    await using server = await startServer(docker);
    await run(
      server.admin,
      `CREATE DATABASE bad; USE bad; CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE c (id int PRIMARY KEY, a int, b int, CONSTRAINT pair FOREIGN KEY (a, b) REFERENCES p (a, b));
       SET foreign_key_checks = 0; INSERT INTO c VALUES (1, 5, 5), (2, NULL, 5), (3, 5, NULL); CREATE TABLE gone (i int); CREATE VIEW broken AS SELECT * FROM gone; DROP TABLE gone;
       CREATE TABLE m (i int) ENGINE=MyISAM; INSERT INTO m VALUES (1), (2); FLUSH TABLES`,
    );
    await docker.exec(server.container, ['sh', '-c', 'printf xxxx > "${DEVSTACK_DATA:-/tmp}"/throwaway/bad/m.MYI']);
    const part = { ...first(parts).stored, name: 'bad' };
    expect(await mariadbAdapter.check(server, part)).toEqual([
      expect.stringMatching(/^Table bad\.m: .+\.$/),
      'Foreign key pair of table c: 1 rows have no row in bad.p.',
      expect.stringMatching(/^View broken: .*gone.*\.$/),
    ]);
  });
});

async function databases(place: MariadbPlace): Promise<readonly string[]> {
  const rows = await run(
    place,
    "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1",
  );
  return rows.split('\n');
}
