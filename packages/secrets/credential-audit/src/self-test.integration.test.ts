import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditCredentials, selfTest, surfaces, type CredentialAuditEvent } from './index.ts';
import { removeLeftovers, selfTestLabel } from './self-test-plants.ts';

const image = 'devstack/base:local';
const prefix = `ca-test-${randomBytes(4).toString('hex')}`;
let engine: DockerEngine;
const before = new Set<string>();

beforeAll(async () => {
  engine = await connectDocker();
  for (const name of await leftBehind()) before.add(name);
});
afterAll(async () => {
  for (const { id } of await engine.listContainers({ all: true, project: prefix }))
    await engine.removeContainer(id, { force: true, volumes: true });
  for (const { name } of await engine.listVolumes({ project: prefix })) await engine.removeVolume(name);
  await engine[Symbol.asyncDispose]();
});

const labels = { 'com.docker.compose.project': prefix, 'com.docker.compose.service': 'probe' };
async function started(
  script: string,
  extra: Partial<Parameters<DockerEngine['createContainer']>[0]> = {},
): Promise<string> {
  const id = await engine.createContainer({
    ...{
      image,
      labels,
      network: 'none',
      argv: ['sh', '-c', script],
      name: `${prefix}-${randomBytes(3).toString('hex')}`,
    },
    ...extra,
  });
  await engine.startContainer(id);
  return id;
}

/** What self-tests made here and did not remove. */
async function leftBehind(): Promise<readonly string[]> {
  const own = { labels: { [selfTestLabel]: true } } as const;
  const found = [
    ...(await engine.listContainers({ all: true, ...own })).map(({ name }) => name),
    ...(await engine.listImages(own)).flatMap(({ tags }) => tags),
    ...(await engine.listVolumes(own)).map(({ name }) => name),
    ...(await readdir(tmpdir())).filter((name) => /^credential-audit-[A-Za-z0-9]{6}$/.test(name)),
  ];
  return found.filter((name) => !before.has(name));
}

// So that the engine is asked for the log.
async function withoutLogFile(id: string): ReturnType<DockerEngine['inspectContainer']> {
  const details = await engine.inspectContainer(id);
  return { ...details, raw: { ...(details.raw as object), LogPath: '' } };
}

describe('the self-test', () => {
  it('finds the canary of every surface, and leaves nothing', async () => {
    const { passed, surfaces: results, report } = await selfTest({ engine, image });
    expect(results.filter(({ found }) => !found)).toEqual([]);
    expect(results.map(({ surface }) => surface)).toEqual(surfaces);
    expect(passed).toBe(true);
    expect(JSON.stringify(report)).not.toMatch(/canary-[\w-]{20}/);
    expect(await leftBehind()).toEqual([]);
  });

  it.each([
    ['logs', { logBytes: () => Readable.from([]), inspectContainer: withoutLogFile }],
    [
      'image-history',
      { inspectImage: async (ref: string) => ({ ...(await engine.inspectImage(ref)), history: [] }) as never },
    ],
    ['events', { events: () => Readable.from([]) }],
    [
      'volume-files',
      { inspectContainer: async (id: string) => ({ ...(await engine.inspectContainer(id)), mounts: [] }) },
    ],
  ])('fails with a broken collector, and names the surface: %s', async (surface, broken: Partial<DockerEngine>) => {
    const { passed, surfaces: results } = await selfTest({ engine: { ...engine, ...broken }, image });
    expect(passed).toBe(false);
    const missed = results.filter(({ found }) => !found);
    expect(missed).toContainEqual({
      surface,
      planted: true,
      found: false,
      reason: 'the canary was planted, but not found',
    });
    expect(await leftBehind()).toEqual([]);
  });

  it('fails where processes cannot be read, and says why', async () => {
    const { passed, surfaces: results } = await selfTest({ engine, image, procRoot: '/nowhere' });
    expect(passed).toBe(false);
    expect(results.find(({ surface }) => surface === 'process-environment')).toMatchObject({
      found: false,
      reason: expect.stringContaining('/nowhere') as unknown,
    });
    expect(await leftBehind()).toEqual([]);
  });

  it('reads the volume through the engine where its files are out of reach', async () => {
    const { surfaces: results } = await selfTest({ engine, image, local: false });
    const found = results.filter((one) => one.found).map(({ surface }) => surface);
    expect(found).toEqual(expect.arrayContaining(['volume-files', 'bind-files', 'logs']));
    expect(found).not.toContain('tmpfs-files');
  });

  it('removes everything after a failure, too', async () => {
    const failing = { ...engine, startContainer: () => Promise.reject(new Error('no room')) };
    await expect(selfTest({ engine: failing, image })).rejects.toThrow('no room');
    const ended = { ...engine, logs: () => Promise.resolve('') };
    await expect(selfTest({ engine: ended, image, timeoutMs: 10 })).rejects.toMatchObject({
      code: 'SELF_TEST_NOT_PLANTED',
    });
    expect(await leftBehind()).toEqual([]);
  });

  it('tells what it could not remove, and the next one removes it', async () => {
    const stuck = { ...engine, removeVolume: () => Promise.reject(new Error('busy')) };
    await expect(selfTest({ engine: stuck, image })).rejects.toMatchObject({ code: 'SELF_TEST_NOT_REMOVED' });
    const [volume = ''] = await leftBehind();
    // A killed run leaves its container, too.
    await engine.createContainer({
      image,
      argv: ['true'],
      name: `${volume}-draft`,
      labels: { [selfTestLabel]: volume },
    });
    await removeLeftovers(engine, undefined, volume);
    expect(await leftBehind()).toHaveLength(2);
    await removeLeftovers(engine, -60_000, volume);
    expect(await leftBehind()).toEqual([]);
  });
});

