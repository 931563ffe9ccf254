import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Secret } from '@devstack-core/redaction';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { startRegistry, type Fault } from '../test/small-registry.ts';
import { connectDocker, type DockerEngine } from './index.ts';

const image = 'devstack/base:local';
const prefix = `de-test-${randomBytes(4).toString('hex')}`;
// Of its own: what a killed run left must not stop the next one.
const net = `10.213.${parseInt(prefix.slice(-2), 16)}`;
const labels = { 'com.docker.compose.project': prefix, 'com.docker.compose.service': 'sleeper' };
let engine: DockerEngine;
let sleeper: string;

beforeAll(async () => {
  engine = await connectDocker();
  sleeper = await engine.createContainer({
    name: `${prefix}-sleeper`,
    image,
    argv: ['sleep', '600'],
    labels,
    network: 'none',
    user: '1000:1000',
  });
  await engine.startContainer(sleeper);
});

afterAll(async () => {
  for (const { id } of await engine.listContainers({ all: true, project: prefix }))
    await engine.removeContainer(id, { force: true });
  for (const { name } of await engine.listVolumes()) if (name.startsWith(prefix)) await engine.removeVolume(name);
  for (const { name } of await engine.listNetworks()) if (name.startsWith(prefix)) await engine.removeNetwork(name);
  await engine[Symbol.asyncDispose]();
});

afterEach(() => vi.unstubAllEnvs());

