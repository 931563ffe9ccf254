import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectRedis, type RedisConnection } from '@devstack-core/database-connections';
import { acquireLease } from '@devstack-core/durable-files';
import { readServiceSecret, rotateServiceSecret } from '@devstack-core/service-secrets';
import { readRootToken } from '@devstack-core/vault-lifecycle';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { checkout, createTestStack, type TestStack } from '../test/test-stack.ts';
import { doctor } from './doctor.ts';
import type { StackEvent } from './events.ts';
import { health, redisNatMap } from './health.ts';
import { provePrivileges } from './privileges.ts';
import { listProjects } from './project.ts';
import { rotateLogins, rotatePassword } from './rotate.ts';
import { hostPort, openStack, selectServices, type Stack } from './stack.ts';
import { status } from './status.ts';
import { renewCertificates, watchCertificates } from './renew-certificates.ts';
import { certificates } from './served-certificates.ts';
import { exchangeRoot, retireRoots } from './exchange-root.ts';
import { down, planReset, reset, restart } from './stop.ts';
import { portsInUse, requireEndpoint } from './tls.ts';
import { up } from './up.ts';
import { operatorSession } from './vault-steps.ts';

vi.setConfig({ testTimeout: 240_000 });

// One minimal stack, taken through its life in order: each test begins where the one before ended.
const minimal = ['vault', 'postgres', 'pgbouncer', 'redis-1'];
let own: TestStack;
let stack: Stack;
let events: StackEvent[] = [];
const onEvent = (event: StackEvent): void => {
  events.push(event);
};
const run = { profile: 'minimal', onEvent };

beforeAll(async () => {
  own = await createTestStack();
  stack = own.stack;
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
});

async function containers(): Promise<Record<string, string>> {
  const engine = await stack.engine();
  const list = await engine.listContainers({ project: stack.project.id, all: true });
  const details = await Promise.all(list.map((one) => engine.inspectContainer(one.id)));
  return Object.fromEntries(details.map((one) => [one.service ?? '', `${one.id} ${one.state.startedAt ?? ''}`]));
}

function actions(): Record<string, string> {
  const plan = events.findLast((event) => event.type === 'plan');
  return Object.fromEntries((plan?.services ?? []).map((one) => [one.service, one.action]));
}

async function redis(service: string, cluster = false): Promise<RedisConnection> {
  await using session = await operatorSession(stack);
  const password = (await readServiceSecret(session.client, 'redis'))?.['password'];
  if (password === undefined) throw new Error('Redis has no password');
  const natMap = cluster ? { cluster, natMap: redisNatMap(stack) } : {};
  return await connectRedis({ ...requireEndpoint(stack, service), password, ...natMap });
}

test('before the first up there is nothing to see, and doctor says what to do', async () => {
  expect((await status(stack)).services.every((service) => service.state === 'absent')).toBe(true);
  expect((await status(stack)).vault.state).toBe('unreachable');
  const report = await health(stack, selectServices(stack.model, { profile: 'minimal' }));
  expect(report.healthy).toBe(false);
  expect(report.services.find((service) => service.service === 'postgres')).toMatchObject({
    code: 'STACK_NOT_RUNNING',
  });
  const checks = (await doctor(() => Promise.resolve(stack))).checks;
  expect(checks.find((check) => check.check === 'Round trip')).toMatchObject({
    finding: 'nothing is running',
    fix: 'devstack up',
  });
  expect(checks.find((check) => check.check === 'Vault')).toMatchObject({ status: 'warn', finding: 'not running' });
});

test('a port that a process holds is named with its holder, and nothing is started', async () => {
  const server = createServer();
  await new Promise((resolve) =>
    server.listen(hostPort(stack.model, 'postgres'), '127.0.0.1', () => {
      resolve(undefined);
    }),
  );
  await expect(up(stack, run)).rejects.toMatchObject({
    code: 'PORT_TAKEN',
    message: expect.stringContaining(`(pid ${String(process.pid)})`) as string,
    hint: expect.stringContaining('DEVSTACK_POSTGRES_PORT=') as string,
  });
  const ports = (await doctor(() => Promise.resolve(stack))).checks.find((check) => check.check === 'Ports');
  expect(ports).toMatchObject({ status: 'fail', fix: expect.stringContaining('DEVSTACK_POSTGRES_PORT') as string });
  expect(await containers()).toEqual({});
  await new Promise((resolve) => server.close(resolve));
});

