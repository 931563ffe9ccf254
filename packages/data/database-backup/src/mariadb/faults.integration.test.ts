import { setTimeout as delay } from 'node:timers/promises';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dyingDocker, type DyingDocker } from '../../test/dying-docker.ts';
import { chunked, collect, dumpAll, first, storedPart, type DumpedPart } from '../../test/parts.ts';
import { compareFingerprints, serializeFingerprint } from '../fingerprint.ts';
import type { BackupPart, Throwaway } from '../types.ts';
import { mariadbAdapter } from './adapter.ts';
import type { MariadbPlace } from './place.ts';
import { image, labels, run, startServer, type TestServer } from './testing/server.ts';

// Once each; a soak asks for every step, and several times.
const rounds = Number(process.env['DEVSTACK_KILL_ROUNDS'] ?? '1');
const isSoak = process.env['DEVSTACK_KILL_ROUNDS'] !== undefined;

let docker: DockerEngine;
let source: TestServer;
let target: Throwaway<MariadbPlace>;
/** May read everything and lock nothing. */
let weak: MariadbPlace;

beforeAll(async () => {
  docker = await connectDocker();
  [source, target] = await Promise.all([startServer(docker), mariadbAdapter.throwaway({ docker, image, labels })]);
  await run(
    source.admin,
    `CREATE USER weak@localhost IDENTIFIED BY 'weak'; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, PROCESS ON *.* TO weak@localhost;
     CREATE DATABASE bank; CREATE DATABASE shop; USE bank;
     CREATE TABLE a (id int PRIMARY KEY, v bigint); INSERT INTO a SELECT seq, 0 FROM seq_1_to_100;
     CREATE TABLE log (id int AUTO_INCREMENT PRIMARY KEY, r double, f float);
     CREATE TABLE old_log (id int AUTO_INCREMENT PRIMARY KEY, r double) ENGINE=MyISAM;
     CREATE SEQUENCE sq CACHE 5;
     CREATE TABLE shop.b (id int PRIMARY KEY, v bigint); INSERT INTO shop.b SELECT seq, 0 FROM seq_1_to_100;
     CREATE TABLE shop.flag (go int); INSERT INTO shop.flag VALUES (1);
     DELIMITER //
     CREATE PROCEDURE shop.write() BEGIN
       WHILE (SELECT go FROM shop.flag) = 1 DO
         START TRANSACTION;
         SET @id = 1 + FLOOR(RAND() * 100);
         UPDATE bank.a SET v = v + 1 WHERE id = @id;
         INSERT INTO bank.log (r, f) VALUES (RAND(), RAND());
         UPDATE shop.b SET v = v - 1 WHERE id = @id;
         COMMIT;
         INSERT INTO bank.old_log (r) VALUES (RAND());
         DO NEXTVAL(bank.sq);
       END WHILE;
     END//
     DELIMITER ;
     CREATE DATABASE large; USE large;
     CREATE TABLE a_first (id int PRIMARY KEY, t longtext); INSERT INTO a_first SELECT seq, REPEAT(MD5(seq), 200) FROM seq_1_to_3000;
     CREATE TABLE b_second (id int PRIMARY KEY, t text); INSERT INTO b_second SELECT seq, MD5(seq) FROM seq_1_to_100;
     CREATE VIEW seen AS SELECT 1 AS one`,
  );
  weak = { ...source, username: 'weak', password: new Secret('weak') };
});