describe('the engine', () => {
  it('says what it is and what it has', async () => {
    await engine.ping();
    expect(engine.endpoint).toBe('unix:///var/run/docker.sock');
    expect(await engine.version()).toMatchObject({
      os: 'linux',
      apiVersion: expect.stringMatching(/^1\.\d+$/) as unknown,
    });
    const info = await engine.info();
    expect(info.cpus).toBeGreaterThan(0);
    expect(info.dockerRootDir).toMatch(/^\//);
    expect(Math.abs(Date.parse(info.systemTime) - Date.now())).toBeLessThan(60_000);
    expect((await engine.diskUsage()).imagesBytes).toBeGreaterThan(1_000_000);
  });

  it('is found without what the environment of this process says', async () => {
    vi.stubEnv('DOCKER_HOST', 'tcp://127.0.0.1:1');
    vi.stubEnv('DOCKER_TLS_VERIFY', '1');
    await using other = await connectDocker();
    await expect(other.ping()).resolves.toBeUndefined();
  });

  it('that is stopped is told with how to start it', async () => {
    await expect(connectDocker({ host: 'unix:///nowhere/docker.sock' })).rejects.toMatchObject({
      code: 'DOCKER_UNREACHABLE',
      message: expect.stringContaining('unix:///nowhere/docker.sock') as unknown,
      hint: expect.stringContaining('Start it') as unknown,
    });
    await expect(connectDocker({ env: { DOCKER_HOST: 'tcp://127.0.0.1:1' } })).rejects.toMatchObject({
      code: 'DOCKER_UNREACHABLE',
    });
  });

  it('behind ssh is reached through the ssh program, exec with input included', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'de-ssh-'));
    try {
      // Stands for ssh: drops its own arguments and runs the far command here.
      await writeFile(
        join(folder, 'ssh'),
        '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\n[ "$2" = engine.example ] || { echo "no such host" >&2; exit 255; }\nshift 2\nexec "$@"\n',
      );
      await chmod(join(folder, 'ssh'), 0o755);
      vi.stubEnv('PATH', `${folder}:${process.env['PATH'] ?? ''}`);
      await using far = await connectDocker({ host: 'ssh://me@engine.example:2222' });
      expect((await far.version()).os).toBe('linux');
      expect(await far.exec(sleeper, ['sh', '-c', 'cat; exit 3'], { stdin: 'through ssh' })).toEqual({
        exitCode: 3,
        stdout: 'through ssh',
        stderr: '',
      });
      expect(await far.runEphemeral({ image, argv: ['cat'], stdin: 'once' })).toMatchObject({
        exitCode: 0,
        stdout: 'once',
      });
      await expect(connectDocker({ host: 'ssh://me@wrong.example' })).rejects.toMatchObject({
        code: 'DOCKER_UNREACHABLE',
        message: expect.stringContaining('no such host') as unknown,
      });
      vi.stubEnv('PATH', '/nowhere');
      await expect(connectDocker({ host: 'ssh://me@engine.example' })).rejects.toMatchObject({
        code: 'DOCKER_UNREACHABLE',
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('containers', () => {
  it('are listed by project and inspected', async () => {
    const [row] = await engine.listContainers({ project: prefix, labels: { 'com.docker.compose.service': true } });
    expect(row).toMatchObject({
      id: sleeper,
      name: `${prefix}-sleeper`,
      image,
      state: 'running',
      health: 'none',
      project: prefix,
      service: 'sleeper',
    });
    const details = await engine.inspectContainer(sleeper);
    expect(details).toMatchObject({
      id: sleeper,
      name: `${prefix}-sleeper`,
      imageName: image,
      restartCount: 0,
      user: '1000:1000',
    });
    expect(details.state).toMatchObject({ status: 'running', running: true, exitCode: 0, oomKilled: false });
    expect(details.state.startedAt).toMatch(/^20/);
    expect(details.state.finishedAt).toBeUndefined();
    expect(details.state.health).toBeUndefined();
  });

  it('keep the data of their creation', async () => {
    await engine.ensureVolume({ name: `${prefix}-data`, labels });
    await engine.createNetwork({
      name: `${prefix}-net`,
      subnet: `${net}.0/24`,
      gateway: `${net}.1`,
      internal: true,
      labels,
    });
    await using made = await engine.ephemeralContainer({
      name: `${prefix}-full`,
      image,
      argv: ['sleep', '60'],
      entrypoint: [],
      env: { A: '1' },
      workdir: '/tmp',
      binds: [`${prefix}-data:/data:ro`],
      tmpfs: { '/run/x': 'size=1m' },
      network: `${prefix}-net`,
      networkAliases: ['alias-x'],
      address: `${net}.9`,
      ports: [{ containerPort: 80, hostPort: 18_080 }, { containerPort: 81 }],
      capAdd: ['NET_BIND_SERVICE'],
      capDrop: ['ALL'],
      securityOptions: ['no-new-privileges'],
      privileged: false,
      readOnlyRoot: true,
      memoryBytes: 64 * 1024 ** 2,
      cpus: 0.5,
      pids: 50,
      restart: 'no',
    });
    const created = await engine.inspectContainer(made.id);
    expect(created.state).toMatchObject({ status: 'created', running: false });
    expect(created.state.startedAt).toBeUndefined();
    expect(created.mounts).toEqual([
      expect.objectContaining({ type: 'volume', name: `${prefix}-data`, target: '/data', readOnly: true }),
    ]);
    expect(created.ports).toContainEqual({
      containerPort: 80,
      transport: 'tcp',
      hostPort: 18_080,
      hostAddress: '127.0.0.1',
    });
    expect(created.raw).toMatchObject({
      HostConfig: { NanoCpus: 5e8, Memory: 67_108_864, PidsLimit: 50, CapDrop: ['ALL'], ReadonlyRootfs: true },
      Config: { Env: expect.arrayContaining(['A=1']) as unknown },
    });
    await engine.startContainer(made.id);
    const running = await engine.inspectContainer(made.id);
    expect(running.networks[`${prefix}-net`]).toMatchObject({
      ip: `${net}.9`,
      aliases: expect.arrayContaining(['alias-x']) as unknown,
    });
    expect(await engine.inspectNetwork(`${prefix}-net`)).toMatchObject({
      internal: true,
      subnets: [`${net}.0/24`],
      gateways: [`${net}.1`],
      containers: [{ address: `${net}.9` }],
    });
    await expect(engine.removeVolume(`${prefix}-data`)).rejects.toMatchObject({ code: 'DOCKER_CONFLICT' });
    await expect(engine.createContainer({ name: `${prefix}-full`, image, argv: ['true'] })).rejects.toMatchObject({
      code: 'DOCKER_CONFLICT',
    });
  });

  it('start, stop, pause, restart and end; asking twice is fine', async () => {
    await using made = await engine.ephemeralContainer({
      image,
      argv: ['sh', '-c', 'trap "exit 4" TERM; while :; do sleep 0.05; done'],
      network: 'none',
      labels,
    });
    const status = async (): Promise<string> => (await engine.inspectContainer(made.id)).state.status;
    await engine.startContainer(made.id);
    await engine.startContainer(made.id);
    await engine.pauseContainer(made.id);
    expect(await status()).toBe('paused');
    await engine.unpauseContainer(made.id);
    await engine.restartContainer(made.id, { timeoutSeconds: 2 });
    expect(await status()).toBe('running');
    await engine.stopContainer(made.id, { timeoutSeconds: 5 });
    await engine.stopContainer(made.id);
    expect((await engine.inspectContainer(made.id)).state).toMatchObject({
      status: 'exited',
      exitCode: 4,
      finishedAt: expect.stringMatching(/^20/) as unknown,
    });
    await engine.startContainer(made.id);
    await engine.killContainer(made.id);
    await vi.waitFor(async () => {
      expect(await status()).toBe('exited');
    });
    await engine.restartContainer(made.id);
    await made.remove();
    await made.remove();
    await expect(engine.inspectContainer(made.id)).rejects.toMatchObject({
      code: 'CONTAINER_NOT_FOUND',
      hint: expect.stringContaining('docker container ls') as unknown,
    });
  });

  it('whose port is taken tell which', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using made = await engine.ephemeralContainer({
      image,
      argv: ['sleep', '60'],
      ports: [{ containerPort: 80, hostPort: port }],
      labels,
    });
    await expect(engine.startContainer(made.id)).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      details: { port, address: '127.0.0.1' },
    });
    server.close();
  });

  it('of an image that is not there are refused', async () => {
    await expect(engine.createContainer({ image: `${prefix}/none:1` })).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      message: expect.stringContaining(`${prefix}/none`) as unknown,
    });
    await expect(engine.startContainer(`${prefix}-none`)).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });

  it('with a health check tell its results', async () => {
    const rows = await engine.listContainers({ all: true });
    for (const row of rows.filter((candidate) => candidate.health !== 'none')) {
      const details = await engine.inspectContainer(row.id).catch(() => undefined);
      if (details?.state.running === true) expect(details.state.health?.log).toBeInstanceOf(Array);
    }
  });
});

