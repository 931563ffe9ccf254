import { createServer, type RequestListener } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectDocker, type DockerEngine } from './index.ts';

/** An engine on a socket of its own that answers as told. */
async function withEngine(answer: RequestListener, test: (engine: DockerEngine) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'de-engine-'));
  const server = createServer((request, response) => {
    if (request.url === '/_ping') response.end('OK');
    else answer(request, response);
  });
  await new Promise<void>((done) => server.listen(join(folder, 'docker.sock'), done));
  try {
    await test(await connectDocker({ host: `unix://${join(folder, 'docker.sock')}` }));
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  }
}

describe('a pull from an engine that misbehaves', () => {
  it.each<[string, RequestListener, string]>([
    [
      'fails inside the stream',
      (_, response) =>
        response.end('{"status":"Pulling"}\n{"errorDetail":{"message":"toomanyrequests"},"error":"toomanyrequests"}\n'),
      'toomanyrequests',
    ],
    ['fails in the old form', (_, response) => response.end('{"error":"denied"}\n'), 'denied'],
    ['sends what is no JSON', (_, response) => response.end('<html>\n'), 'no progress message'],
    [
      'breaks off',
      (_, response) => {
        response.write('{"status":"Downloading","id":"abc","progressDetail":{"current":1,"total":2}}\n');
        setTimeout(() => response.destroy(), 50);
      },
      'the connection broke',
    ],
    [
      'answers with an error',
      (_, response) => response.writeHead(500).end('{"message":"no space left on device"}'),
      'no space left',
    ],
    [
      'ends without the image',
      (request, response) =>
        request.method === 'POST' ? response.end('') : response.writeHead(404).end('{"message":"No such image"}'),
      'without the image',
    ],
  ])('%s', async (_, answer, reason) => {
    await withEngine(answer, async (engine) => {
      await expect(engine.pullImage('a/b')).rejects.toMatchObject({
        code: 'PULL_FAILED',
        message: expect.stringContaining(reason) as unknown,
      });
    });
  });
});

describe('an engine that leaves fields out', () => {
  it('has images without configuration and no volumes', async () => {
    const image = {
      Id: 'sha256:1',
      RepoTags: null,
      RepoDigests: null,
      Config: null,
      Size: 1,
      Created: '2026',
      Architecture: 'x',
      Os: 'linux',
    };
    const answer: RequestListener = (request, response) => {
      const body =
        request.url?.includes('/history') === true
          ? []
          : request.url?.startsWith('/volumes') === true
            ? { Volumes: null }
            : request.url === '/info'
              ? {}
              : image;
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    };
    await withEngine(answer, async (engine) => {
      expect(await engine.inspectImage('x')).toMatchObject({
        tags: [],
        digests: [],
        labels: {},
        user: '',
        entrypoint: [],
        command: [],
        history: [],
      });
      expect(await engine.listVolumes()).toEqual([]);
      expect(await engine.info()).toMatchObject({ cpus: 0, name: '', warnings: [], isSwarmActive: false });
      expect(await engine.diskUsage()).toEqual({
        imagesBytes: 0,
        containersBytes: 0,
        volumesBytes: 0,
        buildCacheBytes: 0,
      });
    });
  });

  it('lists containers with every kind of health', async () => {
    const row = (status: string): object => ({
      Id: status,
      Names: ['/a'],
      Image: 'i',
      ImageID: 'x',
      State: 'running',
      Status: status,
      Labels: null,
      Created: 0,
      Ports: [{ PrivatePort: 80, Type: 'tcp' }],
      NetworkSettings: { Networks: { n: { IPAddress: '', NetworkID: 'x', Aliases: null } } },
    });
    const rows = ['Up (healthy)', 'Up (unhealthy)', 'Up (health: starting)', 'Up'].map(row);
    await withEngine(
      (_, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify(rows)),
      async (engine) => {
        const list = await engine.listContainers();
        expect(list.map((container) => container.health)).toEqual(['healthy', 'unhealthy', 'starting', 'none']);
        expect(list[0]).toMatchObject({
          labels: {},
          ports: [{ containerPort: 80, transport: 'tcp' }],
          networks: { n: { networkId: 'x', aliases: [] } },
        });
        expect(list[0]?.project).toBeUndefined();
      },
    );
  });

  it('inspects health logs', async () => {
    const state = {
      Status: 'running',
      Running: true,
      Paused: false,
      ExitCode: 0,
      StartedAt: '2026-01-01T00:00:00Z',
      FinishedAt: '0001-01-01T00:00:00Z',
      OOMKilled: false,
      Pid: 1,
      Error: '',
    };
    const health = {
      Status: 'unhealthy',
      FailingStreak: 2,
      Log: [{ Start: 'a', End: 'b', ExitCode: 1, Output: 'no' }],
    };
    const raw = {
      Id: '1',
      Name: '/a',
      Image: 'x',
      Created: '',
      RestartCount: 0,
      Config: { Image: 'i', Labels: null, User: '' },
      NetworkSettings: {
        Networks: {},
        Ports: { '80/tcp': null, '81/udp': [{ HostIp: '127.0.0.1', HostPort: '8081' }] },
      },
      HostConfig: {},
      Mounts: [],
      State: { ...state, Health: health },
    };
    await withEngine(
      (_, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify(raw)),
      async (engine) => {
        expect(await engine.inspectContainer('1')).toMatchObject({
          state: {
            health: {
              status: 'unhealthy',
              failingStreak: 2,
              log: [{ start: 'a', end: 'b', exitCode: 1, output: 'no' }],
            },
          },
          ports: [
            { containerPort: 80, transport: 'tcp' },
            { containerPort: 81, transport: 'udp', hostPort: 8081, hostAddress: '127.0.0.1' },
          ],
        });
      },
    );
  });
});