test('a port that a container of somebody else holds is named too', async () => {
  const engine = await stack.engine();
  const id = await engine.createContainer({
    image: 'devstack/base:local',
    entrypoint: [],
    argv: ['sleep', '60'],
    ports: [{ containerPort: 80, hostPort: hostPort(stack.model, 'redis-1'), hostAddress: '127.0.0.1' }],
  });
  try {
    await engine.startContainer(id);
    const { name } = await engine.inspectContainer(id);
    await expect(up(stack, run)).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringContaining(`container ${name}`) as string,
    });
  } finally {
    await engine.removeContainer(id, { force: true });
  }
});

test('an aborted up is interrupted, and a held lease names its holder', async () => {
  await expect(up(stack, { ...run, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await using _lease = await acquireLease({ path: join(stack.directories.state, 'stack.lock'), owner: 'another up' });
  await expect(up(stack, run)).rejects.toMatchObject({
    code: 'LEASE_HELD',
    message: expect.stringContaining('another up') as string,
  });
});

test('the first up makes everything and ends with every service healthy by protocol', async () => {
  events = [];
  const result = await up(stack, run);
  expect(result).toMatchObject({ project: stack.project.id, profile: 'minimal', changed: true });
  expect(result.services.map((service) => [service.service, service.healthy])).toEqual(
    minimal.map((name) => [name, true]),
  );
  expect(actions()).toEqual(Object.fromEntries(minimal.map((name) => [name, 'create'])));
  expect(
    events
      .filter((event) => event.type === 'service-healthy')
      .map((event) => event.service)
      .toSorted(),
  ).toEqual(minimal.toSorted());
});

test('a second up touches no container', async () => {
  const before = await containers();
  events = [];
  expect(await up(stack, run)).toMatchObject({ changed: false });
  expect(actions()).toEqual(Object.fromEntries(minimal.map((name) => [name, 'keep'])));
  expect(await containers()).toEqual(before);
});

test('status, health and doctor agree that it is well', async () => {
  const report = await status(stack);
  expect(report.vault).toEqual({ address: stack.vaultAddress, state: 'unsealed' });
  expect(report.services.find((service) => service.service === 'postgres')).toMatchObject({
    state: 'running',
    imageSource: 'packages',
    authentication: 'AppRole postgres',
  });
  expect(await health(stack, selectServices(stack.model, { services: minimal }))).toMatchObject({ healthy: true });
  expect(await health(stack, selectServices(stack.model, { services: ['vault'] }))).toMatchObject({ healthy: true });
  const { checks } = await doctor(() => Promise.resolve(stack));
  expect(checks.filter((check) => check.status === 'fail')).toEqual([]);
  expect(checks.find((check) => check.check === 'Round trip')).toMatchObject({
    finding: '4 services answered by protocol',
  });
});

test('doctor names a clock that is apart and files that others can read', async () => {
  const open = join(stack.directories.vault, 'keys.json');
  await chmod(open, 0o644);
  try {
    const { checks } = await doctor(() => Promise.resolve(stack), { now: () => new Date(Date.now() + 120_000) });
    expect(checks.find((check) => check.check === 'File modes')).toMatchObject({
      status: 'fail',
      finding: expect.stringContaining(open) as string,
      fix: expect.stringContaining('chmod -R go=') as string,
    });
    expect(checks.find((check) => check.check === 'Clock')).toMatchObject({ status: 'fail' });
  } finally {
    await chmod(open, 0o600);
  }
});

test('rotated logins are delivered and work at the next start', async () => {
  const file = join(stack.directories.approles, 'redis-1/secret-id');
  const before = await readFile(file, 'utf8');
  expect(
    (await rotateLogins(stack, { services: ['redis-1', 'operator'] })).map((one) => one.service).toSorted(),
  ).toEqual(['operator', 'redis-1']);
  expect(await readFile(file, 'utf8')).not.toBe(before);
  await expect(rotateLogins(stack, { services: ['no-such'] })).rejects.toMatchObject({ code: 'UNKNOWN_SERVICE' });
  const postgres = (await containers())['postgres'];
  expect(await restart(stack, { services: ['redis-1'], onEvent })).toMatchObject({ changed: true });
  expect((await containers())['postgres']).toBe(postgres);
});

test('a rotated password is applied by restarting only who uses it', async () => {
  const before = await containers();
  expect(await rotatePassword(stack, { role: 'redis', onEvent })).toEqual({ role: 'redis', restarted: ['redis-1'] });
  const after = await containers();
  expect(after['redis-1']).not.toBe(before['redis-1']);
  expect(after['postgres']).toBe(before['postgres']);
  await using connection = await redis('redis-1');
  expect(await connection.command('SET', 'kept', 'yes')).toBe('OK');
});

test('a password that was changed in Vault alone is applied by the next up', async () => {
  {
    await using session = await operatorSession(stack);
    await rotateServiceSecret({ client: session.client, role: 'pgbouncer' });
    await rotateServiceSecret({ client: session.client, role: 'redis' });
  }
  const services = selectServices(stack.model, { profile: 'minimal' });
  expect((await health(stack, services)).healthy).toBe(false);
  events = [];
  await up(stack, run);
  const applied = events.filter((event) => event.type === 'warning' && event.code === 'PASSWORD_APPLIED');
  expect(applied.length).toBeGreaterThan(0);
  expect((await health(stack, services)).healthy).toBe(true);
});

test('every role reads its own secrets and nobody else reads them', async () => {
  const report = await provePrivileges(stack);
  expect(report.violations).toEqual([]);
  expect(report.tableRows.length).toBeGreaterThan(15);
});

test('the root-token fallback is loud, works, and is taken back', async () => {
  const fallen = await own.open({ REDIS_1_VAULT_USE_ROOT_TOKEN: 'true' });
  events = [];
  await up(fallen, run);
  expect(actions()['redis-1']).toBe('recreate');
  expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'ROOT_TOKEN_FALLBACK' }));
  const shown = (await status(fallen)).services.find((service) => service.service === 'redis-1');
  expect(shown).toMatchObject({ authentication: 'root-token fallback (redis)' });
  stack = await own.open();
  events = [];
  await up(stack, run);
  expect(actions()['redis-1']).toBe('recreate');
  expect(events.filter((event) => event.type === 'warning')).toEqual([]);
  await using connection = await redis('redis-1');
  expect(await connection.command('GET', 'kept')).toBe('yes');
});