describe('exec', () => {
  it('gives both streams and the exit code', async () => {
    const script = 'echo out; echo err >&2; id -u; exit 7';
    expect(await engine.exec(sleeper, ['sh', '-c', script])).toEqual({
      exitCode: 7,
      stdout: 'out\n1000\n',
      stderr: 'err\n',
    });
  });

  it('hands a secret over by the standard input, to its last byte', async () => {
    const input = new Secret('grüße\n'.repeat(50_000));
    const { stdout, exitCode } = await engine.exec(sleeper, ['sh', '-c', 'cat'], {
      stdin: input,
      user: '0',
      workdir: '/tmp',
      env: { X: 'y' },
    });
    expect(exitCode).toBe(0);
    expect(stdout).toBe(input.reveal());
  });

  it('does not mind a program that reads nothing', async () => {
    expect(await engine.exec(sleeper, ['true'], { stdin: new Uint8Array(1_000_000) })).toMatchObject({ exitCode: 0 });
  });

  it('ends the wait on timeout and abort', async () => {
    await expect(engine.exec(sleeper, ['sleep', '2'], { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'EXEC_TIMED_OUT',
    });
    await expect(engine.exec(sleeper, ['sleep', '2'], { signal: AbortSignal.timeout(100) })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    await expect(engine.exec(sleeper, ['sleep', '2'], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });

  it('names a program and a container that are not there', async () => {
    expect((await engine.exec(sleeper, ['/no/such/program'])).exitCode).toBeGreaterThanOrEqual(126);
    await expect(engine.exec(`${prefix}-none`, ['true'])).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });
});

describe('logs', () => {
  it('keep the order of both streams, and can be followed', async () => {
    const script = 'echo one; sleep 0.1; echo two >&2; sleep 0.1; echo "drei ü"; sleep 0.3';
    await using made = await engine.ephemeralContainer({ image, argv: ['sh', '-c', script], network: 'none', labels });
    await engine.startContainer(made.id);
    const lines = await Array.fromAsync(engine.followLogs(made.id));
    expect(lines).toEqual([
      { stream: 'stdout', text: 'one' },
      { stream: 'stderr', text: 'two' },
      { stream: 'stdout', text: 'drei ü' },
    ]);
    expect(await engine.logs(made.id)).toBe('one\ntwo\ndrei ü\n');
    expect(await engine.logs(made.id, { tail: 1 })).toBe('drei ü\n');
    expect(await engine.logs(made.id, { since: new Date(Date.now() + 60_000) })).toBe('');
    expect(await engine.logs(made.id, { timestamps: true, since: 1 })).toMatch(/^20\S+ one\n/);
    await expect(engine.logs(`${prefix}-none`)).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });

  it('end with the signal without an error', async () => {
    const controller = new AbortController();
    await using made = await engine.ephemeralContainer({
      image,
      argv: ['sh', '-c', 'while :; do echo tick; sleep 0.02; done'],
      network: 'none',
      labels,
    });
    await engine.startContainer(made.id);
    let count = 0;
    for await (const line of engine.followLogs(made.id, { tail: 0, signal: controller.signal })) {
      expect(line.text).toBe('tick');
      count += 1;
      if (count === 3) controller.abort();
    }
    expect(count).toBeGreaterThanOrEqual(3);
    expect(await Array.fromAsync(engine.followLogs(made.id, { signal: AbortSignal.abort() }))).toEqual([]);
  });
});

describe('events', () => {
  it('tell what happens until the signal', async () => {
    const controller = new AbortController();
    const since = Date.now() / 1000 - 1;
    const seen: string[] = [];
    await using made = await engine.ephemeralContainer({
      name: `${prefix}-evented`,
      image,
      argv: ['true'],
      network: 'none',
      labels,
    });
    await engine.startContainer(made.id);
    for await (const event of engine.events({
      since: new Date(since * 1000),
      signal: controller.signal,
      filters: { container: [made.id] },
    })) {
      expect(event).toMatchObject({ type: 'container', id: made.id, name: `${prefix}-evented` });
      expect(Math.abs(event.timeMs - Date.now())).toBeLessThan(60_000);
      seen.push(event.action);
      if (event.action === 'die') controller.abort();
    }
    expect(seen).toEqual(['create', 'start', 'die']);
    expect(await Array.fromAsync(engine.events({ signal: AbortSignal.abort() }))).toEqual([]);
  });
});

describe('an ephemeral container', () => {
  const leftovers = async (): Promise<number> =>
    (await engine.listContainers({ all: true, labels: { 'test.run': prefix } })).length;
  const own = { image, labels: { 'test.run': prefix } };

  it('runs a program without network and capability and is gone', async () => {
    const result = await engine.runEphemeral({
      ...own,
      argv: ['sh', '-c', 'cat; grep CapEff /proc/self/status; ls /sys/class/net; exit 5'],
      stdin: 'in\n',
    });
    expect(result).toEqual({ exitCode: 5, stdout: 'in\nCapEff:\t0000000000000000\nlo\n', stderr: '' });
    expect(await leftovers()).toBe(0);
  });

  it('gets what it is given', async () => {
    const result = await engine.runEphemeral({
      ...own,
      argv: ['sh', '-c', 'id -u; pwd; echo $A; touch /t/x /x; grep CapEff /proc/self/status'],
      user: '0',
      workdir: '/t',
      env: { A: 'b' },
      tmpfs: { '/t': '' },
      binds: [`${prefix}-eph:/v`],
      readOnlyRoot: true,
      memoryBytes: 32 * 1024 ** 2,
      capDrop: ['ALL'],
      capAdd: ['CHOWN'],
      network: 'none',
    });
    expect(result.stdout).toBe('0\n/t\nb\nCapEff:\t0000000000000001\n');
    expect(result.stderr).toContain('Read-only file system');
  });

  it('is gone after a timeout, an abort and a start that fails', async () => {
    await expect(engine.runEphemeral({ ...own, argv: ['sleep', '60'], timeoutMs: 200 })).rejects.toMatchObject({
      code: 'CONTAINER_TIMED_OUT',
    });
    expect(await leftovers()).toBe(0);
    await expect(
      engine.runEphemeral({ ...own, argv: ['sleep', '60'], signal: AbortSignal.timeout(200) }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(
      engine.runEphemeral({ ...own, argv: ['sleep', '60'], signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(engine.runEphemeral({ ...own, argv: ['/no/such/program'] })).rejects.toMatchObject({
      code: 'DOCKER_REQUEST_FAILED',
    });
    await expect(engine.runEphemeral({ ...own, image: `${prefix}/none:1`, argv: ['true'] })).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
    });
    expect(await leftovers()).toBe(0);
  });
});

describe('what a killed process left behind', () => {
  it('is removed when it is old enough and does not run', async () => {
    const name = `${prefix}-left`;
    await engine.ephemeralContainer({ name, image, argv: ['true'], labels: { ...labels, 'test.left': prefix } });
    expect(await engine.removeEphemeralLeftovers({ labels: { 'test.left': prefix } })).toEqual([]);
    await vi.waitFor(async () => {
      expect(await engine.removeEphemeralLeftovers({ olderThanMs: 100, labels: { 'test.left': prefix } })).toContain(
        name,
      );
    });
    await expect(engine.inspectContainer(name)).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });
});

describe('files', () => {
  it('reach twelve volumes with owner and mode, replace old ones, and nothing runs or stays', async () => {
    const volumes = Array.from({ length: 12 }, (_, index) => `${prefix}-approle-${String(index)}`);
    await Promise.all(volumes.map((name) => engine.ensureVolume({ name, labels })));
    const write = (text: string): Promise<void> =>
      engine.writeVolumeFiles({
        image,
        labels: { ...labels, 'test.run': prefix },
        files: volumes.flatMap((volume, index) => [
          { volume, path: 'role-id', content: `${text}-${volume}`, mode: 0o600, uid: 5000 + index, gid: 6000 + index },
          {
            volume,
            path: 'nested/secret-id',
            content: new Secret(`${text} secret ü`),
            mode: 0o640,
            uid: 5000 + index,
            gid: 6000 + index,
          },
        ]),
      });
    await write('first');
    await write('second');
    const look = 'stat -c "%n %u %g %a" role-id nested nested/secret-id; cat role-id nested/secret-id';
    const seen = await engine.runEphemeral({
      image,
      argv: ['sh', '-c', look],
      user: '5007:6007',
      workdir: '/v',
      binds: [`${prefix}-approle-7:/v:ro`],
    });
    expect(seen.stdout).toBe(
      `role-id 5007 6007 600\nnested 5007 6007 750\nnested/secret-id 5007 6007 640\nsecond-${prefix}-approle-7second secret ü`,
    );
    const stranger = await engine.runEphemeral({
      image,
      argv: ['cat', '/v/role-id'],
      user: '4000',
      binds: [`${prefix}-approle-7:/v:ro`],
    });
    expect(stranger).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('Permission denied') as unknown });
    expect(await engine.listContainers({ all: true, labels: { 'test.run': prefix } })).toEqual([]);
    await engine.writeVolumeFiles({ image, files: [] });
  });

  it('of a path that leads out are refused before anything is made', async () => {
    const file = { volume: `${prefix}-x`, path: '../etc/passwd', content: '', mode: 0o600, uid: 0, gid: 0 };
    await expect(engine.writeVolumeFiles({ image, files: [file] })).rejects.toMatchObject({
      code: 'FILE_PATH_INVALID',
    });
    expect(await engine.inspectVolume(`${prefix}-x`)).toBeUndefined();
  });

  it('reach a running container', async () => {
    await engine.putFiles(sleeper, [
      { path: '/tmp/one', content: new TextEncoder().encode('1'), mode: 0o600, uid: 1000, gid: 1000 },
      { path: '/etc/two', content: '2', mode: 0o444, uid: 0, gid: 0 },
    ]);
    expect(
      await engine.exec(sleeper, ['sh', '-c', 'stat -c "%u %a" /tmp/one /etc/two; cat /tmp/one /etc/two']),
    ).toMatchObject({ stdout: '1000 600\n0 444\n12' });
    await expect(
      engine.putFiles(`${prefix}-none`, [{ path: '/x', content: '', mode: 0o600, uid: 0, gid: 0 }]),
    ).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });
});

describe('images', () => {
  it('are listed and inspected with their history', async () => {
    const details = await engine.inspectImage(image);
    expect(details?.tags).toContain(image);
    expect(details?.history.length).toBeGreaterThan(0);
    expect(details?.sizeBytes).toBeGreaterThan(1_000_000);
    expect((await engine.listImages()).some((row) => row.id === details?.id)).toBe(true);
    expect((await engine.imageHistory(image))[0]).toEqual(details?.history[0]);
    expect(await engine.inspectImage(`${prefix}/none:1`)).toBeUndefined();
    await expect(engine.removeImage(`${prefix}/none:1`)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
  });

  it('are there when a pull resolves', async () => {
    await using registry = await startRegistry('none');
    const statuses: string[] = [];
    await engine.pullImage(registry.ref, { onProgress: (progress) => statuses.push(progress.status) });
    expect(await engine.inspectImage(registry.ref)).toMatchObject({
      labels: { 'io.devstack.test': 'none' },
      tags: [registry.ref],
    });
    expect(statuses.some((status) => status.startsWith('Status:'))).toBe(true);
    await engine.removeImage(registry.ref, { force: true });
    expect(await engine.inspectImage(registry.ref)).toBeUndefined();
  });

  it.each<Fault>(['no-blob', 'wrong-blob', 'refuses'])('are reported when a pull fails: %s', async (fault) => {
    await using registry = await startRegistry(fault);
    await expect(engine.pullImage(registry.ref)).rejects.toMatchObject({
      code: 'PULL_FAILED',
      message: expect.stringContaining(registry.ref) as unknown,
    });
    expect(await engine.inspectImage(registry.ref)).toBeUndefined();
  });

  it('are reported when nobody listens, and when the caller stops', async () => {
    await expect(engine.pullImage('127.0.0.1:1/small/none')).rejects.toMatchObject({ code: 'PULL_FAILED' });
    await using registry = await startRegistry('cut-blob');
    await expect(engine.pullImage(registry.ref, { signal: AbortSignal.timeout(500) })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });
});

describe('what an audit reads', () => {
  it('the log as bytes, so far and from both streams, the binary ones too', async () => {
    const script = 'printf "out\\000\\377"; printf err >&2; head -c 300000 /dev/zero';
    const id = await engine.createContainer({ image, argv: ['sh', '-c', script], labels, network: 'none' });
    await engine.startContainer(id);
    await vi.waitFor(async () => expect((await engine.inspectContainer(id)).state.running).toBe(false), 20_000);
    const parts = await Array.fromAsync(engine.logBytes(id));
    const of = (stream: string): Buffer =>
      Buffer.concat(parts.filter((part) => part.stream === stream).map(({ bytes }) => bytes));
    expect(of('stderr').toString()).toBe('err');
    expect(of('stdout').subarray(0, 4)).toEqual(Buffer.from('out\0'));
    expect(of('stdout').length).toBeGreaterThanOrEqual(300_004);
    expect(await Array.fromAsync(engine.logBytes(id, { signal: AbortSignal.abort() }))).toEqual([]);
    await expect(Array.fromAsync(engine.logBytes('no-such'))).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });

  it('a program that was started, its events up to now, and the files of a container', async () => {
    await engine.exec(sleeper, ['sh', '-c', 'umask 077; mkdir -p /tmp/a; echo hello > /tmp/a/b; ln -sf b /tmp/a/c']);
    const { systemTime } = await engine.info();
    const until = Math.ceil(Date.parse(systemTime) / 1000);
    const events = await Array.fromAsync(
      engine.events({ since: new Date(0), until, filters: { container: [sleeper] } }),
    );
    const exec = events.findLast(({ action }) => action.startsWith('exec_create'))?.attributes['execID'] ?? '';
    expect(await engine.inspectExec(exec)).toMatchObject({
      containerId: sleeper,
      raw: { ProcessConfig: { entrypoint: 'sh' } },
    });
    await expect(engine.inspectExec('0'.repeat(64))).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
    const files: unknown[] = [];
    for await (const { path, kind, mode, uid, content } of engine.readArchive(sleeper, '/tmp/a'))
      files.push([path, kind, mode, uid, path === 'a/b' ? await text(content) : '']);
    expect(files.toSorted()).toEqual([
      ['a/', 'directory', 0o700, 1000, ''],
      ['a/b', 'file', 0o600, 1000, 'hello\n'],
      ['a/c', 'other', 0o777, 1000, ''],
    ]);
    await expect(Array.fromAsync(engine.readArchive(sleeper, '/no/such'))).rejects.toThrow();
  });

  it('the processes, where the machine of the engine has ps', async () => {
    const listed = await engine.containerProcesses(sleeper).catch((error: unknown) => String(error));
    if (typeof listed === 'string') expect(listed).toMatch(/ps/);
    else expect(listed).toMatchObject([{ pid: expect.any(Number) as unknown, command: 'sleep 600' }]);
  });

  it('a health check of its own, and an image made of a container', async () => {
    const id = await engine.createContainer({
      image,
      argv: ['sleep', '60'],
      labels,
      network: 'none',
      healthcheck: { argv: ['echo', 'well'], intervalMs: 200, timeoutMs: 2000, retries: 2 },
    });
    await engine.startContainer(id);
    await vi.waitFor(async () => {
      expect((await engine.inspectContainer(id)).state.health?.log[0]?.output).toBe('well\n');
    }, 20_000);
    const made = { repository: `${prefix}-made`, tag: 'x', comment: 'by a test', changes: ['ENV MADE=yes'] };
    const imageId = await engine.commitContainer(id, made);
    const details = await engine.inspectImage(`${prefix}-made:x`);
    expect(details).toMatchObject({
      id: imageId,
      raw: { Config: { Env: expect.arrayContaining(['MADE=yes']) as unknown } },
    });
    await engine.removeImage(`${prefix}-made:x`, { force: true });
    await engine.removeContainer(id, { force: true });
  });
});

describe('volumes and networks', () => {
  it('are made once and removed for good', async () => {
    const name = `${prefix}-once`;
    expect(await engine.ensureVolume({ name, labels })).toEqual({ created: true });
    expect(await engine.ensureVolume({ name })).toEqual({ created: false });
    expect(await engine.inspectVolume(name)).toMatchObject({ name, driver: 'local', labels });
    expect((await engine.listVolumes({ project: prefix })).map((volume) => volume.name)).toContain(name);
    await engine.removeVolume(name);
    await engine.removeVolume(name);
    expect(await engine.inspectVolume(name)).toBeUndefined();
    await engine.createNetwork({ name });
    expect((await engine.listNetworks()).map((network) => network.name)).toContain(name);
    await engine.removeNetwork(name);
    await engine.removeNetwork(name);
    expect(await engine.inspectNetwork(name)).toBeUndefined();
  });
});

describe('programs as streams', () => {
  const megabyte = randomBytes(1024 * 1024);

  async function* megabytes(count: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let sent = 0; sent < count; sent += 1) yield await Promise.resolve(megabyte);
  }

  it('take and give 100 MB in flat memory, whole', async () => {
    const expected = createHash('sha256');
    for (let sent = 0; sent < 100; sent += 1) expected.update(megabyte);
    global.gc?.();
    const before = process.memoryUsage().rss;
    const cat = await engine.execStream(sleeper, ['cat'], { stdin: megabytes(100) });
    const got = createHash('sha256');
    let most = 0;
    for await (const chunk of cat.stdout) {
      got.update(chunk);
      most = Math.max(most, process.memoryUsage().rss - before);
    }
    expect(await cat.ended).toEqual({ exitCode: 0, stderr: '' });
    expect(got.digest('hex')).toBe(expected.digest('hex'));
    expect(most / 1024 / 1024).toBeLessThan(80);
  }, 120_000);

  it('wait for a reader that is slow', async () => {
    const writer = await engine.execStream(sleeper, ['sh', '-c', 'head -c 50000000 /dev/zero; echo done >&2']);
    let bytes = 0;
    for await (const chunk of writer.stdout) {
      // Whatever the program could write ahead is in pipes, not in here.
      if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 200));
      bytes += chunk.length;
    }
    expect(bytes).toBe(50_000_000);
    expect(await writer.ended).toEqual({ exitCode: 0, stderr: 'done\n' });
  });

  it('tell their exit code and the end of what they complained of, also midway', async () => {
    const failing = await engine.execStream(sleeper, [
      'sh',
      '-c',
      'head -c 300000 /dev/zero; head -c 100000 /dev/zero | tr "\\0" e >&2; echo last words >&2; exit 7',
    ]);
    let bytes = 0;
    for await (const chunk of failing.stdout) bytes += chunk.length;
    const { exitCode, stderr } = await failing.ended;
    expect([bytes, exitCode]).toEqual([300_000, 7]);
    expect(stderr.length).toBe(64 * 1024);
    expect(stderr.endsWith('elast words\n')).toBe(true);
  });

  it('may end before their input does', async () => {
    const head = await engine.execStream(sleeper, ['head', '-c', '10'], { stdin: megabytes(20) });
    const chunks: Uint8Array[] = [];
    for await (const chunk of head.stdout) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(megabyte.subarray(0, 10));
    expect((await head.ended).exitCode).toBe(0);
    const secret = await engine.execStream(sleeper, ['cat'], { stdin: new Secret('by the stream') });
    expect(Buffer.concat(await Array.fromAsync(secret.stdout)).toString()).toBe('by the stream');
  });

  it('whose input fails are told by that, and meet the end of their input', async () => {
    async function* failing(): AsyncGenerator<Uint8Array, void, undefined> {
      yield Buffer.from('half');
      await Promise.resolve();
      throw new Error('the disk is gone');
    }
    const cat = await engine.execStream(sleeper, ['cat'], { stdin: failing() });
    await expect(Array.fromAsync(cat.stdout)).rejects.toThrow('the disk is gone');
    await expect(cat.ended).rejects.toThrow('the disk is gone');
  });

  it('that nobody reads any more are let go, and a signal ends the reading', async () => {
    const yes = await engine.execStream(sleeper, ['cat'], { stdin: megabytes(1000) });
    for await (const chunk of yes.stdout) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await expect(yes.ended).rejects.toMatchObject({ code: 'INTERRUPTED' });
    const stop = new AbortController();
    const waiting = await engine.execStream(sleeper, ['sleep', '5'], { signal: stop.signal });
    setTimeout(() => {
      stop.abort();
    }, 50);
    await expect(Array.fromAsync(waiting.stdout)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(engine.execStream(sleeper, ['true'], { signal: stop.signal })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    await expect(engine.execStream('0'.repeat(64), ['true'])).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });

  it('whose container vanishes do not look as if they had ended well', async () => {
    const id = await engine.createContainer({ image, argv: ['sleep', '600'], labels, network: 'none' });
    await engine.startContainer(id);
    const endless = await engine.execStream(id, ['sh', '-c', 'while :; do echo x; sleep 0.05; done']);
    const reading = (async (): Promise<number> => {
      for await (const _chunk of endless.stdout);
      return (await endless.ended).exitCode;
    })();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await engine.removeContainer(id, { force: true });
    const outcome = await reading.catch((error: unknown) => error);
    expect(outcome).not.toBe(0);
  });
});

describe('a port that leads into a container', () => {
  const serve = `require('http').createServer((q, a) => { q.resume(); q.on('end', () => a.end('you asked for ' + q.url)) }).listen(8080, '127.0.0.1')`;
  let server: string;

  beforeAll(async () => {
    server = await engine.createContainer({ image, argv: ['node', '-e', serve], labels, network: 'none' });
    await engine.startContainer(server);
    await vi.waitFor(async () => {
      await using forward = await engine.forward(server, 8080);
      expect((await fetch(`http://127.0.0.1:${String(forward.port)}/`)).ok).toBe(true);
    }, 30_000);
  });

  it('serves HTTP, many connections at once, to a container without network', async () => {
    await using forward = await engine.forward(server, 8080);
    expect(forward.host).toBe('127.0.0.1');
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const answer = await fetch(`http://127.0.0.1:${String(forward.port)}/${String(index)}`, {
          headers: { connection: 'close' },
          ...(index % 2 === 0 ? {} : { method: 'POST', body: Buffer.alloc(300_000, 'x') }),
        });
        return answer.text();
      }),
    );
    expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => `you asked for /${String(index)}`));
  });

  it('closes its connections with it, and those that lead nowhere at once', async () => {
    const forward = await engine.forward(server, 8080);
    const open = connect(forward.port, '127.0.0.1');
    await new Promise((resolve) => open.once('connect', resolve));
    const closed = new Promise((resolve) => open.once('close', resolve));
    open.on('error', () => undefined);
    await forward.close();
    await closed;
    await expect(fetch(`http://127.0.0.1:${String(forward.port)}/`)).rejects.toThrow();
    await using nowhere = await engine.forward(server, 9);
    await expect(fetch(`http://127.0.0.1:${String(nowhere.port)}/`)).rejects.toThrow();
    await using gone = await engine.forward('0'.repeat(64), 80);
    await expect(fetch(`http://127.0.0.1:${String(gone.port)}/`)).rejects.toThrow();
    await using relay = await engine.forward(server, 8080, {
      relay: [
        'node',
        '-e',
        "process.stdout.write('HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nhi');process.stdin.resume()",
      ],
      user: '1000',
    });
    expect(await (await fetch(`http://127.0.0.1:${String(relay.port)}/`)).text()).toBe('hi');
  });
});
