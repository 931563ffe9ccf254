import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pausesLabel, startThrowaway, sweepThrowaways, throwawayLabels } from './throwaway.ts';

const image = 'devstack/base:local';
const labels = { 'io.devstack.test': `throwaway-${randomBytes(4).toString('hex')}` };
let docker: DockerEngine;

beforeAll(async () => {
  docker = await connectDocker();
});

afterAll(async () => {
  for (const { id } of await docker.listContainers({ all: true, labels }))
    await docker.removeContainer(id, { force: true });
  for (const { name } of await docker.listVolumes({ labels })) await docker.removeVolume(name);
  await docker[Symbol.asyncDispose]();
});

const base = {
  get docker() {
    return docker;
  },
  image,
  labels,
  what: 'test',
};

describe('a throwaway container', () => {
  it('has no network, no capability and limits, belongs to no compose project, and is gone afterwards', async () => {
    let id: string;
    {
      await using container = await startThrowaway({
        ...base,
        labels: { ...labels, 'com.docker.compose.project': 'somebody' },
        argv: ['sleep', '600'],
        memoryBytes: 64 * 1024 ** 2,
        pids: 7,
      });
      id = container.id;
      const { raw, project } = await docker.inspectContainer(id);
      expect(project).toBe('');
      expect(raw).toMatchObject({
        HostConfig: {
          NetworkMode: 'none',
          CapDrop: ['ALL'],
          SecurityOpt: ['no-new-privileges'],
          Memory: 64 * 1024 ** 2,
          PidsLimit: 7,
        },
      });
    }
    await expect(docker.inspectContainer(id)).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });

  it('that ends, or is never ready, is told with the end of its log, and removed', async () => {
    await expect(
      startThrowaway({
        ...base,
        argv: ['sh', '-c', 'echo no such folder >&2; exit 3'],
        ready: () => Promise.resolve(false),
      }),
    ).rejects.toMatchObject({
      code: 'PLACE_UNUSABLE',
      message: expect.stringMatching(/exit code 3\. no such folder/) as unknown,
    });
    await expect(
      startThrowaway({
        ...base,
        argv: ['sleep', '600'],
        readyWithinMs: 300,
        ready: () => Promise.reject(new Error('not yet')),
      }),
    ).rejects.toMatchObject({
      code: 'PLACE_UNUSABLE',
      message: expect.stringContaining('not ready within 300 ms') as unknown,
    });
    const stop = new AbortController();
    await expect(
      startThrowaway({
        ...base,
        argv: ['sleep', '600'],
        signal: stop.signal,
        ready: () => {
          stop.abort();
          return Promise.resolve(false);
        },
      }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(startThrowaway({ ...base, argv: ['true'], signal: stop.signal })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    expect(await docker.listContainers({ all: true, labels })).toEqual([]);
  });

  it('of a process that was killed is swept, running or not, with its volume, and what it had paused goes on', async () => {
    await using server = await startThrowaway({ ...base, argv: ['sleep', '600'] });
    await using mine = await startThrowaway({ ...base, argv: ['sleep', '600'] });
    await docker.pauseContainer(server.id);
    const folder = await mkdtemp(join(tmpdir(), 'throwaway-'));
    const source = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
    await writeFile(
      join(folder, 'killed.mjs'),
      `import { startThrowaway, throwawayLabels } from ${source('throwaway.ts')};
import { connectDocker } from ${JSON.stringify(import.meta.resolve('@devstack-core/docker-engine'))};
const docker = await connectDocker();
const labels = { ...${JSON.stringify(labels)}, ${JSON.stringify(pausesLabel)}: ${JSON.stringify(server.id)} };
await docker.ensureVolume({ name: ${JSON.stringify(`${labels['io.devstack.test']}-volume`)}, labels: throwawayLabels(labels) });
await startThrowaway({ docker, image: ${JSON.stringify(image)}, labels, what: 'test', argv: ['sleep', '600'] });
process.send('up');
setInterval(() => {}, 1000);
`,
    );
    const child = fork(join(folder, 'killed.mjs'), { execArgv: ['--conditions=@devstack-core/source'] });
    await once(child, 'message');
    // While its process lives nobody takes it away.
    expect(await sweepThrowaways(docker, labels)).toEqual([]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await sweepThrowaways(docker, { 'io.devstack.test': 'another' })).toEqual([]);
    expect(await sweepThrowaways(docker, labels)).toHaveLength(2);
    expect((await docker.inspectContainer(server.id)).state).toMatchObject({ running: true, paused: false });
    expect((await docker.inspectContainer(mine.id)).state.running).toBe(true);
    expect(await docker.listVolumes({ labels })).toEqual([]);
    await rm(folder, { recursive: true });
  });

  it('whose owner cannot be read is nobody’s', async () => {
    const unknown = { ...throwawayLabels(labels), 'io.devstack.throwaway': 'not JSON' };
    await docker.createContainer({ image, argv: ['true'], labels: unknown, network: 'none' });
    expect(await sweepThrowaways(docker, labels)).toHaveLength(1);
  });
});
