import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { app, describeResult, devstack, requireBuild, root, type CliOptions, type CliResult } from '../support/cli.ts';

// The built app without a stack and without Docker: arguments, help, exit codes, output.

const noDocker = { DOCKER_HOST: 'unix:///nonexistent/docker.sock' };
let configHome: string;

function run(line: string | readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const args = typeof line === 'string' ? line.split(' ').filter(Boolean) : line;
  // With a prefix given, opening a project asks Docker nothing.
  const env = {
    DEVSTACK_CONFIG_HOME: configHome,
    DEVSTACK_PROJECT: 'e2e-cli',
    DEVSTACK_PORT_OFFSET: '30000',
    DEVSTACK_SUBNET_PREFIX: '10.127',
    ...noDocker,
  };
  return devstack(args, { ...options, env: { ...env, ...options.env } });
}

beforeAll(async () => {
  requireBuild();
  configHome = await mkdtemp(join(tmpdir(), 'devstack-e2e-'));
});

afterAll(async () => {
  await rm(configHome, { recursive: true, force: true });
});

describe('help and version', () => {
  test.each(['--version', '-v'])('%s prints the version alone', async (flag) => {
    const { version } = JSON.parse(readFileSync(`${app}/package.json`, 'utf8')) as { version: string };
    expect(await run(flag)).toMatchObject({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each(['', '--help', '-h', 'help'])('"%s" lists every command on stdout', async (line) => {
    const result = await run(line);
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    for (const word of ['up', 'vault show-password', 'doctor', 'completion', 'Exit status:'])
      expect(result.stdout).toContain(word);
  });

  test.each([
    ['up --help', /^Usage: devstack up .*\n[^]*Examples:[^]*Exit status:[^]*130/m],
    ['health --help', /3 +asked, and at least one is not healthy/],
    ['vault --help', /vault approle-matrix/],
    ['vault-show-password --help', /Usage: devstack vault show-password/],
    ['help vault unseal', /Usage: devstack vault unseal/],
  ])('%s', async (line, expected) => {
    const result = await run(line);
    expect(result.exitCode).toBe(0);
    expect(result.stdout).toMatch(expected);
  });

  test('works where there is no checkout', async () => {
    expect(await run('--help', { cwd: '/' })).toMatchObject({ exitCode: 0 });
  });

  test('loads no driver and no client: what is slow is loaded by the command that needs it', () => {
    const listed = modulesOf(['--help']);
    expect(listed.length).toBeGreaterThan(2);
    const heavy = /node_modules|dockerode|node-vault|ioredis|mysql2|mongodb|amqplib/;
    expect(listed.filter((path) => heavy.test(path))).toEqual([]);
    expect(clientsIn(listed)).toEqual([]);
    // The control: a command that works on a stack does load clients, and the same look sees them.
    const more = modulesOf(['status']);
    expect(more.length).toBeGreaterThan(listed.length);
    expect(clientsIn(more)).not.toEqual([]);
  });

  // The app is bundled: what is in it is told by names that only each client's own code has.
  function clientsIn(paths: readonly string[]): readonly string[] {
    const contents = paths.map((path) => readFileSync(path, 'utf8')).join('\n');
    return ['Dockerode', 'ioredis', 'MongoClient', 'mysql_native_password', 'amqplib', 'X-Vault-Token'].filter((name) =>
      contents.includes(name),
    );
  }

  // The modules that a run reads, by a hook of Node's own loader.
  function modulesOf(args: readonly string[]): readonly string[] {
    const hook = `import { registerHooks } from 'node:module'; import { writeSync } from 'node:fs';
      registerHooks({ load(url, context, next) { if (url.startsWith('file:')) writeSync(2, 'LOADED ' + new URL(url).pathname + '\\n'); return next(url, context); } });`;
    const { stderr } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, `${app}/bin.js`, ...args],
      {
        cwd: root,
        encoding: 'utf8',
        env: {
          PATH: process.env['PATH'],
          ...noDocker,
          DEVSTACK_CONFIG_HOME: configHome,
          DEVSTACK_PROJECT: 'e2e-cli',
          DEVSTACK_SUBNET_PREFIX: '10.127',
        },
      },
    );
    return stderr.split('\n').flatMap((line) => (line.startsWith('LOADED ') ? [line.slice(7)] : []));
  }
});

describe('completion', () => {
  test('bash: parses, and completes commands, verbs, services and flags', async () => {
    const { stdout, exitCode } = await run('completion bash');
    expect(exitCode).toBe(0);
    expect(spawnSync('bash', ['-n'], { input: stdout }).status).toBe(0);
    const complete = (words: readonly string[]): string => {
      const script = `${stdout}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${String(words.length - 1)}; _devstack; echo "\${COMPREPLY[*]}"`;
      return spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }).stdout.trim();
    };
    expect(complete(['devstack', 'sta'])).toBe('start status');
    expect(complete(['devstack', 'vault', 'show'])).toBe('show-password');
    expect(complete(['devstack', 'logs', 'redis-'])).toBe('redis-1 redis-2 redis-3');
    expect(complete(['devstack', 'up', '--prof'])).toBe('--profile');
  });

  test.each(['zsh', 'fish'])('%s: a script that its shell parses, where the shell is installed', async (shell) => {
    const { stdout, exitCode } = await run(['completion', shell]);
    expect(exitCode).toBe(0);
    for (const word of ['show-password', 'redis-3', 'profile']) expect(stdout).toContain(word);
    const path = ['/usr/bin', '/bin', '/usr/local/bin']
      .map((folder) => `${folder}/${shell}`)
      .find((candidate) => existsSync(candidate));
    if (path !== undefined) expect(spawnSync(path, ['-n'], { input: stdout }).status).toBe(0);
  });

  test('of another shell is a usage error', async () => {
    const result = await run('completion tcsh');
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toMatch(/bash, zsh or fish/);
  });
});

