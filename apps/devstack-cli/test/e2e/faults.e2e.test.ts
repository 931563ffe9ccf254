import { chmod, chown, copyFile, cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { describeResult, devstack, eventsOf, root, type CliResult } from '../support/cli.ts';
import { dockerLines, program, until } from '../support/programs.ts';
import { fingerprints, readAllSecrets, type Credentials } from '../support/secrets.ts';
import { createTestStack, freePortOffset, type TestStack } from '../support/test-stack.ts';

// What can go wrong around `devstack up`, on profile minimal. Each test leaves its stack so that the next `up` brings it up.

const minimal = ['vault', 'postgres', 'pgbouncer', 'redis-1'];
const steps = [
  'ports',
  'images',
  'networks',
  'certificates',
  'vault-start',
  'vault-open',
  'bootstrap',
  'deliver',
  'services',
  'redis-cluster',
  'healthy',
] as const;
const up = ['up', '--profile', 'minimal'];

/** Ends `up` with a signal when it begins a step (and `afterMs` later, to be in its middle). */
function upUntil(stack: TestStack, step: string, signal: NodeJS.Signals, afterMs = 0): Promise<CliResult> {
  return stack.run([...up, '--progress', 'ndjson'], {
    onStderr: (line, child) => {
      if (!line.includes(`"step-started","step":"${step}"`)) return;
      if (afterMs === 0) child.kill(signal);
      else setTimeout(() => child.kill(signal), afterMs);
    },
  });
}

function lastStep(result: CliResult): string | undefined {
  const step = eventsOf(result.stderr).findLast((event) => event['type'] === 'step-started')?.['step'];
  return typeof step === 'string' ? step : undefined;
}

async function expectHealthy(stack: TestStack): Promise<void> {
  const { services } = await stack.json<{ services: readonly { service: string; healthy: boolean }[] }>(up);
  expect(services.map((service) => [service.service, service.healthy])).toEqual(
    minimal.map((service) => [service, true]),
  );
  expect(await created(stack)).toEqual([]);
}

async function created(stack: TestStack): Promise<readonly string[]> {
  const made = await dockerLines('ps', '--all', '--filter', 'status=created', '--format', '{{.Names}}');
  return made.filter((name) => name.startsWith(`${stack.project}-`));
}

async function listen(port: number): Promise<Server> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  server.once('error', reject);
  server.listen(port, '127.0.0.1', () => {
    resolve(undefined);
  });
  await promise;
  return server;
}

function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  server.close(() => {
    resolve(undefined);
  });
  return promise;
}

let stack: TestStack;
let secrets: Readonly<Record<string, Credentials>>;

beforeAll(async () => {
  stack = await createTestStack();
});

afterAll(async () => {
  await stack.remove();
}, 180_000);

