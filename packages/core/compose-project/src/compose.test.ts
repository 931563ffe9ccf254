import type { RunOptions, RunResult } from '@devstack-core/command-runner';
import { DevstackError } from '@devstack-core/errors';
import { describe, expect, it } from 'vitest';
import { createCompose, type Compose, type Runner } from './index.ts';

const calls: { argv: readonly string[]; options: RunOptions | undefined }[] = [];

function composeThat(result: Partial<RunResult>): Compose {
  calls.length = 0;
  const run: Runner = (argv, options) => {
    calls.push({ argv, options });
    return Promise.resolve({
      exitCode: 0,
      signal: undefined,
      stdout: '',
      stderr: '',
      truncated: false,
      durationMs: 1,
      command: '',
      ...result,
    });
  };
  return createCompose({
    files: ['/p/a.yaml', '/p/b.yaml'],
    projectName: 'mine',
    projectDirectory: '/p',
    env: { A: '1' },
    envFile: '/p/.env',
    run,
    runInteractive: (argv) => {
      calls.push({ argv, options: undefined });
      return Promise.resolve(7);
    },
  });
}

const words = (): string => calls[0]?.argv.join(' ') ?? '';
const head =
  'docker compose --project-name mine --project-directory /p --file /p/a.yaml --file /p/b.yaml --env-file /p/.env --ansi=never --progress=plain';

describe('docker compose is called', () => {
  it.each<[string, (compose: Compose) => Promise<unknown>, string]>([
    [
      'up of a profile',
      (compose) =>
        compose.up({
          profiles: ['minimal'],
          wait: true,
          waitTimeoutSeconds: 9,
          noRecreate: true,
          build: false,
          removeOrphans: true,
        }),
      '--profile minimal up --detach --wait --wait-timeout 9 --no-recreate --no-build --remove-orphans',
    ],
    [
      'up of services',
      (compose) => compose.up({ services: ['vault'], noDeps: true, forceRecreate: true, build: true }),
      '--profile * up --detach --force-recreate --build --no-deps vault',
    ],
    ['up of what has no profile', (compose) => compose.up(), 'up --detach'],
    ['create', (compose) => compose.create({ services: ['a'] }), '--profile * create a'],
    ['start', (compose) => compose.start({ services: ['a', 'b'] }), '--profile * start a b'],
    ['stop', (compose) => compose.stop({ timeoutSeconds: 3 }), '--profile * stop --timeout 3'],
    ['restart', (compose) => compose.restart({ services: ['a'], noDeps: true }), '--profile * restart --no-deps a'],
    [
      'down',
      (compose) => compose.down({ volumes: true, removeOrphans: true, timeoutSeconds: 1 }),
      '--profile * down --volumes --remove-orphans --timeout 1',
    ],
    ['rm', (compose) => compose.remove({ services: ['a'], stop: true }), '--profile * rm --force --stop a'],
    [
      'build',
      (compose) => compose.build({ services: ['a'], noCache: true, pull: true, args: { X: '1' } }),
      '--profile * build --no-cache --pull --build-arg X=1 a',
    ],
    [
      'logs',
      (compose) =>
        compose.logs({ services: ['a'], follow: true, tail: 5, since: '1m', timestamps: true, noLogPrefix: true }),
      '--profile * logs --no-color --follow --tail 5 --since 1m --timestamps --no-log-prefix a',
    ],
    [
      'exec',
      (compose) =>
        compose.execInteractive('a', ['psql', '-U', 'x'], { user: '5432', env: { L: 'C' }, workdir: '/', tty: false }),
      '--profile * exec --no-TTY --user 5432 --workdir / --env L=C a psql -U x',
    ],
  ])('%s', async (_, call, expected) => {
    await call(composeThat({}));
    expect(words()).toBe(`${head} ${expected}`);
  });

  it('with one more file laid over the others, for whoever asked for it alone', async () => {
    const compose = composeThat({});
    await compose.withOverlay('/tmp/c.yaml').start({ services: ['a'] });
    expect(words()).toBe(`${head.replace('b.yaml', 'b.yaml --file /tmp/c.yaml')} --profile * start a`);
    calls.length = 0;
    await compose.start({ services: ['a'] });
    expect(words()).toBe(`${head} --profile * start a`);
  });

  it('with the caller’s environment, in the project’s folder, with lines and signal handed on', async () => {
    const { signal } = new AbortController();
    const onLine = (): void => undefined;
    await composeThat({}).up({ onLine, signal, timeoutMs: 5 });
    expect(calls[0]?.options).toEqual({ cwd: '/p', env: { A: '1' }, check: false, onLine, signal, timeoutMs: 5 });
    expect(
      composeThat({})
        .logsArgv({ services: ['a'] })
        .join(' '),
    ).toBe(`${head} --profile * logs --no-color a`);
    expect(await composeThat({}).execInteractive('a', ['sh'])).toBe(7);
  });
});