describe('an audit of real containers', () => {
  const value = `v-${randomBytes(18).toString('base64url')}`;
  const needles = [{ value: new Secret(value), label: 'secret/db', field: 'password' }];

  it('finds nothing in a clean one, and everything is read', async () => {
    const id = await started('echo ready; sleep 600');
    const report = await auditCredentials({ engine, needles, containers: { ids: [id] } });
    expect(report).toMatchObject({ verdict: 'pass', findings: [], notChecked: [] });
    await engine.removeContainer(id, { force: true });
  });

  it('reads 80 MiB of binary log in bounded memory, to its last byte', async () => {
    const encoded = Buffer.from(`xx${value}`).toString('base64');
    const volume = `${prefix}-log`;
    await engine.ensureVolume({ name: volume, labels });
    await engine.writeVolumeFiles({
      image,
      files: [{ volume, path: 'end', content: encoded, mode: 0o600, uid: 0, gid: 0 }],
    });
    const id = await started('head -c 60000000 /dev/urandom | base64 -w 200; head -c 3000 /dev/urandom; cat /v/end', {
      user: '0',
      binds: [`${volume}:/v`],
    });
    await expect
      .poll(async () => (await engine.inspectContainer(id)).state.running, { timeout: 40_000, interval: 200 })
      .toBe(false);
    // From the file, and as the engine hands it over: the same place, whichever way.
    const places: unknown[] = [];
    for (const local of [true, false]) {
      const atFirst = process.memoryUsage().arrayBuffers;
      let most = 0;
      const meter = setInterval(() => {
        most = Math.max(most, process.memoryUsage().arrayBuffers - atFirst);
      }, 20);
      const report = await auditCredentials({ engine, needles, containers: { ids: [id] }, surfaces: ['logs'], local });
      clearInterval(meter);
      expect(report.notChecked).toEqual([]);
      expect(report.findings.map(({ ruleId }) => ruleId)).toEqual(['secret-in-log']);
      expect(report.searched.bytes).toBeGreaterThan(80_000_000);
      expect(most).toBeLessThan(100 * 2 ** 20);
      places.push(/stdout, at byte (\d+ \(base64[^)]*\))/.exec(report.findings[0]?.message ?? '')?.[1]);
    }
    expect(places[0]).toMatch(/^8\d{7} /);
    expect(places[1]).toBe(places[0]);
    await engine.removeContainer(id, { force: true });
    await engine.removeVolume(volume);
  });

  it('notes a container that is removed while it is read', async () => {
    const [first, second] = [await started('sleep 600'), await started('sleep 600')];
    const events: CredentialAuditEvent[] = [];
    const racing: DockerEngine = {
      ...engine,
      inspectImage: async (ref) => {
        await engine.removeContainer(first, { force: true });
        return engine.inspectImage(ref);
      },
    };
    const report = await auditCredentials({
      engine: racing,
      needles,
      containers: { ids: [first, second] },
      concurrency: 1,
      onEvent: (event) => events.push(event),
    });
    expect(report.gone).toHaveLength(1);
    expect(report).toMatchObject({ verdict: 'incomplete', findings: [] });
    expect(events.map(({ type }) => type)).toContain('gone');
    await engine.removeContainer(second, { force: true });
  });

  it('finds a value that another program of the container holds, exec sessions included', async () => {
    const id = await started('sleep 600');
    const stop = new AbortController();
    const running = engine.exec(id, ['sh', '-c', 'sleep 60; :', value], { signal: stop.signal }).catch(() => undefined);
    await expect
      .poll(
        async () => {
          const { findings } = await auditCredentials({ engine, needles, containers: { ids: [id] } });
          return new Set(findings.map(({ ruleId }) => ruleId));
        },
        { timeout: 15_000 },
      )
      .toEqual(new Set(['secret-in-engine-event', 'secret-in-exec', 'secret-in-process-arguments']));
    stop.abort();
    await running;
    await engine.removeContainer(id, { force: true });
  });
});