test('a service that cannot log in ends up with its last log lines, and the next up heals it', async () => {
  const file = join(stack.directories.approles, 'pgbouncer/role-id');
  const before = await readFile(file, 'utf8');
  await down(stack, { services: ['pgbouncer'] });
  await writeFile(file, 'not-a-role-id');
  await rm(join(stack.directories.state, 'delivered.json'));
  await expect(up(stack, run)).rejects.toMatchObject({
    code: 'NOT_HEALTHY',
    message: expect.stringMatching(/pgbouncer ended with exit code \d+.*container-init/s) as string,
  });
  await writeFile(file, before);
  expect(await up(stack, run)).toMatchObject({ changed: true });
});

test('what does not become healthy in time is named with what was tried', async () => {
  const engine = await stack.engine();
  const id = await containerOf('postgres');
  await engine.killContainer(id, 'SIGSTOP');
  try {
    await expect(up(stack, { ...run, deadlineMs: 1000 })).rejects.toMatchObject({
      code: 'NOT_HEALTHY',
      message: expect.stringContaining('postgres: tried') as string,
    });
    const { checks } = await doctor(() => Promise.resolve(stack));
    expect(checks.find((check) => check.check === 'Round trip')).toMatchObject({ status: 'fail' });
    expect(checks.find((check) => check.check === 'Leftovers')).toMatchObject({
      status: 'warn',
      finding: 'an up that did not finish',
    });
  } finally {
    await engine.killContainer(id, 'SIGCONT');
  }
});

test.each(['postgres', 'vault'])('%s, paused, runs on', async (service) => {
  await (await stack.engine()).pauseContainer(await containerOf(service));
  const before = await containers();
  expect((await up(stack, run)).services.every((service) => service.healthy)).toBe(true);
  expect(await containers()).toEqual(before);
});

