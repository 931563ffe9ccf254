import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareFingerprints } from '../fingerprint.ts';
import type { BackupPart, Fingerprint, StoredPart, Throwaway } from '../types.ts';
import { postgresAdapter } from './adapter.ts';
import { dumpPostgresDatabase } from './dump.ts';
import type { PostgresPlace } from './place.ts';
import { openSession } from './session.ts';
import { image, labels, run, startServer, type TestServer } from './testing/server.ts';

const mebibyte = 1024 ** 2;
let docker: DockerEngine;
let source: TestServer;
let target: Throwaway<PostgresPlace>;

beforeAll(async () => {
  docker = await connectDocker();
  source = await startServer(docker);
  target = await postgresAdapter.throwaway({ docker, image, labels });
  await run(source, 'postgres', 'CREATE DATABASE big');
  // 100 MiB that do not shrink, in rows of all lengths.
  await run(
    source,
    'big',
    `CREATE TABLE rows (id bigserial PRIMARY KEY, t text); INSERT INTO rows (t) SELECT repeat(md5(i::text), 1 + i % 40) FROM generate_series(1, 160000) i`,
  );
});

afterAll(async () => {
  await target[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

describe('a large database', () => {
  it('goes through in little memory, whole, and without a secret in any argument or environment', async () => {
    const over = new AbortController();
    const sampling = sample(source.canary, over.signal);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    let size = 0;
    const restored: string[] = [];
    for await (const part of postgresAdapter.open({ ...source, databases: ['big'] })) {
      const fingerprint = await part.fingerprint();
      const stored = describePart(part);
      // Straight on into the other server: what is slow at one end holds the other.
      await postgresAdapter.restore(
        target,
        stored,
        (async function* () {
          for await (const chunk of part.content()) {
            size += chunk.length;
            most = Math.max(most, process.memoryUsage().arrayBuffers - before);
            yield chunk;
          }
        })(),
      );
      expect(await differences(fingerprint, target, stored)).toEqual([]);
      restored.push(part.name);
    }
    over.abort();
    expect(restored).toEqual(['globals', 'big']);
    expect(size).toBeGreaterThan(100 * mebibyte);
    expect(most).toBeLessThan(64 * mebibyte);
    const { samples, found } = await sampling;
    expect(samples).toBeGreaterThan(10);
    expect(found).toEqual([]);
    expect(await filesIn(source)).toEqual([]);
  }, 180_000);

  it('would be caught with its secret in an argument or the environment', async () => {
    const over = new AbortController();
    const sampling = sample(source.canary, over.signal);
    await docker.exec(source.container, ['sh', '-c', 'sleep 2; :', source.canary]);
    await docker.exec(source.container, ['sleep', '2'], { env: { PGPASSWORD: source.canary } });
    over.abort();
    expect((await sampling).found).toEqual(['cmdline', 'environ']);
  });
});

describe('a dump that does not come to its end is an error', () => {
  it.each([
    ['pg_dump is killed', () => killPrograms('pg_dump')],
    ['its session is ended', () => endSessions()],
  ])('as %s', async (_what, disturb) => {
    await expect(disturbed(disturb)).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    await expectQuiet();
  });

  it('as it is stopped by its user', async () => {
    const stop = new AbortController();
    await expect(
      disturbed(() => {
        stop.abort();
        return Promise.resolve();
      }, stop.signal),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expectQuiet();
  });

  it('and leaves nothing behind when its reader goes', async () => {
    for await (const chunk of dumpPostgresDatabase(source, 'big')) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await expectQuiet();
  });

  it('as the part is not asked for its content', async () => {
    for await (const part of postgresAdapter.open({ ...source, databases: ['big'] })) await part.fingerprint();
    await expectQuiet();
  });

  it('as the session that holds the moment is lost', async () => {
    const parts = postgresAdapter.open({ ...source, databases: ['big'] })[Symbol.asyncIterator]();
    await parts.next();
    const part = (await parts.next()).value as BackupPart;
    await endSessions();
    await expect(part.fingerprint()).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    await parts.return?.(undefined);
    await expectQuiet();
  });

  it('as the server is stopped, or its container', async () => {
    await using lost = await startServer(docker);
    await run(
      lost,
      'postgres',
      `CREATE TABLE rows AS SELECT i, repeat('x', 900) AS t FROM generate_series(1, 60000) i`,
    );
    const parts = postgresAdapter.open({ ...lost, databases: ['postgres'] })[Symbol.asyncIterator]();
    await parts.next();
    const part = (await parts.next()).value as BackupPart;
    let stopping: Promise<unknown> | undefined;
    const reading = (async () => {
      // Read on while it stops: the engine ends a container whose output nobody reads only after ten seconds.
      for await (const _ of part.content())
        stopping ??= docker.stopContainer(lost.container, { timeoutSeconds: 0 }).catch((error: unknown) => error);
    })();
    await expect(reading).rejects.toThrow();
    expect(await stopping).toBeUndefined();
    await parts.return?.(undefined);
    await expect(postgresAdapter.open(lost)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'PLACE_UNUSABLE',
    });
  });
});

function describePart(part: BackupPart): StoredPart {
  const { fingerprint: _fingerprint, content: _content, ...description } = part;
  return { ...description, service: 'postgres' };
}

async function differences(expected: Fingerprint, place: PostgresPlace, part: StoredPart): Promise<unknown> {
  return compareFingerprints(expected, await postgresAdapter.fingerprint(place, part));
}

// The reading goes on meanwhile: the engine answers nothing about a container in which a program has ended whose output is not read.
async function disturbed(disturb: () => Promise<void>, signal?: AbortSignal): Promise<void> {
  let size = 0;
  let disturbance: Promise<void> | undefined;
  for await (const chunk of dumpPostgresDatabase(source, 'big', { signal })) {
    const wasBefore = size < mebibyte;
    size += chunk.length;
    if (wasBefore && size >= mebibyte) disturbance = disturb();
  }
  await disturbance;
}

async function killPrograms(name: string): Promise<void> {
  await docker.exec(source.container, [
    'sh',
    '-c',
    'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = "$1" ] && kill -9 "${p#/proc/}"; done; :',
    'sh',
    name,
  ]);
}

async function endSessions(): Promise<void> {
  await run(
    source,
    'postgres',
    `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name IN ('devstack-backup', 'pg_dump') AND datname = 'big'`,
  );
}

// No program, no session and no file of ours: at the latest a moment later, when they have met the end of their pipes.
async function expectQuiet(): Promise<void> {
  await expect
    .poll(
      async () => {
        await using session = await openSession(source, 'postgres', { purpose: 'dump' });
        const rows = await session.query(
          `SELECT application_name AS name FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
        );
        return rows;
      },
      { timeout: 20_000 },
    )
    .toEqual([]);
  expect(await filesIn(source)).toEqual([]);
}

async function filesIn(place: PostgresPlace): Promise<readonly string[]> {
  const { stdout } = await docker.exec(place.container, [
    'sh',
    '-c',
    'ls -A "$1" /tmp | grep devstack-backup || :',
    'sh',
    place.scratch,
  ]);
  return stdout.split('\n').filter((name) => name !== '');
}

/** Looks at the arguments and the environment of every process of the machine until told to stop. */
async function sample(
  needle: string,
  signal: AbortSignal,
): Promise<{ readonly samples: number; readonly found: readonly string[] }> {
  const found = new Set<string>();
  let samples = 0;
  while (!signal.aborted) {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)))
      for (const file of ['cmdline', 'environ']) {
        const text = await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
        if (text.includes(needle.slice(0, 30))) found.add(file);
      }
    samples += 1;
    await delay(20, undefined, { signal }).catch(() => undefined);
  }
  return { samples, found: [...found].sort() };
}
