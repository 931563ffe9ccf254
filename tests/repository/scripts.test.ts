import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-scripts-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      { env: { PATH: process.env['PATH'], HOME: folder, ...env }, timeout: 30_000 },
      (error, stdout, stderr) => {
        resolve({ exitCode: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, stdout, stderr });
      },
    );
  });
}

async function program(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
}

describe('every script', () => {
  it.each(['setup', 'quickstart', 'test', 'lint', 'prove'])(
    'scripts/%s explains itself and refuses what it does not know',
    async (name) => {
      const help = await run(join(root, 'scripts', name), ['--help']);
      expect(help).toMatchObject({ exitCode: 0, stderr: '' });
      expect(help.stdout).toMatch(/Exit status: 0/);
      const unknown = await run(join(root, 'scripts', name), ['--nonsense']);
      expect(unknown.exitCode).toBe(2);
      expect(unknown.stderr).toContain('--nonsense');
    },
  );

  it.each([
    ['test', ['--only', 'everything'], 'say lint, unit, integration or e2e'],
    ['test', ['--only'], 'needs lint'],
  ])('scripts/%s %j: wrong usage, with what would be right', async (name, args, message) => {
    const outcome = await run(join(root, 'scripts', name), args);
    expect(outcome.exitCode).toBe(2);
    expect(outcome.stderr).toContain(message);
  });

  it('scripts/setup refuses an image source that it does not know', async () => {
    const outcome = await run(join(root, 'scripts/setup'), ['--check'], { DEVSTACK_IMAGE_SOURCE: 'moon' });
    expect(outcome).toMatchObject({ exitCode: 2 });
    expect(outcome.stderr).toContain('auto, registry or packages');
  });
});

describe('scripts/setup on a machine without Docker', () => {
  // A path with the usual tools but neither docker nor dockerd nor sudo nor apt-get.
  async function bareMachine(system: string): Promise<Readonly<Record<string, string>>> {
    const bin = join(folder, 'bin');
    await mkdir(bin);
    const tools = [
      'sh',
      'date',
      'dirname',
      'basename',
      'sed',
      'awk',
      'cat',
      'tr',
      'cksum',
      'id',
      'mkdir',
      'tail',
      'grep',
      'printf',
    ];
    await Promise.all(
      tools.map(async (tool) => {
        const { stdout } = await run('/bin/sh', ['-c', `command -v ${tool}`]);
        await symlink(stdout.trim().startsWith('/') ? stdout.trim() : `/usr/bin/${tool}`, join(bin, tool));
      }),
    );
    await program(join(bin, 'uname'), `echo ${system}`);
    await mkdir(join(folder, 'checkout/scripts/lib'), { recursive: true });
    await mkdir(join(folder, 'checkout/infrastructure/images/base'), { recursive: true });
    await writeFile(join(folder, 'checkout/infrastructure/images/base/Dockerfile'), 'FROM scratch\n');
    await copyFile(join(root, 'scripts/setup'), join(folder, 'checkout/scripts/setup'));
    await Promise.all(
      ['terminal', 'workspace', 'apt-sources'].map((name) =>
        copyFile(join(root, `scripts/lib/${name}.sh`), join(folder, `checkout/scripts/lib/${name}.sh`)),
      ),
    );
    return { PATH: bin };
  }

  it('--check lists what is missing and changes nothing', async () => {
    const outcome = await run(join(folder, 'checkout/scripts/setup'), ['--check'], await bareMachine('Linux'));
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toMatch(
      /Docker engine[\s\S]*docker compose v2[\s\S]*docker buildx[\s\S]*base image[\s\S]*Node 24/,
    );
  });

  it('asks before it installs: without a terminal and without --yes it names the option', async () => {
    const outcome = await run(join(folder, 'checkout/scripts/setup'), [], await bareMachine('Linux'));
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain('./scripts/setup --yes');
  });

  it.each([
    ['Darwin', /Docker Desktop, OrbStack or colima/],
    ['Linux', /Install Docker engine 20\.10 or later|WSL integration/],
    ['FreeBSD', /Use Linux, macOS, or Windows with WSL2/],
  ])('says on %s what to do where it cannot install', async (system, advice) => {
    const outcome = await run(join(folder, 'checkout/scripts/setup'), ['--yes'], await bareMachine(system));
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toMatch(advice);
  });
});

