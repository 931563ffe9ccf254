import { randomBytes } from 'node:crypto';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareFingerprints } from '../../fingerprint.ts';
import { throwawayLabels } from '../../throwaway.ts';
import type { BackupPart, Fingerprint, StoredPart } from '../../types.ts';
import { openSession, type Row } from '../session.ts';
import { image, labels, run, startServer, type TestServer } from '../testing/server.ts';
import { postgresPhysicalAdapter } from './adapter.ts';
import { baseKind, manifestKind, openPhysicalBackup } from './backup.ts';
import { installRecovered } from './install.ts';
import { planPhysicalBackup, type PhysicalParent, type PhysicalPlan } from './plan.ts';
import { openRecovery, recover, stageLink, stageWal } from './recovery.ts';
import { setWalArchiving, walArchiveState } from './wal-archive.ts';
import { isWalPart, walKind } from './wal-part.ts';

interface Kept {
  readonly part: StoredPart;
  readonly content: Buffer;
  readonly fingerprint: Fingerprint;
}

const archive = '/var/lib/devstack/wal-archive';
let docker: DockerEngine;
let source: TestServer;
const sets: Kept[][] = [];
const plans: PhysicalPlan[] = [];

beforeAll(async () => {
  docker = await connectDocker();
  source = await startServer(docker);
  await run(source, 'postgres', `CREATE ROLE app LOGIN PASSWORD 'x'; CREATE DATABASE shop OWNER app`);
  await run(
    source,
    'shop',
    `CREATE TABLE orders (id serial PRIMARY KEY, t text); INSERT INTO orders (t) SELECT md5(i::text) FROM generate_series(1, 20000) i; CREATE UNLOGGED TABLE scratch (i serial); INSERT INTO scratch DEFAULT VALUES; SELECT lo_from_bytea(77777, '\\x00ff')`,
  );
});