describe('what docker compose prints', () => {
  const row = {
    ID: '1',
    Name: 'mine-a-1',
    Service: 'a',
    Image: 'i',
    State: 'running',
    Health: 'healthy',
    ExitCode: 0,
    Status: 'Up',
  };
  const container = {
    id: '1',
    name: 'mine-a-1',
    service: 'a',
    image: 'i',
    state: 'running',
    health: 'healthy',
    exitCode: 0,
    status: 'Up',
  };
  it.each([
    ['objects per line', `${JSON.stringify(row)}\n${JSON.stringify(row)}\n`, [container, container]],
    ['one array', JSON.stringify([row]), [container]],
    ['nothing', '', []],
    [
      'less than all',
      '{"ID":1}',
      [{ id: '', name: '', service: '', image: '', state: '', health: '', exitCode: 0, status: '' }],
    ],
  ])('ps: %s', async (_, stdout, expected) => {
    expect(await composeThat({ stdout }).ps()).toEqual(expected);
  });

  it('config, hashes and version', async () => {
    expect(await composeThat({ stdout: '{"name":"mine"}' }).config()).toEqual({ name: 'mine' });
    expect(await composeThat({ stdout: '[]' }).config({ profiles: ['x'] })).toEqual({});
    expect([...(await composeThat({ stdout: 'a 123\nb 456\n\n' }).configHashes())]).toEqual([
      ['a', '123'],
      ['b', '456'],
    ]);
    expect(await composeThat({ stdout: '2.26.1-4\n' }).version()).toBe('2.26.1-4');
    await expect(
      composeThat({ exitCode: 1, stderr: "docker: 'compose' is not a docker command." }).version(),
    ).rejects.toMatchObject({ code: 'COMPOSE_MISSING' });
  });
});

describe('a failure of docker compose', () => {
  it.each<[string, string, string, Record<string, unknown>?]>([
    [
      'a port of another container',
      'Error response from daemon: driver failed programming external connectivity on endpoint x (abc): Bind for 127.0.0.1:5432 failed: port is already allocated',
      'PORT_IN_USE',
      { port: 5432, address: '127.0.0.1' },
    ],
    [
      'a port of a program',
      'Error starting userland proxy: listen tcp4 127.0.0.1:6379: bind: address already in use',
      'PORT_IN_USE',
      { port: 6379, address: '127.0.0.1' },
    ],
    ['a port on every address', 'listen tcp6 [::]:80: bind: address already in use', 'PORT_IN_USE', { port: 80 }],
    [
      'a subnet',
      'failed to create network x: Error response from daemon: Pool overlaps with other one on this address space',
      'SUBNET_IN_USE',
    ],
    [
      'no permission',
      'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock',
      'DOCKER_PERMISSION_DENIED',
    ],
    [
      'a stopped engine',
      'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
      'DOCKER_UNREACHABLE',
    ],
    ['no compose', "unknown shorthand flag: 'f' in -f", 'COMPOSE_MISSING'],
    [
      'an unhealthy dependency',
      'dependency failed to start: container mine-vault-1 is unhealthy',
      'SERVICE_UNHEALTHY',
      { container: 'mine-vault-1' },
    ],
    ['an ended service', 'container mine-a-1 exited (1)', 'SERVICE_UNHEALTHY', { container: 'mine-a-1' }],
    ['a missing image', 'Error response from daemon: No such image: x/y:1', 'IMAGE_NOT_FOUND', { image: 'x/y:1' }],
    [
      'an image that is not served',
      'pull access denied for x/y, repository does not exist',
      'IMAGE_NOT_FOUND',
      { image: 'x/y' },
    ],
    ['a manifest that is not there', 'manifest unknown', 'IMAGE_NOT_FOUND'],
    ['a service that is not there', 'no such service: x', 'UNKNOWN_SERVICE', { service: 'x' }],
    [
      'files that are wrong',
      'validating /p/a.yaml: services.a Additional property imag is not allowed',
      'COMPOSE_PARSE',
    ],
    ['anything else', 'a\nb\n\nc\nd\ne\nf', 'COMPOSE_FAILED'],
    ['nothing said', '', 'COMPOSE_FAILED'],
  ])('%s', async (_, stderr, code, details = {}) => {
    await expect(composeThat({ exitCode: 1, stderr }).up()).rejects.toMatchObject({
      code,
      details: { command: 'up', exitCode: 1, ...details },
    });
  });

  it('quotes the last lines', async () => {
    await expect(composeThat({ exitCode: 14, stderr: 'a\nb\nc\nd\ne\nf\n' }).down()).rejects.toMatchObject({
      message: 'docker compose down exited with 14: b\nc\nd\ne\nf',
    });
  });

  it('a missing client has its own code; other errors of the runner stay', async () => {
    const failing = (code: string): Compose =>
      createCompose({
        files: [],
        projectName: 'p',
        projectDirectory: '/',
        run: () => Promise.reject(new DevstackError({ code, message: 'no' })),
      });
    await expect(failing('COMMAND_NOT_FOUND').ps()).rejects.toMatchObject({ code: 'COMPOSE_MISSING' });
    await expect(failing('COMMAND_TIMED_OUT').ps()).rejects.toMatchObject({ code: 'COMMAND_TIMED_OUT' });
  });
});