test('the Redis cluster grows to three nodes with its keys, and a smaller profile keeps them', async () => {
  {
    await using connection = await redis('redis-1');
    await Promise.all(Array.from({ length: 500 }, (_, n) => connection.command('SET', `key:${String(n)}`, n)));
  }
  events = [];
  const grown = await up(stack, { services: ['redis-1', 'redis-2', 'redis-3'], onEvent });
  expect(grown).toMatchObject({ profile: 'custom', changed: true });
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'step-done', step: 'redis-cluster', detail: '3 nodes, 10922 slots moved' }),
  );
  await using cluster = await redis('redis-2', true);
  const values = await Promise.all(Array.from({ length: 500 }, (_, n) => cluster.command('GET', `key:${String(n)}`)));
  expect(values).toEqual(Array.from({ length: 500 }, (_, n) => String(n)));
  await down(stack, { remove: true });
  events = [];
  await up(stack, run);
  expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'REDIS_CLUSTER_KEPT' }));
  expect(actions()['redis-3']).toBe('create');
});

test('down keeps the data; a stopped stack is started, not made anew', async () => {
  expect((await down(stack, { onEvent })).stopped).toHaveLength(6);
  expect((await down(stack)).stopped).toEqual([]);
  expect((await health(stack, selectServices(stack.model, { profile: 'minimal' }))).healthy).toBe(false);
  events = [];
  await up(stack, run);
  expect(new Set(Object.values(actions()))).toEqual(new Set(['start']));
  await using cluster = await redis('redis-1', true);
  expect(await cluster.command('GET', 'kept')).toBe('yes');
});

test('every service with TLS presents a certificate that is good, and none is due', async () => {
  const report = await certificates(stack);
  expect(report.root?.retiring).toEqual([]);
  expect(report.services.map((one) => [one.service, one.verdict, one.state, one.tls])).toEqual(
    expect.arrayContaining(minimal.map((service) => [service, 'ok', 'ok', 'true'])),
  );
  const renewed = await renewCertificates(stack, { onEvent });
  expect(new Set(renewed.map((one) => one.outcome))).toEqual(new Set(['not-due']));
  expect(portsInUse(stack.model.service('redis-1')).map((port) => port.name)).toEqual(['redis', 'redis-tls']);
  expect(() => requireEndpoint(stack, 'redis-1', 'nothing')).toThrow(/publishes no port/);
});

test('a renewal is taken by reload: the same containers present another certificate', async () => {
  const serials = async () => new Map((await certificates(stack)).services.map((one) => [one.service, one.serial]));
  const [before, running] = [await serials(), await containers()];
  const renewed = await renewCertificates(stack, {
    services: selectServices(stack.model, { services: minimal }),
    force: true,
    onEvent,
  });
  expect(renewed.map((one) => [one.service, one.outcome, one.taken])).toEqual(
    minimal.map((service) => [service, 'renewed', 'reload']),
  );
  const after = await serials();
  for (const service of minimal) expect(after.get(service), service).not.toBe(before.get(service));
  expect(await containers()).toEqual(running);
});

test('a renewal that Vault refuses is told with its next step, and the old certificate is still served', async () => {
  const root = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  const policy = (await root.readPolicy('postgres')) ?? '';
  const postgres = selectServices(stack.model, { services: ['postgres'] });
  const before = (await certificates(stack, { services: postgres })).services[0]?.serial;
  await root.writePolicy('postgres', policy.replace('pki/sign/postgres', 'pki/sign/nobody'));
  try {
    const [failed] = await renewCertificates(stack, { services: postgres, force: true, onEvent });
    expect(failed).toMatchObject({ service: 'postgres', outcome: 'failed', taken: null });
    expect(failed?.reason).toMatch(/The certificate of postgres was not renewed/);
  } finally {
    await root.writePolicy('postgres', policy);
  }
  expect((await certificates(stack, { services: postgres })).services[0]?.serial).toBe(before);
});

test.each(['missing', 'damaged'])(
  "Vault's certificate is delivered anew where its record is %s: a start was killed half-way",
  async (how) => {
    const path = join(stack.directories.certificates, 'vault-server.pem');
    if (how === 'missing') await rm(path);
    else await writeFile(path, 'half', { mode: 0o600 });
    const vault = selectServices(stack.model, { services: ['vault'] });
    const before = (await certificates(stack, { services: vault })).services[0]?.serial;
    const running = await containers();
    await up(stack, run);
    await vi.waitFor(async () => {
      const [served] = (await certificates(stack, { services: vault })).services;
      expect(served).toMatchObject({ verdict: 'ok' });
      expect(served?.serial).not.toBe(before);
    });
    expect(await readFile(path, 'utf8')).toContain('PRIVATE KEY');
    expect(await containers()).toEqual(running);
  },
);