describe('wrong usage is exit status 2, one error with a next step, and nothing on stdout', () => {
  test.each([
    ['upp', /Did you mean up/],
    ['vault show-passwort postgres', /show-password/],
    ['vault', /Name what to do/],
    ['vault nonsense', /next:/],
    ['up --profil minimal', /profil/],
    ['up --progress loud', /progress/],
    ['up --profile minimall', /Did you mean minimal/],
    ['up --timeout soon', /--timeout/],
    ['up --timeout=-1', /--timeout/],
    ['logs --tail many', /--tail/],
    ['shell', /service|Not enough/],
    ['shell postgresql', /Did you mean postgres/],
    ['exec postgres', /--/],
    ['images paint', /images build/],
    ['reset', /--yes|engine/i],
    ['vault rotate-password nonsense --yes', /There are: /],
  ])('%s', async (line, expected) => {
    const result = await run(line);
    if (line !== 'reset') expect(result.exitCode, describeResult(result)).toBe(2);
    expect(result.stderr).toMatch(expected);
    expect(result.stderr).not.toMatch(/\n {4}at |Something unexpected/);
    expect(result.stdout).toBe('');
  });

  test.each([
    [{ DEVSTACK_PORT_OFFSET: 'many' }, /DEVSTACK_PORT_OFFSET/],
    [{ DEVSTACK_PORT_OFFSET: '60000' }, /0 to 38000/],
    [{ DEVSTACK_PROJECT: 'Not A Name' }, /DEVSTACK_PROJECT/],
  ])('a setting that cannot be: %j', async (env, expected) => {
    const result = await run('ports', { env });
    expect(result.exitCode, describeResult(result)).toBe(2);
    expect(result.stderr).toMatch(expected);
  });
});