describe('before anything was started', () => {
  test('a taken port is named with its holder and what moves it, and nothing is left', async () => {
    const server = await listen(stack.port(5432));
    try {
      const result = await stack.expectRun(1, up);
      expect(result.stderr).toContain(`Port ${String(stack.port(5432))}, which postgres needs, is held by`);
      expect(result.stderr).toContain(`(pid ${String(process.pid)})`);
      expect(result.stderr).toMatch(/\[PORT_TAKEN\]\n {2}next: .*DEVSTACK_POSTGRES_PORT=/);
      expect(await stack.leftovers()).toEqual([]);
      const doctor = await stack.expectRun(3, ['doctor']);
      expect(doctor.stdout).toMatch(new RegExp(`^fail +Ports .*pid ${String(process.pid)}`, 'm'));
    } finally {
      await close(server);
    }
  });

  test.each(['up', 'down', 'reset'])('with Docker stopped, %s says so and what to do', async (command) => {
    const env = { DOCKER_HOST: `unix://${stack.configHome}/nobody.sock` };
    const result = await stack.run([command, ...(command === 'reset' ? ['--yes'] : [])], { env });
    expect(result.exitCode, describeResult(result)).toBe(1);
    expect(result.stderr).toMatch(/\[DOCKER_UNREACHABLE\]\n {2}next: .*dockerd/);
  });

  test('a socket that this user may not use is told apart from one that is not there', async () => {
    const home = await mkdtemp(join(tmpdir(), 'devstack-e2e-'));
    const socket = join(home, 'docker.sock');
    const server = createServer();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    server.listen(socket, () => {
      resolve(undefined);
    });
    await promise;
    try {
      await chmod(socket, 0o600);
      const nobody = 65_534;
      await chown(socket, nobody, nobody);
      await mkdir(join(home, 'config'), { mode: 0o700 });
      const isRoot = process.getuid?.() === 0;
      expect(isRoot, 'this test gives a socket away, which only root may').toBe(true);
      const result = await devstack(up, {
        withoutOverride: true,
        env: { ...stack.env, HOME: home, DEVSTACK_CONFIG_HOME: join(home, 'config'), DOCKER_HOST: `unix://${socket}` },
      });
      expect(result.exitCode, describeResult(result)).toBe(1);
      expect(result.stderr).toMatch(/\[DOCKER_PERMISSION_DENIED\]\n {2}next: .*(usermod|sudo)/);
    } finally {
      await close(server);
      await rm(home, { recursive: true, force: true });
    }
  });

  test('a compose file that does not parse is named with its line', async () => {
    const copy = await copyOfCheckout();
    try {
      const path = join(copy, 'infrastructure/compose/minimal.yaml');
      const text = await readFile(path, 'utf8');
      const line = text.split('\n').findIndex((one) => one.startsWith('  postgres:')) + 1;
      await writeFile(path, text.replace('  postgres:\n', '  postgres: [\n'));
      const result = await stack.expectRun(1, up, {
        env: { DEVSTACK_ROOT: copy, DEVSTACK_PROJECT: `${stack.project}-x`, DEVSTACK_SUBNET_PREFIX: '10.126' },
      });
      expect(result.stderr).toMatch(/minimal\.yaml:\d+[^]*\[COMPOSE_PARSE\]/);
      expect(Number(/minimal\.yaml:(\d+)/.exec(result.stderr)?.[1])).toBeGreaterThanOrEqual(line);
      const doctor = await stack.expectRun(3, ['doctor'], {
        env: { DEVSTACK_ROOT: copy, DEVSTACK_PROJECT: `${stack.project}-x`, DEVSTACK_SUBNET_PREFIX: '10.126' },
      });
      expect(doctor.stdout).toMatch(/^fail +Compose files .*minimal\.yaml/m);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });
});

describe('killed at each step of a first start', () => {
  // Each run gets one step further, so that every step is killed when it has its first work to do.
  // A step of a few milliseconds may be over before the signal arrives: that kill hit another step, is said, and is tried again.
  test.each(steps)('%s: killed there', async (step) => {
    for (let attempt = 1; ; attempt += 1) {
      const result = await upUntil(stack, step, 'SIGKILL');
      expect(result.signal, describeResult(result)).toBe('SIGKILL');
      console.log(`to be killed at ${step}, killed at ${lastStep(result) ?? 'no step'}`);
      if (lastStep(result) !== step && attempt < 10) continue;
      expect(lastStep(result)).toBe(step);
      return;
    }
  });

  test('the next up says where the last one stopped, and every service is healthy', async () => {
    const result = await stack.expectRun(0, [...up, '--progress', 'ndjson']);
    expect(eventsOf(result.stderr).find((event) => event['type'] === 'plan')).toMatchObject({
      resumedAfter: 'healthy',
    });
    await expectHealthy(stack);
    secrets = fingerprints(await readAllSecrets(stack));
  });
});

describe('killed in the middle of a later start', () => {
  test.each([
    ['vault-start', 150],
    ['vault-open', 20],
    ['services', 0],
    ['services', 700],
    ['redis-cluster', 10],
    ['healthy', 10],
  ] as const)('%s, after %d ms: up brings it up with the same passwords', async (step, afterMs) => {
    await stack.expectRun(0, ['down']);
    const result = await upUntil(stack, step, 'SIGKILL', afterMs);
    console.log(`killed at ${lastStep(result) ?? 'no step'}, ${String(afterMs)} ms after its start`);
    expect(result.signal, describeResult(result)).toBe('SIGKILL');
    await expectHealthy(stack);
    expect(fingerprints(await readAllSecrets(stack))).toEqual(secrets);
  });
});

describe('interrupted with Ctrl-C', () => {
  test.each([
    ['vault-start', 100],
    ['services', 50],
    ['services', 600],
    ['healthy', 0],
  ] as const)('at %s, after %d ms: exit status 130, nothing half-made, the lease given back', async (step, afterMs) => {
    await stack.expectRun(0, ['down', '--remove']);
    const result = await upUntil(stack, step, 'SIGINT', afterMs);
    expect(result.exitCode, describeResult(result)).toBe(130);
    expect(result.stderr).toMatch(/\[INTERRUPTED\]/);
    expect(await created(stack)).toEqual([]);
    const running = await dockerLines(
      'ps',
      '--all',
      '--quiet',
      '--filter',
      `label=io.devstack.ephemeral`,
      '--filter',
      `label=com.docker.compose.project=${stack.project}`,
    );
    expect(running).toEqual([]);
    await expectHealthy(stack);
  });
});

describe('two at once', () => {
  test('the second up is told who holds the stack; the first ends well', async () => {
    await stack.expectRun(0, ['down']);
    let second: Promise<CliResult> | undefined;
    let pid = 0;
    const first = await stack.run([...up, '--progress', 'ndjson'], {
      onStderr: (line, child) => {
        if (!line.includes('"step-started"') || second !== undefined) return;
        pid = child.pid ?? 0;
        second = stack.run([...up, '--json']);
      },
    });
    expect(first.exitCode, describeResult(first)).toBe(0);
    const refused = await second;
    expect(refused?.exitCode).toBe(1);
    const { error } = JSON.parse(refused?.stderr ?? '{}') as { error: { code: string; message: string; hint: string } };
    expect(error).toMatchObject({ code: 'LEASE_HELD' });
    expect(error.message).toContain('devstack up');
    expect(error.message).toContain(String(pid));
    await expectHealthy(stack);
  });
});

describe("Vault's keys", () => {
  const keys = (): string => join(stack.folder, 'vault/keys.json');
  let right: string;

  beforeAll(async () => {
    right = await readFile(keys(), 'utf8');
  });

  afterEach(async () => {
    await writeFile(keys(), right, { mode: 0o600 });
    await chmod(keys(), 0o600);
  });

  const otherVault = (): string => {
    const parsed = JSON.parse(right) as { keys: string[] };
    return JSON.stringify({
      ...parsed,
      keys: parsed.keys.map((key) =>
        key.replaceAll(/[0-9a-f]/g, (digit) => (15 - Number.parseInt(digit, 16)).toString(16)),
      ),
    });
  };

  test.each([
    ['lost', () => rm(keys()), 'VAULT_KEYS_LOST'],
    ['damaged', () => writeFile(keys(), right.slice(0, 100)), 'VAULT_KEYS_DAMAGED'],
    ['empty', () => writeFile(keys(), ''), 'VAULT_KEYS_DAMAGED'],
    ['readable by others', () => chmod(keys(), 0o644), 'FILE_TOO_OPEN'],
    ['of another Vault', () => writeFile(keys(), otherVault()), 'VAULT_KEYS_FOREIGN'],
  ])('%s: one error with a next step, and data and the other files stay as they are', async (_, damage, code) => {
    await stack.expectRun(0, ['down']);
    const volumes = await dockerLines(
      'volume',
      'ls',
      '--quiet',
      '--filter',
      `label=com.docker.compose.project=${stack.project}`,
    );
    await damage();
    const result = await stack.expectRun(1, up);
    expect(result.stderr).toMatch(new RegExp(`keys\\.json[^]*\\[${code}\\]\\n {2}next: `));
    expect(
      await dockerLines('volume', 'ls', '--quiet', '--filter', `label=com.docker.compose.project=${stack.project}`),
    ).toEqual(volumes);
    // Nothing of the keys themselves is in the message.
    for (const key of (JSON.parse(right) as { keys: string[] }).keys) expect(result.stderr).not.toContain(key);
  });

  test('with the right keys again, the stack is as it was', async () => {
    await expectHealthy(stack);
    expect(fingerprints(await readAllSecrets(stack))).toEqual(secrets);
  });
});

describe('a second checkout beside this one', () => {
  test('gets a name, subnets, ports and folders of its own by itself; both are up at once', async () => {
    const copy = await copyOfCheckout();
    const registry = join(stack.configHome, 'projects.json');
    const taken = JSON.parse(await readFile(registry, 'utf8')) as { projects: Record<string, object> };
    // Where a checkout chooses when the first ten blocks are given away.
    const offset = await freePortOffset(20_000);
    // Blocks that this machine may use for real stacks are marked as given away, so that the choice falls on a free one.
    const given = [
      ...Array.from({ length: 10 }, (_, index) => index * 100),
      ...Array.from({ length: Math.ceil((offset - 20_000) / 100) }, (_, index) => 20_000 + index * 100),
    ];
    for (const [index, portOffset] of given.entries()) {
      taken.projects[index === 0 ? 'devstack' : `given-${String(index)}`] = {
        root: `/nonexistent/${String(index)}`,
        subnetPrefix: '172.20',
        portOffset,
        created: '',
      };
    }
    await writeFile(registry, JSON.stringify(taken));
    const env = { DEVSTACK_CONFIG_HOME: stack.configHome, DEVSTACK_ROOT: copy, NO_COLOR: '1' };
    const config = JSON.parse((await devstack(['config', '--json'], { env })).stdout) as {
      project: string;
      subnetPrefix: string;
      portOffset: number;
    };
    // Only from here on is its name known; its removal is watched over like that of the first.
    const second = await createTestStack({
      ...env,
      DEVSTACK_PROJECT: config.project,
      DEVSTACK_PORT_OFFSET: String(config.portOffset),
    });
    try {
      expect(config.project).toMatch(/^devstack-e2e-/);
      expect(config.project).not.toBe(stack.project);
      expect(config.subnetPrefix).not.toBe(stack.subnetPrefix());
      const result = await devstack([...up, '--json'], { env });
      expect(result.exitCode, describeResult(result)).toBe(0);
      expect(JSON.parse(result.stdout)).toMatchObject({
        project: config.project,
        services: minimal.map((service) => ({ service, healthy: true })),
      });
      await stack.expectRun(0, ['health']);

      // A port that another stack's container has is named with it.
      await stack.expectRun(0, ['down']);
      const port = String(5432 + config.portOffset);
      const clash = await stack.expectRun(1, up, { env: { DEVSTACK_POSTGRES_PORT: port } });
      expect(clash.stderr).toContain(
        `Port ${port}, which postgres needs, is held by container ${config.project}-postgres-1 of project ${config.project}`,
      );
      expect(await created(stack)).toEqual([]);

      // Of this, nothing was the second's: it is still up, and goes without the first.
      const still = await devstack(['health'], { env });
      expect(still.exitCode, describeResult(still)).toBe(0);
    } finally {
      await second.remove();
      await rm(copy, { recursive: true, force: true });
    }
    await expectHealthy(stack);
    expect(fingerprints(await readAllSecrets(stack))).toEqual(secrets);
  });
});

describe('a full disk', () => {
  test('during the first start: one error, and with room again up brings it up', async () => {
    const home = await mkdtemp(join(tmpdir(), 'devstack-e2e-'));
    await program('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'none', home]);
    const small = await createTestStack({ DEVSTACK_CONFIG_HOME: home });
    const hit = new Set<string>();
    try {
      // From no room at all to enough for some of the files: each run gets further before the disk is full.
      for (const pages of [0, 4, 8, 10, 12, 16, 24]) {
        await rm(join(home, 'filler'), { force: true });
        await fill(join(home, 'filler'), pages);
        const result = await small.run([...up, '--progress', 'ndjson']);
        if (result.exitCode === 0) break;
        expect(result.stderr, describeResult(result)).toMatch(/\[DISK_FULL\]\n {2}next: /);
        hit.add(lastStep(result) ?? 'before the first step');
      }
      console.log(`disk full at: ${[...hit].join(', ')}`);
      expect(hit.size).toBeGreaterThan(1);
      await rm(join(home, 'filler'), { force: true });
      await expectHealthy(small);
    } finally {
      await rm(join(home, 'filler'), { force: true });
      await small.remove().finally(async () => {
        await program('umount', [home]);
        await rm(home, { recursive: true, force: true });
      });
    }
  });

  // Leaves so many pages of 4 KiB free: all is taken first, then given back.
  async function fill(path: string, pages: number): Promise<void> {
    await program('sh', ['-c', `dd if=/dev/zero of="$0" bs=4096 2>/dev/null || true`, path]);
    const { size } = await stat(path);
    await program('truncate', ['--size', String(Math.max(0, size - pages * 4096)), path]);
  }
});

test('nothing was left beside the stack of this file', async () => {
  await until('no other leftover', async () => (await created(stack)).length === 0, 5_000);
  expect((await readdir(stack.folder)).toSorted()).toEqual([
    'approles',
    'certificates',
    'compose.env',
    'state',
    'vault',
  ]);
});

/** What a second clone of the repository has, as far as a stack needs it; built files are copied as they are. */
async function copyOfCheckout(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), `e2e-${randomBytes(3).toString('hex')}-`));
  for (const folder of ['infrastructure', 'configs', 'apps/container-init/dist', 'apps/reference-api/dist']) {
    await mkdir(join(copy, folder, '..'), { recursive: true });
    await cp(join(root, folder), join(copy, folder), { recursive: true });
  }
  await copyFile(join(root, 'package.json'), join(copy, 'package.json'));
  // Bind mounts are read by the services' own users.
  await chmod(copy, 0o755);
  return copy;
}