test('the watch renews what is due, and ends when it is told to', async () => {
  const end = new AbortController();
  const looks: number[] = [];
  await watchCertificates(stack, {
    services: selectServices(stack.model, { services: ['postgres'] }),
    intervalMs: 1000,
    onEvent,
    signal: end.signal,
    onLook: (renewed) => {
      looks.push(renewed.length);
      if (looks.length === 2) end.abort();
    },
  });
  expect(looks).toEqual([0, 0]);
});

test('a new root is gone over to with both trusted, then the old one is trusted no longer', async () => {
  const old = stack.caBundle() ?? '';
  const exchange = await exchangeRoot(stack, { onEvent });
  expect(exchange.renewed.every((one) => one.outcome === 'renewed')).toBe(true);
  expect(stack.caBundle()).toContain(old.trim());
  expect((await certificates(stack)).services.every((one) => one.verdict === 'ok')).toBe(true);
  const retired = await retireRoots(stack, { onEvent });
  expect(retired.previous).toEqual(exchange.previous);
  expect(stack.caBundle()).not.toContain(old.trim());
  const report = await certificates(stack);
  expect(report.root).toMatchObject({ id: exchange.root, retiring: [] });
  expect(report.services.every((one) => one.verdict === 'ok')).toBe(true);
  expect((await retireRoots(stack, { onEvent })).renewed).toEqual([]);
});

test('a sealed Vault is said, and up unseals it', async () => {
  await sealVault();
  expect((await status(stack)).vault.state).toBe('sealed');
  await expect(operatorSession(stack)).rejects.toMatchObject({
    code: 'VAULT_SEALED',
    hint: 'Run: devstack vault unseal',
  });
  const { checks } = await doctor(() => Promise.resolve(stack));
  expect(checks.find((check) => check.check === 'Vault')).toMatchObject({ status: 'fail', finding: 'sealed' });
  expect(await up(stack, run)).toMatchObject({ changed: true });
});

// A Vault that was restarted is sealed.
async function sealVault(): Promise<void> {
  const engine = await stack.engine();
  await engine.restartContainer(await containerOf('vault'));
  await expect.poll(async () => (await status(stack)).vault.state, { timeout: 20_000 }).toBe('sealed');
}

async function containerOf(service: string): Promise<string> {
  const list = await (await stack.engine()).listContainers({ project: stack.project.id });
  const found = list.find((one) => one.service === service);
  if (found === undefined) throw new Error(`${service} is not running`);
  return found.id;
}

test('a Docker that cannot be reached fails the checks that need it, with what to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-sl-'));
  const env = {
    DOCKER_HOST: `unix://${folder}/none.sock`,
    DEVSTACK_PROJECT: 'sl-nowhere',
    DEVSTACK_SUBNET_PREFIX: '10.251',
  };
  const { healthy, checks } = await doctor(() => openStack({ root: checkout, configHome: folder, env }));
  expect(healthy).toBe(false);
  expect(checks.find((check) => check.check === 'Docker')).toMatchObject({
    status: 'fail',
    fix: expect.any(String) as string,
  });
  await rm(folder, { recursive: true });
});

test('a Vault whose keys were never written is started over', async () => {
  await reset(stack);
  stack = await own.open();
  await up(stack, { services: ['vault'], onEvent });
  // As after a kill between Vault's commit and our write: the intent is there, the keys are not.
  await rm(join(stack.directories.vault, 'keys.json'));
  await rm(join(stack.directories.vault, 'root-token'), { force: true });
  await rm(join(stack.directories.state, 'bootstrap.json'));
  await writeFile(
    join(stack.directories.vault, 'init-intent.json'),
    JSON.stringify({ version: 1, started: new Date().toISOString() }),
    { mode: 0o600 },
  );
  await sealVault();
  events = [];
  await up(stack, { services: ['vault'], onEvent });
  expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'VAULT_STARTED_OVER' }));
});

test('reset leaves nothing', async () => {
  expect((await planReset(stack)).volumes.length).toBeGreaterThan(0);
  await reset(stack, { onEvent });
  expect(await planReset(stack)).toMatchObject({ containers: [], volumes: [] });
  expect(await listProjects(own.configHome)).toEqual([]);
});
