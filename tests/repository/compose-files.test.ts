import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const root = resolve(import.meta.dirname, '../..');
const folder = resolve(root, 'infrastructure/compose');
// Laid over the others where `DEVSTACK_NETWORKS=single`: it only moves services into its one network.
const overlay = 'single-network.yaml';
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml') && name !== overlay);
const texts = files.map((name) => readFileSync(resolve(folder, name), 'utf8'));

interface Service {
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly privileged?: boolean;
  readonly security_opt?: readonly string[];
  readonly logging?: { readonly options?: Readonly<Record<string, string>> };
  readonly healthcheck?: { readonly test?: readonly string[] };
  readonly cpus?: number;
  readonly mem_limit?: string;
  readonly pids_limit?: number;
  readonly ulimits?: Readonly<Record<string, number>>;
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>>;
  readonly 'x-devstack'?: {
    readonly uid?: number;
    readonly engine?: string;
    readonly capabilities?: readonly { readonly name: string; readonly reason: string }[];
  };
}

const services = texts.flatMap((text) =>
  Object.entries((parse(text, { merge: true }) as { services?: Record<string, Service> | null }).services ?? {}),
);

describe.each(services)('service %s', (_, service) => {
  test('runs as a fixed user, without a capability that has no reason, on a read-only root', () => {
    expect(service.user).toBe(`${String(service['x-devstack']?.uid)}:${String(service['x-devstack']?.uid)}`);
    expect(service.read_only).toBe(true);
    expect(service.privileged ?? false).toBe(false);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.cap_add ?? []).toEqual(service['x-devstack']?.capabilities?.map(({ name }) => name) ?? []);
    expect(service.security_opt).toContain('no-new-privileges:true');
    // A core dump would put a server's passwords on the disk.
    expect(service.ulimits?.['core']).toBe(0);
  });

  test('has limits for its CPU, memory, processes and log', () => {
    expect(service.cpus).toBeGreaterThan(0);
    expect(service.mem_limit).toMatch(/^\d+[mg]$/);
    expect(service.pids_limit).toBeGreaterThan(0);
    expect(Object.keys(service.logging?.options ?? {})).toContain('max-size');
  });

  test('proves that it serves, without a secret in the command', () => {
    expect(service.healthcheck?.test?.length).toBeGreaterThan(0);
    expect(service.healthcheck?.test?.join(' ')).not.toMatch(/passw|token|secret|-a /i);
  });

  test('publishes on the loopback address alone', () => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\$\{DEVSTACK_\w+_PORT:-\d+\}:\d+$/);
  });

  test('belongs to a profile, and to every larger one', () => {
    const all = ['minimal', 'standard', 'reference'];
    const first = all.findIndex((profile) => service.profiles?.includes(profile) === true);
    expect(first).toBeGreaterThanOrEqual(0);
    for (const profile of all.slice(first)) expect(service.profiles).toContain(profile);
  });

  test('has no secret in its environment', () => {
    for (const name of Object.keys(service.environment ?? {})) {
      expect(name).not.toMatch(/PASSWORD|SECRET|PASSPHRASE|_KEY$/);
      if (name.includes('TOKEN')) expect(name).toBe('VAULT_USE_ROOT_TOKEN');
    }
  });
});

describe('the single network', () => {
  const text = readFileSync(resolve(folder, overlay), 'utf8');
  const moved = (parse(text, { logLevel: 'error' }) as { services: Record<string, Service> }).services;

  test('holds every service, at its first address of the separate networks', () => {
    const first = services.map(([name, service]) => [name, Object.values(service.networks ?? {})[0]?.ipv4_address]);
    const own = Object.entries(moved).map(([name, service]) => [name, service.networks?.['single']?.ipv4_address]);
    expect(Object.fromEntries(own)).toEqual(Object.fromEntries(first));
    expect(new Set(own.map(([, address]) => address)).size).toBe(services.length);
  });

  test('changes nothing else of a service, and leaves no leg of the others', () => {
    for (const service of Object.values(moved)) expect(Object.keys(service)).toEqual(['networks']);
    expect(text.match(/networks: !override$/gm)).toHaveLength(services.length);
  });
});

describe('.env.example', () => {
  const example = readFileSync(resolve(root, '.env.example'), 'utf8');
  const explained = new Map(
    [...example.matchAll(/^# ([A-Z][A-Z0-9_]*)=(.*)$/gm)].map((match) => [match[1] ?? '', match[2] ?? '']),
  );
  // The innermost variable of a nested default is matched as well, as its text follows.
  const used = texts.flatMap((text) =>
    [...text.matchAll(/\$\{([A-Z0-9_]+)(?::-([^{}$]*))?/g)].map((match) => ({ name: match[1] ?? '', value: match[2] })),
  );

  // Follows from VAULT_ENABLE_TLS; nobody sets it by hand.
  const computed = new Set(['DEVSTACK_VAULT_ADDR']);

  test.each([...new Set(used.map(({ name }) => name))].filter((name) => !computed.has(name)).sort())(
    'explains %s',
    (name) => {
      // One line stands for the switch of every service.
      const own = /^[A-Z0-9_]+(?=_VAULT_USE_ROOT_TOKEN$)/.exec(name)?.[0];
      if (own === undefined) expect([...explained.keys()]).toContain(name);
      else expect(example).toMatch(new RegExp(`[ ,]${own}[,.]`));
    },
  );

  test.each(used.filter(({ value, name }) => value !== undefined && value !== '' && explained.has(name)))(
    'shows the default of $name',
    ({ name, value }) => {
      expect(explained.get(name)).toBe(value);
    },
  );

  // The command line reads it itself: it says which compose files there are.
  const ownVariables = ['DEVSTACK_NETWORKS'];

  test.each([...explained.keys()])('%s is used by a compose file', (name) => {
    expect([...used.map((use) => use.name), ...ownVariables]).toContain(name);
  });

  test('sets nothing and holds no secret', () => {
    expect(example).not.toMatch(/^[^#\n]/m);
  });
});
