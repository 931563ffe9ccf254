import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkout } from '../test/test-stack.ts';
import { consumersOf, roleDefinitions } from './consumers.ts';
import type { StackEvent } from './events.ts';
import { networkReport, networkWarning, replaceNetworks, warnOfSingleNetwork } from './networks.ts';
import { openStack, type Stack } from './stack.ts';

// Both prefixes are given, so no engine is asked.
async function open(settings: Readonly<Record<string, string>> = {}): Promise<Stack> {
  const configHome = await mkdtemp(join(tmpdir(), 'devstack-networks-'));
  const env = { DEVSTACK_PROJECT: 'nets', DEVSTACK_SUBNET_PREFIX: '10.77', DEVSTACK_PORT_OFFSET: '0', ...settings };
  return openStack({ root: checkout, configHome, env });
}

const single = { DEVSTACK_NETWORKS: 'single' };

describe('DEVSTACK_NETWORKS', () => {
  test('single puts every service into one network, at the first address that it has otherwise', async () => {
    const [apart, together] = await Promise.all([open(), open(single)]);
    expect(apart.model.networks.map((network) => network.name)).toEqual([
      'database',
      'cache',
      'application',
      'observability',
    ]);
    expect(together.model.networks).toEqual([
      expect.objectContaining({ name: 'single', subnet: '10.77.0.0/21', gateway: '10.77.0.1', egress: true }),
    ]);
    for (const service of apart.model.services) {
      const moved = together.model.service(service.name);
      expect(moved).toEqual({
        ...service,
        networks: [{ name: 'single', address: service.networks[0]?.address }],
        // Where its place is told, for messages, is the last file that speaks of it.
        source: moved.source,
      });
      for (const port of moved.ports) expect(port.hostAddress).toBe('127.0.0.1');
    }
  });

  test('logins follow: roles to the one subnet, services to their one address, the host to the gateway', async () => {
    const stack = await open(single);
    const roles = await roleDefinitions(stack);
    expect(roles.length).toBeGreaterThan(10);
    for (const role of roles) expect(role.boundCidrs).toEqual(['10.77.0.0/21']);
    const consumers = new Map(consumersOf(stack).map((consumer) => [consumer.service, consumer.addresses]));
    expect(consumers.get('postgres')).toEqual(['10.77.1.11/32']);
    expect(consumers.get('reference-api')).toEqual(['10.77.1.32/32']);
    expect(consumers.get('operator')).toEqual(['10.77.0.1/32']);
    expect(consumersOf(await open()).find((consumer) => consumer.service === 'operator')?.addresses).toHaveLength(4);
  });

  test('plain docker compose is told of both files', async () => {
    const stack = await open(single);
    const text = await readFile(join(stack.project.configDirectory, 'compose.env'), 'utf8');
    expect(text).toContain('-f infrastructure/compose/compose.yaml -f infrastructure/compose/single-network.yaml');
    expect(text).toContain("DEVSTACK_NETWORKS='single'");
  });

  test('anything else is a usage error, and an empty value is the default', async () => {
    await expect(open({ DEVSTACK_NETWORKS: 'Single' })).rejects.toMatchObject({
      code: 'PROJECT_INVALID',
      message: 'DEVSTACK_NETWORKS is "Single".',
      details: { usage: true },
    });
    expect((await open({ DEVSTACK_NETWORKS: '' })).model.networks).toHaveLength(4);
    expect((await open({ DEVSTACK_NETWORKS: 'separate' })).model.networks).toHaveLength(4);
  });
});

describe('what is said', () => {
  const inside = (network: string): Pick<Container, 'networks'> => ({
    networks: { [network]: { networkId: 'n', aliases: [] } },
  });

  test('nothing where separate networks are asked for and there', async () => {
    const stack = await open();
    expect(networkWarning(networkReport(stack, [inside('nets_database')]))).toBeUndefined();
    expect(networkReport(stack, [])).toEqual({ declared: 'separate', running: null });
    const events: StackEvent[] = [];
    warnOfSingleNetwork(stack, (event) => events.push(event));
    expect(events).toEqual([]);
  });

  test('isolation is off, by the setting or in fact', async () => {
    const [apart, together] = await Promise.all([open(), open(single)]);
    expect(networkWarning(networkReport(together, [inside('nets_single')]))?.text).toMatch(/ISOLATION .* OFF/);
    expect(networkWarning(networkReport(apart, [inside('nets_single')]))?.text).toMatch(/isolation .* off.*separate/);
    expect(networkWarning(networkReport(together, [inside('nets_database')]))).toEqual({
      text: 'The containers are in separate networks, and DEVSTACK_NETWORKS asks for single.',
      hint: 'To switch: devstack up',
    });
    const events: StackEvent[] = [];
    warnOfSingleNetwork(together, (event) => events.push(event));
    expect(events).toMatchObject([{ type: 'warning', code: 'NETWORKS_NOT_ISOLATED' }]);
  });
});