describe('apt sources', () => {
  it('are read in both formats; disabled, source-only and foreign ones are left out', async () => {
    await mkdir(join(folder, 'sources.list.d'));
    await writeFile(
      join(folder, 'sources.list'),
      [
        '# deb http://commented.example/debian bookworm main',
        'deb [arch=amd64 trusted=yes] http://one.example/debian/ bookworm main',
        'deb-src http://source.example/debian bookworm main',
        '',
      ].join('\n'),
    );
    await writeFile(
      join(folder, 'sources.list.d/debian.sources'),
      [
        'Types: deb deb-src',
        '# a comment inside a stanza',
        'URIs: http://two.example/debian http://three.example/debian',
        'Suites: bookworm-updates',
        '  bookworm-backports',
        'Components: main',
        '',
        'Enabled: no',
        'Types: deb',
        'URIs: http://off.example/debian',
        'Suites: bookworm-security',
        '',
        'Types: deb',
        'URIs: http://security.example/debian-security/',
        'Suites: bookworm-security',
      ].join('\n'),
    );
    const { stdout } = await run('/bin/sh', [
      '-c',
      `. ${root}/scripts/lib/apt-sources.sh; apt_sources ${folder}; apt_mirror -security$ ${folder}; apt_mirror '^bookworm$' ${folder}`,
    ]);
    expect(stdout.trim().split('\n')).toEqual([
      'http://one.example/debian/ bookworm',
      'http://two.example/debian bookworm-updates',
      'http://two.example/debian bookworm-backports',
      'http://three.example/debian bookworm-updates',
      'http://three.example/debian bookworm-backports',
      'http://security.example/debian-security/ bookworm-security',
      'http://security.example/debian-security',
      'http://one.example/debian',
    ]);
  });
});

/** Of a group of processes those that sleep for long; what has ended and only waits to be asked how is left out. */
async function sleeping(group: number | undefined): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    ids.map(async (id) => {
      const [stat, argv] = await Promise.all(
        ['stat', 'cmdline'].map(async (file) => readFile(`/proc/${id}/${file}`, 'utf8').catch(() => '')),
      );
      const [state, , own] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
      return own === String(group) && state !== 'Z' && argv?.split('\0')[1] === '600' ? [id] : [];
    }),
  );
  return found.flat();
}

describe('the steps of a script', () => {
  const begin = [
    'set -eu',
    `root=${root} logs=$1/logs results=$1/results started=0`,
    'mkdir -p "$logs" && : >"$results"',
    `. ${root}/scripts/lib/terminal.sh && . ${root}/scripts/lib/stages.sh`,
  ];
  const steps = (...lines: readonly string[]): [string, ...string[]] => [
    '-c',
    [...begin, ...lines].join('\n'),
    'try',
    folder,
  ];

  it('are waited for where they run beside others, and counted by how they end', async () => {
    const both = steps(
      'slow() { echo begin; until [ -e "$logs/go" ]; do sleep 0.1; done; return "$1"; }',
      'aside images slow 3',
      'stage one One touch "$logs/go"',
      'stage images Images outcome || echo failed',
      'cut -d" " -f1-3 "$results"',
    );
    const { exitCode, stdout, stderr } = await run('sh', both);
    expect([exitCode, stdout]).toEqual([0, 'failed\none 1 0\nimages 0 1\n']);
    expect(stderr).toContain('  | begin\n');
  });

  it('end with the script, those beside others too, and it says 130', async () => {
    const endless = steps('endless() { sleep 600; true; }', 'aside a endless', 'stage b B endless');
    const child = spawn('sh', endless, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    await expect.poll(async () => (await sleeping(child.pid)).length, { timeout: 10_000 }).toBeGreaterThan(1);
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exit).toEqual([130, null]);
    await expect.poll(async () => sleeping(child.pid), { timeout: 10_000 }).toEqual([]);
  });
});

describe('the launcher', () => {
  beforeEach(async () => {
    await copyFile(join(root, 'devstack'), join(folder, 'devstack'));
  });

  it('uses the Node of .tools where the machine’s own is too old, and passes every argument on', async () => {
    await program(join(folder, 'old/node'), 'echo v20.20.2');
    await program(join(folder, '.tools/bin/node'), 'printf "%s|" "$@"');
    await mkdir(join(folder, 'apps/devstack-cli/dist'), { recursive: true });
    const outcome = await run(join(folder, 'devstack'), ['exec', 'a b', "c'd"], {
      PATH: `${folder}/old:/usr/bin:/bin`,
    });
    expect(outcome).toEqual({ exitCode: 0, stdout: `${folder}/apps/devstack-cli/bin.js|exec|a b|c'd|`, stderr: '' });
  });

  it('uses the machine’s own Node where it is new enough, also through a link from elsewhere', async () => {
    await program(join(folder, 'new/node'), 'if [ "$1" = --version ]; then echo v26.1.0; else echo "own $1"; fi');
    await mkdir(join(folder, 'apps/devstack-cli/dist'), { recursive: true });
    await mkdir(join(folder, 'links'));
    await symlink(join(folder, 'devstack'), join(folder, 'links/devstack'));
    const outcome = await run(join(folder, 'links/devstack'), ['status'], { PATH: `${folder}/new:/usr/bin:/bin` });
    expect(outcome.stdout.trim()).toBe(`own ${folder}/apps/devstack-cli/bin.js`);
  });

  it.each([
    ['no Node', 'echo v20.1.0', false],
    ['no build', 'echo v24.1.0', false],
  ])('says what to run where there is %s', async (_title, node) => {
    await program(join(folder, 'bin/node'), node);
    const outcome = await run(join(folder, 'devstack'), ['status'], { PATH: `${folder}/bin:/usr/bin:/bin` });
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain('run ./scripts/setup');
  });
});