afterAll(async () => {
  await target[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

describe('writers at full speed', () => {
  it('do not come between dump and fingerprint, in one database or across two', { timeout: 300_000 }, async () => {
    await withWriters(async (written) => {
      for (let round = 0; round < rounds; round += 1) {
        const before = await written();
        const parts = await dumpAll(mariadbAdapter, { ...source, databases: ['bank', 'shop'] });
        expect(await written()).toBeGreaterThan(before + 50);
        expect(parts.map(({ stored }) => [stored.name, stored.consistency])).toEqual([
          ['bank', 'exact'],
          ['shop', 'exact'],
          ['globals', 'exact'],
        ]);
        for (const part of parts.slice(0, 2)) expect(await differences(part)).toEqual([]);
        // What was moved from one database to the other is in exactly one of them.
        expect(await run(target, 'SELECT (SELECT SUM(v) FROM bank.a) + (SELECT SUM(v) FROM shop.b)')).toBe('0');
        expect(Number(await run(target, 'SELECT COUNT(*) FROM bank.log'))).toBeGreaterThan(0);
      }
    });
  });

  it(
    'do come between where the server refuses to hold them back, and the part says so',
    { timeout: 300_000 },
    async () => {
      await withWriters(async () => {
        const found: object[] = [];
        for (let round = 0; round < 10 && found.length === 0; round += 1) {
          const { password, username } = weak;
          const parts = await dumpAll(
            { ...mariadbAdapter, open: (place, options) => withoutAccounts(place, options) },
            { ...source, username, password, databases: ['bank', 'shop'] },
          );
          for (const part of parts) {
            expect(part.stored.consistency).toBe('approximate');
            expect(part.stored.consistencyReason).toMatch(/could not be held back|could not be locked/);
            found.push(...(await differences(part)));
          }
        }
        expect(found).not.toEqual([]);
      });
    },
  );
});

describe('a dump', () => {
  it(
    'that waits longer than the server is patient goes on, and the server is as patient as before',
    { timeout: 120_000 },
    async () => {
      await run(source.admin, 'SET GLOBAL net_write_timeout = 1');
      try {
        for await (const part of mariadbAdapter.open({ ...source, databases: ['large'] })) {
          await delay(2000);
          expect((await collect(part.content())).length).toBeGreaterThan(part.isSecret === true ? 0 : 19_000_000);
        }
        expect(await run(source.admin, 'SELECT @@GLOBAL.net_write_timeout')).toBe('1');
        // The control: whoever may not ask for patience has none.
        for await (const part of mariadbAdapter.open({ ...weak, databases: ['large'] })) {
          await delay(2000);
          await expect(collect(part.content())).rejects.toMatchObject({ code: 'DUMP_FAILED' });
          break;
        }
      } finally {
        await run(source.admin, 'SET GLOBAL net_write_timeout = 60');
      }
    },
  );

  it.each([
    [
      'a table that is still to come',
      'ALTER TABLE large.b_second ADD extra int',
      'ALTER TABLE large.b_second DROP extra',
    ],
    ['a table that was not there', 'CREATE TABLE large.z_new (i int)', 'DROP TABLE large.z_new'],
    [
      'a view',
      'CREATE OR REPLACE VIEW large.seen AS SELECT 2 AS two',
      'CREATE OR REPLACE VIEW large.seen AS SELECT 1 AS one',
    ],
    [
      'a trigger',
      'CREATE TRIGGER large.t BEFORE INSERT ON large.b_second FOR EACH ROW SET @x = 1',
      'DROP TRIGGER large.t',
    ],
  ])('fails when %s is changed while it is at work', async (_, change, undo) => {
    for await (const part of mariadbAdapter.open({ ...source, databases: ['large'] })) {
      if (part.isSecret === true) continue;
      const content = part.content()[Symbol.asyncIterator]();
      await content.next();
      // Nobody has to wait for the dump to change something.
      await run(source.admin, `SET lock_wait_timeout = 5; ${change}`);
      await expect(exhaust(content)).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    }
    await run(source.admin, undo);
  });

  it('says who cannot log in, and no password', async () => {
    const wrong = { ...source, password: new Secret('wrong-one') };
    const error: unknown = await collectAll(wrong).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'PLACE_UNUSABLE',
      message: expect.stringContaining('Access denied') as unknown,
    });
    expect(JSON.stringify(error)).not.toContain('wrong-one');
    expect((await docker.exec(source.container, ['ls', '-A', source.scratch])).stdout).toBe('');
  });

  it('says which database is not there', async () => {
    await expect(collectAll({ ...source, databases: ['nowhere'] })).rejects.toMatchObject({
      code: 'DUMP_FAILED',
      message: 'There is no database "nowhere".',
    });
  });

  it('ends when it is aborted', async () => {
    const stop = new AbortController();
    const reading = (async () => {
      for await (const part of mariadbAdapter.open({ ...source, databases: ['large'] }, { signal: stop.signal }))
        for await (const _ of part.content()) stop.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it.each(isSoak ? ['begun', 'read to its middle'] : ['read to its middle'])(
    'that is cut off when it has %s leaves no program behind',
    { timeout: 120_000 },
    async (when) => {
      const dying = dyingDocker(docker, 10_000);
      for await (const part of mariadbAdapter.open({ ...source, docker: dying.docker, databases: ['large'] })) {
        if (when !== 'begun') await part.content()[Symbol.asyncIterator]().next();
        // The control: there are some.
        expect(await programs()).toContain('mariadb-dump');
        dying.die();
        break;
      }
      await expect.poll(programs, { timeout: 45_000 }).toEqual([]);
      expect(await run(source.admin, 'SELECT COUNT(*) FROM information_schema.INNODB_TRX')).toBe('0');
    },
  );
});

describe('a restore', () => {
  let old: DumpedPart;
  let next: DumpedPart;

  beforeAll(async () => {
    const make = async (sql: string): Promise<DumpedPart> => {
      await run(
        source.admin,
        `DROP DATABASE IF EXISTS kept; CREATE DATABASE kept COLLATE utf8mb4_bin; USE kept; ${sql}`,
      );
      return first(await dumpAll(mariadbAdapter, { ...source, databases: ['kept'] }));
    };
    old = await make(
      'CREATE SEQUENCE s1; CREATE TABLE t (id int DEFAULT nextval(s1) PRIMARY KEY); INSERT INTO t VALUES (), (); CREATE TABLE only_old (i int); CREATE VIEW v AS SELECT id FROM t; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @x = 1; CREATE FUNCTION f() RETURNS int RETURN 1',
    );
    next = await make(
      'CREATE SEQUENCE s2; CREATE TABLE t (id int DEFAULT nextval(s2) PRIMARY KEY, other text); INSERT INTO t (other) VALUES ("x"), ("y"), ("z"); CREATE VIEW v AS SELECT other FROM t; CREATE VIEW w AS SELECT * FROM v; CREATE FUNCTION f() RETURNS int RETURN 2',
    );
    await mariadbAdapter.restore(target, old.stored, chunked(old.bytes));
  });

  it.each([
    ['half of it', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['all but its last byte', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['nothing', () => Buffer.alloc(0)],
    ['something else', () => Buffer.from('CREATE TABLE only_old2 (i int);\n'.repeat(5000))],
    ['a statement that the server refuses', (bytes: Buffer) => replaced(bytes, 'INSERT INTO `t`', 'INSERT INTO `q`')],
    ['a view that the server refuses', (bytes: Buffer) => replaced(bytes, 'from `v`', 'from `u`')],
    ['more after its end', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x\n')])],
  ])('of %s leaves what there was', async (_, damage) => {
    await expect(mariadbAdapter.restore(target, next.stored, chunked(damage(next.bytes), 100))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    expect(await differencesNow(old)).toEqual([]);
    expect(await workDatabases()).toBe('');
  });

  it.each([
    ['half of it', () => next.bytes.subarray(0, next.bytes.length / 2)],
    ['a view that the server refuses', () => replaced(next.bytes, 'from `v`', 'from `u`')],
  ])('of %s leaves nothing where there was nothing', async (_, damaged) => {
    await run(target, 'DROP DATABASE IF EXISTS kept');
    await expect(mariadbAdapter.restore(target, next.stored, chunked(damaged()))).rejects.toThrow();
    expect(await run(target, "SHOW DATABASES LIKE 'kept'")).toBe('');
  });

  it('passes on why its source failed, and leaves what there was', async () => {
    await mariadbAdapter.restore(target, old.stored, chunked(old.bytes));
    async function* failing(): AsyncGenerator<Uint8Array, void, undefined> {
      yield* chunked(next.bytes.subarray(0, -10));
      throw new Error('the artifact is damaged');
    }
    await expect(mariadbAdapter.restore(target, next.stored, failing())).rejects.toThrow('the artifact is damaged');
    expect(await differencesNow(old)).toEqual([]);
  });

  it('that is aborted leaves what there was', async () => {
    await mariadbAdapter.restore(target, old.stored, chunked(old.bytes));
    const stop = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array, void, undefined> {
      yield* chunked(next.bytes.subarray(0, 2000));
      stop.abort();
      // Nothing more comes, and nobody is kept waiting for it.
      await delay(1000);
    }
    await expect(mariadbAdapter.restore(target, next.stored, endless(), { signal: stop.signal })).rejects.toMatchObject(
      { code: 'INTERRUPTED' },
    );
    expect(await differencesNow(old)).toEqual([]);
    expect(await workDatabases()).toBe('');
  });

  it('that is killed at each kind of step leaves the old or the new, whole', { timeout: 900_000 }, async () => {
    const seen = { old: 0, new: 0 };
    const histogram = new Map<string, number>();
    const restoreOld = (): Promise<void> => mariadbAdapter.restore(target, old.stored, chunked(old.bytes));
    const restoreNext = (dying: DyingDocker): Promise<void> =>
      mariadbAdapter.restore({ ...target, docker: dying.docker }, next.stored, chunked(next.bytes));
    await restoreOld();
    const whole = dyingDocker(docker, Infinity);
    await restoreNext(whole);
    expect(await differencesNow(next)).toEqual([]);
    await restoreOld();
    for (const steps of moments(whole.steps)) {
      const dying = dyingDocker(docker, steps);
      await restoreNext(dying).catch(() => undefined);
      // How many pieces an input comes in is not always the same: the last of one run may not be in another.
      if (!dying.isDead()) {
        await restoreOld();
        continue;
      }
      const kind = dying.steps[steps] ?? '';
      histogram.set(kind, (histogram.get(kind) ?? 0) + 1);
      // Whoever comes next, with whatever, begins with putting things right.
      await expect(mariadbAdapter.restore(target, next.stored, chunked(Buffer.alloc(0)))).rejects.toThrow();
      const now = serializeFingerprint(await mariadbAdapter.fingerprint(target, old.stored));
      if (now === serializeFingerprint(old.fingerprint)) seen.old += 1;
      else {
        expect(now, kind).toBe(serializeFingerprint(next.fingerprint));
        seen.new += 1;
        await restoreOld();
      }
      expect(await workDatabases()).toBe('');
      expect((await docker.exec(target.container, ['ls', '-A', target.scratch])).stdout).toBe('');
    }
    process.stderr.write(`kills by step: ${JSON.stringify(Object.fromEntries(histogram))}\n`);
    expect(seen.old).toBeGreaterThan(5);
    expect(seen.new).toBeGreaterThan(0);
  });

  it.each([
    ['another engine', { name: 'mysql', version: '8.4.0' }],
    ['a newer release', { name: 'mariadb', version: '12.1.2' }],
  ])('of %s is refused', async (_, engine) => {
    const stored = { ...next.stored, engine: { ...next.stored.engine, ...engine } };
    await expect(mariadbAdapter.restore(target, stored, chunked(next.bytes))).rejects.toMatchObject({
      code: 'ENGINE_MISMATCH',
    });
  });

  it('into a database of the system is refused', async () => {
    await expect(
      mariadbAdapter.restore(target, { ...next.stored, name: 'mysql' }, chunked(next.bytes)),
    ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
  });

  it('takes rows that are longer in the dump than the server allows', async () => {
    await run(
      source.admin,
      'CREATE DATABASE blobs; CREATE TABLE blobs.t (b longblob); INSERT INTO blobs.t VALUES (REPEAT(0x00ff, 6000000))',
    );
    const blobs = first(await dumpAll(mariadbAdapter, { ...source, databases: ['blobs'] }));
    await run(target, 'SET GLOBAL max_allowed_packet = 16777216');
    expect(await differences(blobs)).toEqual([]);
    expect(await run(target, 'SELECT @@GLOBAL.max_allowed_packet')).toBe('16777216');
  });
});

// The last of all: nothing comes after it that could use the server.
describe('a dump', () => {
  it('fails when the server goes away in the middle', async () => {
    const dumping = (async (): Promise<void> => {
      for await (const part of mariadbAdapter.open({ ...source, databases: ['large'] })) {
        const content = part.content()[Symbol.asyncIterator]();
        await content.next();
        await docker.killContainer(source.container);
        await exhaust(content);
      }
    })();
    const error: unknown = await dumping.catch((reason: unknown) => reason);
    expect(isDevstackError(error)).toBe(true);
    await expect(collectAll(source)).rejects.toSatisfy(isDevstackError);
  });
});

// After which steps to die: in a soak every one, and each kind so many times; otherwise where each kind that changes something comes first, and
// at the very last.
function moments(steps: readonly string[]): readonly number[] {
  const kinds = Map.groupBy(steps.keys(), (index) => steps[index] ?? '');
  if (isSoak)
    return [...kinds.values()].flatMap((all) => [
      ...all,
      ...Array.from({ length: Math.max(0, rounds - all.length) }, (_, more) => all[more % all.length] ?? 0),
    ]);
  const changing = /: (CREATE (DATABASE|TABLE)|INSERT|DROP TRIGGER|RENAME|ALTER|input)/;
  const firsts = [...kinds].flatMap(([kind, [first = 0]]) => (changing.test(kind) ? [first] : []));
  return [...firsts, steps.lastIndexOf('mariadb: INSERT INTO') + 1, steps.length - 1];
}

async function withWriters(work: (written: () => Promise<number>) => Promise<void>): Promise<void> {
  await run(source.admin, 'UPDATE shop.flag SET go = 1');
  const writers = [1, 2, 3].map(() => run(source.admin, 'CALL shop.write()'));
  try {
    await work(async () => Number(await run(source.admin, 'SELECT COUNT(*) FROM bank.log')));
  } finally {
    await run(source.admin, 'UPDATE shop.flag SET go = 0');
    await Promise.all(writers);
  }
}

// The account of these tests may not read those of others.
async function* withoutAccounts(
  place: MariadbPlace,
  options?: Parameters<typeof mariadbAdapter.open>[1],
): AsyncGenerator<BackupPart, void, undefined> {
  let left = place.databases?.length ?? 0;
  for await (const part of mariadbAdapter.open(place, options)) {
    yield part;
    left -= 1;
    if (left === 0) return;
  }
}

async function collectAll(place: MariadbPlace): Promise<void> {
  for await (const part of mariadbAdapter.open(place)) storedPart(part);
}

async function exhaust(iterator: AsyncIterator<Uint8Array>): Promise<void> {
  while ((await iterator.next()).done !== true);
}

async function differences(part: DumpedPart): Promise<readonly object[]> {
  await mariadbAdapter.restore(target, part.stored, chunked(part.bytes));
  return differencesNow(part);
}

async function differencesNow({ stored, fingerprint }: DumpedPart): Promise<readonly object[]> {
  return compareFingerprints(fingerprint, await mariadbAdapter.fingerprint(target, stored));
}

// Also those that have ended and that nobody has waited for.
async function programs(): Promise<readonly string[]> {
  const { stdout } = await docker.exec(source.container, ['sh', '-c', 'cat /proc/[0-9]*/comm 2>/dev/null']);
  return stdout.split('\n').filter((name) => name !== '' && !['mariadbd', 'sh', 'cat'].includes(name));
}

async function workDatabases(): Promise<string> {
  return run(target, "SHOW DATABASES LIKE 'devstack\\_restore\\_%'");
}

function replaced(bytes: Buffer, what: string, by: string): Buffer {
  const text = bytes.toString('latin1');
  expect(text).toContain(what);
  return Buffer.from(text.replaceAll(what, by), 'latin1');
}