describe('without Docker', () => {
  test.each(['up', 'down', 'status', 'logs', 'images'])('%s says how to start it', async (command) => {
    const result = await run(command);
    expect(result.exitCode, describeResult(result)).toBe(1);
    expect(result.stderr).toMatch(/\[DOCKER_UNREACHABLE\]\n {2}next: /);
  });

  test('doctor goes on and names it', async () => {
    const result = await run('doctor');
    expect(result.exitCode, describeResult(result)).toBe(3);
    expect(result.stdout).toMatch(/^fail +Docker/m);
    expect(result.stdout).toMatch(/^pass +Node/m);
  });

  test.each(['ports', 'config'])('%s needs none', async (command) => {
    const result = await run([command, '--json']);
    expect(result.exitCode, describeResult(result)).toBe(0);
    expect(JSON.parse(result.stdout)).toMatchObject({ schema: `devstack/${command}/1`, project: 'e2e-cli' });
  });

  test('ports are the standard ones and the offset', async () => {
    const { stdout } = await run('ports --json');
    const { ports } = JSON.parse(stdout) as {
      ports: readonly { service: string; name: string; port: number; address: string }[];
    };
    expect(ports.find((port) => port.service === 'postgres')).toMatchObject({ port: 35_432, address: '127.0.0.1' });
    expect(ports.find((port) => port.service === 'mongodb')).toMatchObject({ port: 57_017 });
    expect(new Set(ports.map(({ port }) => port)).size).toBe(ports.length);
  });
});

describe('output', () => {
  test('--json errors are one JSON document on stderr', async () => {
    const result = await run('status --json');
    expect(result.exitCode).toBe(1);
    expect(result.stdout).toBe('');
    expect(JSON.parse(result.stderr)).toMatchObject({
      error: { code: 'DOCKER_UNREACHABLE', hint: expect.any(String) as string },
    });
    expect(JSON.parse((await run('up --json --profil x')).stderr)).toMatchObject({ error: { code: 'USAGE' } });
  });

  test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }, { CLICOLOR_FORCE: '0' }])(
    'no colours in a pipe, with %j',
    async (env) => {
      const result = await run('up', { env });
      expect(result.stdout + result.stderr).not.toContain('\u001B[');
    },
  );

  test('on a terminal errors are coloured, and NO_COLOR, TERM=dumb and --no-color turn it off', () => {
    const inTerminal = (line: string, env: Record<string, string> = {}): string => {
      const command = `'${process.execPath}' '${app}/bin.js' ${line}`;
      return spawnSync('script', ['--quiet', '--command', command, '/dev/null'], {
        cwd: root,
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], TERM: 'xterm', ...env },
      }).stdout;
    };
    expect(inTerminal('upp')).toContain('\u001B[31m');
    expect(inTerminal('upp', { NO_COLOR: '1' })).not.toContain('\u001B[');
    expect(inTerminal('upp', { TERM: 'dumb' })).not.toContain('\u001B[');
    expect(inTerminal('upp --no-color')).not.toContain('\u001B[');
  });

  test('a reader that has seen enough is no error', () => {
    const command = `'${process.execPath}' '${app}/bin.js' config | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', command], {
      cwd: root,
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'],
        ...noDocker,
        DEVSTACK_CONFIG_HOME: configHome,
        DEVSTACK_PROJECT: 'e2e-cli',
        DEVSTACK_SUBNET_PREFIX: '10.127',
      },
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/\n0\n$/);
  });
});

describe('the checkout', () => {
  test('is found from a folder below it', async () => {
    expect(await run('ports', { cwd: `${root}/docs/adr` })).toMatchObject({ exitCode: 0 });
  });

  test('missing: it says so, and how to name it', async () => {
    const result = await run('status', { cwd: '/' });
    expect(result.exitCode, describeResult(result)).toBe(1);
    expect(result.stderr).toMatch(/PROJECT_NOT_FOUND[^]*DEVSTACK_ROOT/);
    expect(await run('ports', { cwd: '/', env: { DEVSTACK_ROOT: root } })).toMatchObject({ exitCode: 0 });
  });

  test('a damaged list of projects is named, and left as it is', async () => {
    const home = await mkdtemp(join(tmpdir(), 'devstack-e2e-'));
    try {
      await writeFile(join(home, 'projects.json'), '{"version":1,"proj');
      const result = await run('ports', { env: { DEVSTACK_CONFIG_HOME: home } });
      expect(result.exitCode, describeResult(result)).toBe(1);
      expect(result.stderr).toMatch(/projects\.json[^]*PROJECT_INVALID/);
      expect(readFileSync(join(home, 'projects.json'), 'utf8')).toBe('{"version":1,"proj');
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  test('the devstack script at its top runs the same app', () => {
    const { stdout, status } = spawnSync(`${root}/devstack`, ['--version'], { cwd: '/', encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