type Container = Awaited<ReturnType<Awaited<ReturnType<Stack['engine']>>['listContainers']>>[number];

interface Fake {
  readonly stack: Stack;
  readonly done: string[];
  readonly events: StackEvent[];
}

/** A stack whose engine has these networks (name to subnet), with two services in the first one. */
async function fake(
  networks: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, string>>,
  foreign: readonly string[] = [],
): Promise<Fake> {
  const done: string[] = [];
  const first = Object.keys(networks)[0] ?? '';
  const containers = ['postgres', 'mysql', 'gone'].map((service, index) => ({
    id: service,
    name: `nets-${service}-1`,
    service,
    state: index === 2 ? 'exited' : 'running',
    networks: { [first]: {} },
  }));
  const engine = {
    listNetworks: () =>
      Promise.resolve(Object.entries(networks).map(([name, subnet]) => ({ id: name, name, subnets: [subnet] }))),
    listContainers: () => Promise.resolve(containers),
    inspectNetwork: () =>
      Promise.resolve({ containers: [...containers, ...foreign.map((name) => ({ id: name, name }))] }),
    removeContainer: (id: string) => Promise.resolve(done.push(`container ${id}`)),
    removeNetwork: (id: string) => Promise.resolve(done.push(`network ${id}`)),
  };
  const compose = {
    stop: (options: { services: readonly string[]; onLine: (line: { text: string }) => void }) => {
      options.onLine({ text: 'Stopping' });
      return Promise.resolve(done.push(`stop ${options.services.join(' ')}`));
    },
  };
  const stack = { ...(await open(settings)), engine: () => Promise.resolve(engine), compose } as unknown as Stack;
  return { stack, done, events: [] };
}

async function replace({ stack, events }: Fake, services: readonly string[]): Promise<string> {
  const named = services.map((name) => stack.model.service(name));
  const { signal } = new AbortController();
  const outcome = await replaceNetworks(stack, named, { onEvent: (event) => events.push(event), signal });
  return `${outcome.changed ? 'changed' : 'unchanged'}: ${outcome.detail}`;
}

describe('networks of another mode', () => {
  const separate = { nets_database: '10.77.1.0/24', nets_cache: '10.77.2.0/24' };

  test('are left alone where they are as declared', async () => {
    const setup = await fake(separate, {});
    expect(await replace(setup, ['postgres'])).toBe('unchanged: as declared');
    expect(setup.done).toEqual([]);
  });

  test('are removed with the containers in them, which stop first', async () => {
    const setup = await fake(separate, single);
    expect(await replace(setup, ['postgres', 'mysql'])).toBe('changed: replaced nets_database, nets_cache');
    expect(setup.done).toEqual([
      'stop postgres mysql',
      'container postgres',
      'container mysql',
      'container gone',
      'network nets_database',
      'network nets_cache',
    ]);
    expect(setup.events).toEqual([{ type: 'progress', step: 'networks', text: 'Stopping' }]);
  });

  test('are replaced for another prefix too, and who is not started again is named', async () => {
    const setup = await fake({ nets_database: '10.76.1.0/24', nets_cache: '10.77.2.0/24' }, {});
    expect(await replace(setup, ['postgres'])).toBe('changed: replaced nets_database');
    expect(setup.events).toContainEqual(
      expect.objectContaining({
        code: 'STOPPED_WITH_NETWORKS',
        text: expect.stringContaining('; mysql stopped') as string,
      }),
    );
  });

  test('stay, with all in them, where a container of somebody else is inside', async () => {
    const setup = await fake(separate, single, ['theirs']);
    await expect(replace(setup, ['postgres'])).rejects.toMatchObject({
      code: 'NETWORK_IN_USE',
      hint: expect.stringContaining('docker network disconnect nets_database theirs') as string,
    });
    expect(setup.done).toEqual([]);
  });
});
