import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@devstack-core/command-runner';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCompose, loadComposeProject, type Compose } from './index.ts';

const projectName = `cp-test-${randomBytes(4).toString('hex')}`;
const image = 'devstack/base:local';
let folder: string;
let compose: Compose;
let busy: ReturnType<typeof createServer>;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cp-real-'));
  busy = createServer().listen(0, '127.0.0.1');
  await once(busy, 'listening');
  ({ port } = busy.address() as AddressInfo);
  const file = join(folder, 'compose.yaml');
  await writeFile(
    file,
    `x-s: &s { image: "\${IMAGE}", init: true, stop_grace_period: 1s, networks: [n] }
services:
  first: { <<: *s, profiles: [one], command: ["sh", "-c", "echo hello from first; sleep 600"], volumes: ["data:/data"] }
  second: { <<: *s, profiles: [two], command: [sleep, "600"], depends_on: [first] }
  busy: { <<: *s, profiles: [three], command: [sleep, "600"], ports: ["127.0.0.1:\${BUSY}:80"] }
  sick: { <<: *s, profiles: [three], command: [sh, -c, exit 3] }
  absent: { <<: *s, image: "${projectName}/absent:1", profiles: [three], pull_policy: never }
networks: { n: { ipam: { config: [{ subnet: "10.214.55.0/24" }] } } }
volumes: { data: }
`,
  );
  compose = createCompose({
    files: [file],
    projectName,
    projectDirectory: folder,
    env: { IMAGE: image, BUSY: String(port) },
  });
});

afterAll(async () => {
  await compose.down({ volumes: true, removeOrphans: true, timeoutSeconds: 0 });
  busy.close();
  await rm(folder, { recursive: true });
});

describe('an overlay', () => {
  it('changes what it says and nothing else: with the same in it, compose would make no other container', async () => {
    const file = join(folder, 'overlay.yaml');
    const own = await compose.configHashes();
    await writeFile(file, 'services:\n  first:\n    cap_drop: !override [ALL]\n    cap_add: !override [CHOWN]\n');
    const overlaid = compose.withOverlay(file);
    const given = await overlaid.configHashes();
    expect(given.get('first')).not.toBe(own.get('first'));
    expect(given.get('second')).toBe(own.get('second'));
    expect((await overlaid.config())['services']).toMatchObject({ first: { cap_drop: ['ALL'], cap_add: ['CHOWN'] } });

    await writeFile(file, 'services:\n  first:\n    cap_add: !reset []\n');
    expect((await overlaid.configHashes()).get('first')).toBe(own.get('first'));
    expect((await compose.configHashes()).get('first')).toBe(own.get('first'));
  });
});

describe('a real project', () => {
  it('comes up, is listed, stops, starts and logs', async () => {
    const lines: string[] = [];
    await compose.up({ profiles: ['one'], wait: true, onLine: (line) => lines.push(line.text) });
    expect(lines.join('\n')).toContain('Started');
    expect(await compose.ps()).toEqual([
      expect.objectContaining({ service: 'first', state: 'running', name: `${projectName}-first-1` }),
    ]);
    await compose.up({ services: ['second'], noRecreate: true });
    expect((await compose.ps()).map((container) => container.service).toSorted()).toEqual(['first', 'second']);
    await compose.stop({ services: ['second'], timeoutSeconds: 0 });
    expect((await compose.ps({ services: ['second'] }))[0]).toMatchObject({ state: 'exited' });
    await compose.start({ services: ['second'] });
    await compose.restart({ services: ['second'], timeoutSeconds: 0, noDeps: true });
    expect((await compose.ps({ services: ['second'] }))[0]).toMatchObject({ state: 'running' });
    const logged: string[] = [];
    await compose.logs({ services: ['first'], tail: 1, noLogPrefix: true, onLine: (line) => logged.push(line.text) });
    expect(logged).toContain('hello from first');
    await compose.remove({ services: ['second'], stop: true });
    expect((await compose.ps()).map((container) => container.service)).toEqual(['first']);
  });

  it('has the hashes that its containers carry, so that “nothing to do” can be told', async () => {
    const hashes = await compose.configHashes();
    const { stdout } = await run([
      'docker',
      'inspect',
      '--format',
      '{{index .Config.Labels "com.docker.compose.config-hash"}}',
      `${projectName}-first-1`,
    ]);
    expect(hashes.get('first')).toBe(stdout.trim());
    expect(await compose.config()).toMatchObject({ name: projectName });
    expect(await compose.version()).toMatch(/^v?2\./);
  });

  it('uses the names that the model tells', async () => {
    const model = await loadComposeProject({
      files: [join(folder, 'compose.yaml')],
      env: { IMAGE: image, BUSY: '1' },
      projectName,
    });
    await run(['docker', 'volume', 'inspect', model.volumeName('data')]);
    const { stdout } = await run([
      'docker',
      'network',
      'inspect',
      '--format',
      '{{(index .IPAM.Config 0).Subnet}}',
      model.networks[0]?.engineName ?? '',
    ]);
    expect(stdout.trim()).toBe(model.networks[0]?.subnet);
  });

  it('names the port that is taken', async () => {
    await expect(compose.up({ services: ['busy'] })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      details: { port, address: '127.0.0.1' },
    });
  });

  it('names the service that ended, the image that is missing, and the service that is none', async () => {
    await expect(compose.up({ services: ['sick'], wait: true })).rejects.toMatchObject({
      code: 'SERVICE_UNHEALTHY',
      details: { container: `${projectName}-sick-1` },
    });
    await expect(compose.up({ services: ['absent'] })).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    await expect(compose.up({ services: ['none'] })).rejects.toMatchObject({ code: 'UNKNOWN_SERVICE' });
  });

  it('names a subnet that is in use', async () => {
    const other = createCompose({
      files: [join(folder, 'compose.yaml')],
      projectName: `${projectName}-b`,
      projectDirectory: folder,
      env: { IMAGE: image, BUSY: '1' },
    });
    await expect(other.create({ services: ['first'] })).rejects.toMatchObject({ code: 'SUBNET_IN_USE' });
    await other.down({ volumes: true });
  });

  it('tells files that compose refuses, and an engine that does not answer', async () => {
    await writeFile(join(folder, 'wrong.yaml'), 'services: {a: {image: x, imag: y}}\n');
    const options = { projectName: `${projectName}-c`, projectDirectory: folder };
    await expect(createCompose({ ...options, files: [join(folder, 'wrong.yaml')] }).config()).rejects.toMatchObject({
      code: 'COMPOSE_PARSE',
      message: expect.stringContaining('imag') as unknown,
    });
    const deaf = createCompose({
      ...options,
      files: [join(folder, 'compose.yaml')],
      env: { IMAGE: image, BUSY: '1', DOCKER_HOST: 'unix:///nowhere.sock' },
    });
    await expect(deaf.ps()).rejects.toMatchObject({ code: 'DOCKER_UNREACHABLE' });
  });

  it('goes with its data when told so', async () => {
    await compose.down({ volumes: true, timeoutSeconds: 0 });
    expect(await compose.ps()).toEqual([]);
    const { stdout } = await run([
      'docker',
      'volume',
      'ls',
      '--quiet',
      '--filter',
      `label=com.docker.compose.project=${projectName}`,
    ]);
    expect(stdout).toBe('');
  });
});
