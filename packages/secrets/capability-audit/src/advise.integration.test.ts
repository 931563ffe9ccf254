import { randomBytes } from 'node:crypto';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adviseCapabilities } from './index.ts';

const image = 'devstack/base:local';
const prefix = `ca-advise-${randomBytes(4).toString('hex')}`;
let engine: DockerEngine;
let server: string;

// Gives a file away and listens on a low port: CHOWN and nothing else of what Docker gives, as ports are free from 0 in a container.
const program = 'chown 5:5 /data/file && touch /tmp/ready && exec sleep 600';

beforeAll(async () => {
  engine = await connectDocker();
  server = await engine.createContainer({
    name: prefix,
    image,
    argv: ['sh', '-c', `touch /data/file; ${program}`],
    binds: [`${prefix}:/data`, '/usr/share/zoneinfo:/zones:ro'],
    tmpfs: { '/tmp': 'size=1m' },
    env: { PLACE: 'here=there' },
    workdir: '/tmp',
    network: 'none',
    memoryBytes: 67_108_864,
    cpus: 1,
    pids: 20,
    securityOptions: ['no-new-privileges'],
  });
});
afterAll(async () => {
  await engine.removeContainer(server, { force: true });
  await engine.removeVolume(prefix);
  await engine[Symbol.asyncDispose]();
});

// The program writes its sign or ends.
async function isReady(id: string): Promise<boolean> {
  for (;;) {
    const { state } = await engine.inspectContainer(id);
    if (!state.running) return false;
    const { exitCode } = await engine.exec(id, ['test', '-e', '/tmp/ready']).catch(() => ({ exitCode: 1 }));
    if (exitCode === 0) return true;
  }
}

async function copies(): Promise<readonly string[]> {
  const all = await engine.listContainers({ all: true });
  return all.map(({ name }) => name).filter((name) => name.startsWith(`${prefix}-advice`));
}

describe('advice', () => {
  it('is the one capability that the program needs, found by trial, with nothing left behind', async () => {
    const advice = await adviseCapabilities({ engine, container: server, probe: isReady });
    expect(advice.capAdd).toEqual(['CHOWN']);
    expect(advice.needless).toHaveLength(13);
    expect(advice.trials[0]).toEqual({ capAdd: [], passed: false });
    expect(advice.trials.length).toBeLessThanOrEqual(10);
    expect(await copies()).toEqual([]);
  });

  it('is impossible where the probe fails with all candidates too', async () => {
    const trial = adviseCapabilities({ engine, container: server, probe: isReady, candidates: ['KILL', 'cap_mknod'] });
    await expect(trial).rejects.toMatchObject({
      code: 'ADVICE_IMPOSSIBLE',
      details: { candidates: ['KILL', 'MKNOD'] },
    });
    expect(await copies()).toEqual([]);
  });

  it('is nothing where nothing is needed, and ends when it is told to or its probe breaks', async () => {
    const fine = await adviseCapabilities({ engine, container: server, probe: () => Promise.resolve(true) });
    expect(fine).toMatchObject({ capAdd: [], trials: [{ passed: true }] });
    const ended = adviseCapabilities({ engine, container: server, probe: isReady, signal: AbortSignal.abort() });
    await expect(ended).rejects.toMatchObject({ code: 'INTERRUPTED' });
    const broken = adviseCapabilities({ engine, container: server, probe: () => Promise.reject(new Error('broken')) });
    await expect(broken).rejects.toThrow('broken');
    expect(await copies()).toEqual([]);
  });
});