afterAll(async () => {
  await source[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

describe('a chain of physical backups', () => {
  it('begins with a full one and goes on with what changed', async () => {
    await backUp();
    await run(source, 'shop', `UPDATE orders SET t = 'changed' WHERE id = 7; CREATE TABLE later AS SELECT 1 AS one`);
    await backUp();
    await run(source, 'shop', `DELETE FROM orders WHERE id = 8; CREATE DATABASE third`);
    await backUp();
    expect(plans.map(({ kind }) => kind)).toEqual(['full', 'incremental', 'incremental']);
    const [first = 0, second = 0] = sets.map((set) => base(set).content.length);
    expect(second).toBeLessThan(first / 2);
    expect(sets.map((set) => base(set).part.metadata?.['link'])).toEqual([0, 1, 2]);
    expect(new Set(sets.map((set) => base(set).part.metadata?.['chain'])).size).toBe(1);
    const { stdout } = await docker.exec(source.container, [
      'sh',
      '-c',
      'ls -A /run/credentials /tmp | grep devstack-backup || :',
    ]);
    expect(stdout).toBe('');
  });

  it('is put together again, as it was, and sound', async () => {
    const adapter = postgresPhysicalAdapter();
    await using place = await adapter.throwaway({ docker, image, labels });
    for (const kept of sets.flat()) await adapter.restore(place, kept.part, pieces(kept.content));
    const last = base(sets[2]);
    expect(compareFingerprints(last.fingerprint, await adapter.fingerprint(place, last.part))).toEqual([]);
    expect(await adapter.check(place, last.part)).toEqual([]);
    for (const set of sets)
      expect(await adapter.fingerprint(place, manifest(set).part)).toEqual(manifest(set).fingerprint);
    // Control: an earlier moment is another one.
    const differences = compareFingerprints(base(sets[0]).fingerprint, await adapter.fingerprint(place, last.part));
    expect(differences.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['shop: public.orders', 'shop: public.later']),
    );
    await expect(adapter.restore(place, last.part, pieces(last.content))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
  });

  it('is refused with a link missing, damaged, cut, or of another cluster', async () => {
    await using gap = await openRecovery({ docker, image, labels });
    await stageLink(gap, 0, pieces(base(sets[0]).content));
    await stageLink(gap, 2, pieces(base(sets[2]).content));
    await expect(recover(gap, { superuser: 'devstack' })).rejects.toThrow(
      'The chain of physical backups is not whole: there are links 0, 2.',
    );
    // The second increment in the place of the first.
    await using wrong = await openRecovery({ docker, image, labels });
    await stageLink(wrong, 0, pieces(base(sets[0]).content));
    await stageLink(wrong, 1, pieces(base(sets[2]).content));
    await expect(recover(wrong, { superuser: 'devstack' })).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await using damaged = await openRecovery({ docker, image, labels });
    const { content } = base(sets[0]);
    const flipped = Buffer.from(content);
    flipped.writeUInt8(flipped.readUInt8(flipped.length / 2) ^ 1, flipped.length / 2);
    await expect(stageLink(damaged, 0, pieces(flipped))).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    await expect(stageLink(damaged, 1, pieces(content.subarray(0, content.length / 2)))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    await using stranger = await startServer(docker);
    const other: Kept[] = [];
    for await (const part of openPhysicalBackup(stranger)) other.push(await keep(part));
    await using mixed = await openRecovery({ docker, image, labels });
    await stageLink(mixed, 0, pieces(base(other).content));
    await stageLink(mixed, 1, pieces(base(sets[1]).content));
    await expect(recover(mixed, { superuser: 'devstack' })).rejects.toThrow(
      'The links of the chain are of different clusters.',
    );
  });

  it('begins anew where it cannot go on, and says why', async () => {
    const parent = parentOf(sets[2]);
    const reason = async (changed: Partial<PhysicalParent>): Promise<string> => {
      const plan = await planPhysicalBackup(source, { parent: { ...parent, ...changed } });
      return plan.kind === 'full' ? plan.reason : '';
    };
    expect(await reason({})).toBe('');
    expect(await reason({ link: 6 })).toMatch('6 increments already');
    expect(await reason({ manifest: parent.manifest.subarray(0, -20) })).toMatch('damaged');
    expect(
      await reason({ manifest: Buffer.from(Buffer.from(parent.manifest).toString().replace('Files', 'files')) }),
    ).toMatch('damaged');
    await run(source, 'postgres', `ALTER SYSTEM SET summarize_wal = off`);
    await run(source, 'postgres', `SELECT pg_reload_conf()`);
    await expect.poll(() => reason({})).toMatch('does not summarize');
    await run(source, 'postgres', `ALTER SYSTEM RESET summarize_wal`);
    await run(source, 'postgres', `SELECT pg_reload_conf()`);
    await expect.poll(() => reason({})).toBe('');
    await using stranger = await startServer(docker);
    expect(await planPhysicalBackup(stranger, { parent })).toMatchObject({
      kind: 'full',
      reason: expect.stringMatching('another cluster') as string,
    });
    // Older than the summaries that are kept.
    await docker.exec(source.container, ['sh', '-c', 'rm -f /var/lib/devstack/data/pg_wal/summaries/*']);
    expect(await reason({})).toMatch('no summaries any more');
  });

  it('knows no tablespaces, and says so before anything is read', async () => {
    await docker.exec(source.container, ['mkdir', '-p', '/var/lib/devstack/space']);
    await run(source, 'postgres', `CREATE TABLESPACE elsewhere LOCATION '/var/lib/devstack/space'`);
    await expect(collectParts()).rejects.toThrow('Physical backups know no tablespaces, and there is "elsewhere"');
    await run(source, 'postgres', `DROP TABLESPACE elsewhere`);
  });
});

describe('the write-ahead log', () => {
  const moments: { at: Date; count: string }[] = [];
  const taken: Kept[][] = [];

  it('is not archived until that is wanted', async () => {
    expect(await walArchiveState(source)).toMatchObject({ mode: 'off', files: 0 });
    await setWalArchiving(source, true);
    await expect.poll(async () => (await walArchiveState(source)).mode).toBe('on');
  });

  it('goes into sets, and leaves the archive when a set is complete', async () => {
    taken.push(await backUpWith());
    for (let round = 0; round < 2; round += 1) {
      await run(source, 'shop', `INSERT INTO orders (t) VALUES ('after the backup')`);
      const [row] = await ask(
        source,
        'shop',
        `SELECT count(*)::text AS count, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at FROM public.orders`,
      );
      moments.push({ at: new Date(String(row?.['at'])), count: String(row?.['count']) });
      await run(source, 'shop', `SELECT pg_sleep(0.05); INSERT INTO orders (t) VALUES ('later still')`);
      taken.push(await walOnly());
    }
    expect((await walArchiveState(source)).files).toBe(0);
    expect(taken.flat().filter(({ part }) => part.kind === walKind)).toHaveLength(3);
  });

  it.each([0, 1])('brings the cluster back to moment %d', async (index) => {
    const { at, count } = moments[index] ?? { at: new Date(), count: '' };
    const adapter = postgresPhysicalAdapter({ target: { time: at } });
    await using place = await adapter.throwaway({ docker, image, labels });
    for (const { part, content } of taken.flat()) await adapter.restore(place, part, pieces(content));
    const { part } = base(taken[0]);
    expect(await adapter.check(place, part)).toEqual([]);
    const server = { ...place, username: 'devstack' };
    expect(await ask(server, 'shop', `SELECT count(*)::text AS count FROM public.orders`)).toEqual([{ count }]);
    const wal = taken.flat().find(({ part: { kind } }) => kind === walKind);
    if (wal === undefined) throw new Error('there is no log');
    expect((await adapter.fingerprint(place, wal.part)).items).toEqual(
      expect.arrayContaining([...wal.fingerprint.items]),
    );
  });

  it('with a gap, or that does not reach as far, is refused', async () => {
    await using place = await openRecovery({ docker, image, labels });
    await stageLink(place, 0, pieces(base(taken[0]).content));
    await stageWal(place, pieces(only(taken[2]).content));
    await expect(recover(place, { superuser: 'devstack' })).rejects.toThrow(/gap: segment [0-9A-F]{24} is missing/);
    await using early = await openRecovery({ docker, image, labels });
    await stageLink(early, 0, pieces(base(taken[0]).content));
    await expect(recover(early, { superuser: 'devstack', target: { time: new Date() } })).rejects.toThrow(
      'no archived write-ahead log',
    );
    for (const set of taken.slice(0, 2)) await stageWal(early, pieces(wal(set).content));
    await expect(
      recover(early, { superuser: 'devstack', target: { time: new Date(Date.now() + 3_600_000) } }),
    ).rejects.toThrow(/before configured recovery target was reached/);
  });

  it('is told when it does not reach the archive', async () => {
    await docker.exec(source.container, ['sh', '-c', `rm -rf ${archive} && : > ${archive}`]);
    await run(source, 'shop', `INSERT INTO orders (t) VALUES ('x')`);
    await run(source, 'postgres', `SELECT pg_switch_wal()`);
    await expect.poll(async () => (await walArchiveState(source)).failingSince, { timeout: 20_000 }).toBeDefined();
    await docker.exec(source.container, ['rm', archive]);
    await setWalArchiving(source, true);
    await setWalArchiving(source, false);
    await expect.poll(async () => (await walArchiveState(source)).mode).toBe('off');
  });

  it('comes to a volume in the place of what is there, which is kept', async () => {
    const name = `devstack-test-${randomBytes(4).toString('hex')}`;
    await docker.ensureVolume({ name, labels: throwawayLabels(labels) });
    try {
      await docker.runEphemeral({
        image,
        user: '0',
        capAdd: ['CHOWN', 'DAC_OVERRIDE'],
        argv: ['sh', '-c', 'mkdir /v/data && echo old > /v/data/mark && chown -R postgres:postgres /v'],
        binds: [`${name}:/v`],
      });
      {
        await using failing = await openRecovery({ docker, image, labels, volume: { name, folder: '.restore-1' } });
        for (const set of taken.slice(0, 1)) await stageLink(failing, 0, pieces(base(set).content));
        await expect(
          installRecovered(failing, { superuser: 'devstack', prove: () => Promise.reject(new Error('not proven')) }),
        ).rejects.toThrow('not proven');
      }
      expect(await inVolume(name, 'cat /v/data/mark')).toBe('old\n');
      await using place = await openRecovery({ docker, image, labels, volume: { name, folder: '.restore-2' } });
      await stageLink(place, 0, pieces(base(taken[0]).content));
      for (const set of taken) await stageWal(place, pieces(wal(set).content));
      let rows = '';
      const { kept } = await installRecovered(place, {
        superuser: 'devstack',
        prove: async (server) => {
          rows = String((await ask(server, 'shop', `SELECT count(*)::text AS count FROM public.orders`))[0]?.['count']);
        },
      });
      expect(Number(rows)).toBe(Number(moments[1]?.count) + 1);
      expect(kept).toBe('.restore-2/data');
      expect(await inVolume(name, 'cat /v/.restore-2/data/mark; ls /v/data/PG_VERSION; ls -A /v/.restore-2')).toBe(
        'old\n/v/data/PG_VERSION\ndata\n',
      );
    } finally {
      await docker.removeVolume(name);
    }
  });
});

async function backUp(): Promise<void> {
  const parent = sets.at(-1);
  const set: Kept[] = [];
  const options = parent === undefined ? {} : { parent: parentOf(parent) };
  for await (const part of openPhysicalBackup(source, { ...options, onPlan: (plan) => plans.push(plan) }))
    set.push(await keep(part));
  sets.push(set);
}

async function backUpWith(): Promise<Kept[]> {
  const set: Kept[] = [];
  for await (const part of openPhysicalBackup(source, { archive })) {
    set.push(await keep(part));
    if (isWalPart(part)) await part.release();
  }
  return set;
}

async function walOnly(): Promise<Kept[]> {
  const set: Kept[] = [];
  for await (const part of openPhysicalBackup(source, { archive, parent: parentOf(sets[2]) })) {
    if (!isWalPart(part)) continue;
    set.push(await keep(part));
    await part.release();
  }
  return set;
}

async function collectParts(): Promise<void> {
  for await (const part of openPhysicalBackup(source)) await keep(part);
}

function parentOf(set: readonly Kept[] | undefined): PhysicalParent {
  const { part, content } = manifest(set);
  return { manifest: content, link: Number(part.metadata?.['link']), chain: String(part.metadata?.['chain']) };
}

function base(set: readonly Kept[] | undefined): Kept {
  return find(set, baseKind);
}

function manifest(set: readonly Kept[] | undefined): Kept {
  return find(set, manifestKind);
}

function wal(set: readonly Kept[] | undefined): Kept {
  return find(set, walKind);
}

function only(set: readonly Kept[] | undefined): Kept {
  return find(set, set?.[0]?.part.kind ?? '');
}

function find(set: readonly Kept[] | undefined, kind: string): Kept {
  const found = set?.find(({ part }) => part.kind === kind);
  if (found === undefined) throw new Error(`no part of kind ${kind}`);
  return found;
}

async function keep(part: BackupPart): Promise<Kept> {
  const fingerprint = await part.fingerprint();
  const chunks: Uint8Array[] = [];
  for await (const chunk of part.content()) chunks.push(chunk);
  const { fingerprint: _fingerprint, content: _content, ...description } = part;
  return { part: { ...description, service: 'postgres' }, content: Buffer.concat(chunks), fingerprint };
}

async function* pieces(content: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  for (let at = 0; at < content.length; at += 65_521) yield content.subarray(at, at + 65_521);
}

async function ask(place: Parameters<typeof openSession>[0], database: string, sql: string): Promise<readonly Row[]> {
  await using session = await openSession(place, database, { purpose: 'restore' });
  return await session.query(sql);
}

async function inVolume(name: string, script: string): Promise<string> {
  return (await docker.runEphemeral({ image, argv: ['sh', '-c', script], binds: [`${name}:/v`] })).stdout;
}
