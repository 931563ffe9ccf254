import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@devstack-core/command-runner';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InterpolationFailure, interpolate } from './interpolate.ts';
import { loadComposeProject } from './index.ts';

// The judge is the real tool: `docker compose config`.
let folder: string;
const env = { A: 'va', B: 'x y:z', E: '', a: 'lower', PORT: '15432' };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cp-oracle-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function config(
  ...files: readonly string[]
): Promise<{ readonly ok: boolean; readonly value: Readonly<Record<string, never>> }> {
  const argv = [
    'docker',
    'compose',
    '--project-name',
    'oracle',
    ...files.flatMap((file) => ['-f', file]),
    '--profile',
    '*',
    'config',
    '--format',
    'json',
    '--no-path-resolution',
  ] as const;
  const { exitCode, stdout } = await run(argv, { check: false, env, cwd: folder });
  return { ok: exitCode === 0, value: exitCode === 0 ? (JSON.parse(stdout) as Readonly<Record<string, never>>) : {} };
}

function ours(text: string): string | undefined {
  try {
    return interpolate(text, env);
  } catch (error) {
    if (error instanceof InterpolationFailure) return undefined;
    throw error;
  }
}

const piece = fc.constantFrom(
  ...[
    '$',
    '$$',
    '${',
    '}',
    '{',
    ':',
    '-',
    '+',
    '?',
    ':-',
    ':?',
    ':+',
    'A',
    'B',
    'E',
    'U',
    'a',
    '_',
    '1',
    ' ',
    '.',
    'é',
    '"',
  ],
  ...['${A}', '${U:-', '${E-', '${A:+', '${U?', '$A', '$U', '\\', '#', '\n'],
);

describe('interpolation', () => {
  it('is what docker compose makes of the same texts', async () => {
    const texts = fc.sample(
      fc.array(piece, { minLength: 1, maxLength: 7 }).map((parts) => parts.join('')),
      { numRuns: 1500, seed: 20_261_121 },
    );
    const good = texts.filter((text) => ours(text) !== undefined);
    expect(good.length).toBeGreaterThan(300);
    // All that we accept, in one file: one answer of the tool tells about each.
    await writeFile(
      join(folder, 'good.json'),
      JSON.stringify({
        services: {
          s: { image: 'x', environment: Object.fromEntries(good.map((text, index) => [`V${String(index)}`, text])) },
        },
      }),
    );
    const { ok, value } = await config('good.json');
    expect(ok).toBe(true);
    const environment = (value as unknown as { services: { s: { environment: Record<string, string> } } }).services.s
      .environment;
    // The tool prints a dollar as two.
    const wrong = good.filter((text, index) => environment[`V${String(index)}`]?.replaceAll('$$', '$') !== ours(text));
    expect(wrong).toEqual([]);
  });

  it('refuses what docker compose refuses', async () => {
    const texts = fc.sample(
      fc.array(piece, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('')),
      { numRuns: 600, seed: 42 },
    );
    const bad = [...new Set(texts.filter((text) => ours(text) === undefined))].slice(0, 40);
    expect(bad.length).toBeGreaterThan(20);
    const accepted: string[] = [];
    for (const [index, text] of bad.entries()) {
      const file = `bad-${String(index)}.json`;
      await writeFile(
        join(folder, file),
        JSON.stringify({ services: { s: { image: 'x', environment: { V: text } } } }),
      );
      if ((await config(file)).ok) accepted.push(text);
    }
    expect(accepted).toEqual([]);
  });
});

describe('the model', () => {
  it('says what docker compose says of the same files', async () => {
    await writeFile(
      join(folder, 'compose.yaml'),
      `name: ignored
include: [more.yaml]
x-base: &base
  restart: unless-stopped
  cap_drop: [ALL]
  networks: { database: { ipv4_address: "\${P:-172.30}.1.11" } }
services:
  postgres:
    <<: *base
    image: \${PG_IMAGE:-devstack/postgres:local}
    profiles: [minimal, standard]
    ports: ["127.0.0.1:\${PORT:-5432}:5432", "127.0.0.1:7000-7002:7000-7002/udp"]
    environment: ["A=\${A}", "B=\${B}"]
    depends_on: { vault: { condition: service_healthy } }
    deploy: { resources: { limits: { cpus: "0.50", memory: 512M, pids: 200 } } }
    healthcheck: { test: [CMD, pg_isready], interval: 1m30s, timeout: 5s, retries: 4, start_period: 500ms }
    volumes: ["data:/var/lib/postgresql", { type: bind, source: ./x, target: /x, read_only: true }]
    tmpfs: [/run]
networks:
  database: { ipam: { config: [{ subnet: "\${P:-172.30}.1.0/24", gateway: "\${P:-172.30}.1.1" }] } }
volumes: { data: {} }
`,
    );
    await writeFile(
      join(folder, 'more.yaml'),
      'services: { vault: { image: vault, networks: [database], ports: [{ target: 8200, published: "8200", host_ip: 127.0.0.1 }] } }\n',
    );
    const { value } = await config('compose.yaml');
    const model = await loadComposeProject({ files: [join(folder, 'compose.yaml')], env, projectName: 'oracle' });
    const real = value as unknown as {
      services: Record<
        string,
        {
          image: string;
          ports: { published: string; target: number; host_ip: string; protocol: string }[];
          networks: Record<string, { ipv4_address?: string } | null>;
          environment?: Record<string, string>;
          depends_on?: Record<string, { condition: string }>;
          deploy?: { resources: { limits: { cpus: number; memory: string; pids: number } } };
          volumes?: { type: string; source: string; target: string }[];
        }
      >;
      networks: Record<string, { name: string; ipam: { config?: { subnet: string; gateway: string }[] } }>;
      volumes: Record<string, { name: string }>;
    };
    expect(model.services.map((service) => service.name).toSorted()).toEqual(Object.keys(real.services).toSorted());
    for (const service of model.services) {
      const judge = real.services[service.name];
      expect(service.image).toBe(judge?.image);
      expect(
        service.ports.map(({ hostPort, containerPort, hostAddress, transport }) => ({
          hostPort,
          containerPort,
          hostAddress,
          transport,
        })),
      ).toEqual(
        judge?.ports.map((port) => ({
          hostPort: Number(port.published),
          containerPort: port.target,
          hostAddress: port.host_ip,
          transport: port.protocol,
        })),
      );
      expect(Object.fromEntries(service.networks.map((leg) => [leg.name, leg.address]))).toEqual(
        Object.fromEntries(Object.entries(judge?.networks ?? {}).map(([name, leg]) => [name, leg?.ipv4_address])),
      );
      expect(service.environment).toEqual(judge?.environment ?? {});
      expect(service.dependencies.map((edge) => [edge.service, edge.condition])).toEqual(
        Object.entries(judge?.depends_on ?? {}).map(([name, edge]) => [name, edge.condition]),
      );
    }
    expect(model.service('postgres').limits).toEqual({
      cpus: 0.5,
      memoryBytes: Number(real.services['postgres']?.deploy?.resources.limits.memory),
      pids: 200,
    });
    expect(model.networks[0]).toMatchObject({
      engineName: real.networks['database']?.name,
      ...real.networks['database']?.ipam.config?.[0],
    });
    expect(model.volumeName('data')).toBe(real.volumes['data']?.name);
  });
});

describe('!reset and !override', () => {
  const under = `services:
  w:
    image: a
    command: [x, y]
    environment: { A: "1", B: "2" }
    ports: ["80:80", "90:90"]
    depends_on: [v]
    networks: [n, o]
    labels: { k: v, l: m }
    healthcheck: { test: [CMD, a], interval: 3s }
  v: { image: v, networks: { n: { ipv4_address: 10.9.0.2 }, o: {} } }
networks: { n: { ipam: { config: [{ subnet: 10.9.0.0/24 }] } }, o: {} }
`;
  interface Real {
    readonly services: Readonly<
      Record<
        string,
        {
          readonly image: string;
          readonly environment?: Readonly<Record<string, string>>;
          readonly labels?: Readonly<Record<string, string>>;
          readonly ports?: readonly { readonly published: string }[];
          readonly networks?: Readonly<Record<string, { readonly ipv4_address?: string } | null>>;
          readonly depends_on?: Readonly<Record<string, unknown>>;
          readonly healthcheck?: { readonly test: readonly string[]; readonly interval?: string };
        }
      >
    >;
    readonly networks?: Readonly<Record<string, unknown>>;
  }

  it.each([
    'services: { w: { networks: !override { o: { ipv4_address: 10.8.0.9 } } } }',
    'services: { w: { networks: !override [o] } }',
    'services: { w: { networks: !reset null } }',
    'services: { w: { networks: !reset { o: {} } } }',
    'services: { w: { networks: { n: !reset null } } }',
    'services: { w: { networks: { n: !reset null, o: !reset null } } }',
    'services: { v: { networks: { n: !override {}, o: !reset [] } } }',
    'services: { w: { depends_on: { v: !reset null } } }',
    'services: { w: { ports: !override ["1:1"], environment: !override [C=3] } }',
    'services: { w: { ports: [!reset "80:80", "7:7"] } }',
    'services: { w: { environment: { A: !reset null, B: !override "9" }, labels: { k: !reset null, x: !reset y } } }',
    'services: { w: !override { image: q } }',
    'services: { v: !reset null, w: { depends_on: !reset null } }',
    'services: !override { q: { image: q } }',
    'services: { w: { healthcheck: { test: !override [CMD, b] } } }',
    'services: { w: { healthcheck: !override { test: [CMD, b] } } }',
    'x-a: &a { networks: !override { o: {} } }\nservices: { w: { <<: *a } }',
    'x-a: &a { networks: !reset null }\nservices: { w: { <<: *a } }',
    'networks: { n: !reset null, o: !reset null, p: {} }\nservices: { w: { networks: !override [p] }, v: { networks: !override { p: {} } } }',
  ])('mean what docker compose makes of them: %s', async (over) => {
    await writeFile(join(folder, 'under.yaml'), under);
    await writeFile(join(folder, 'over.yaml'), over);
    const { ok, value } = await config('under.yaml', 'over.yaml');
    expect(ok).toBe(true);
    const real = value as unknown as Real;
    const files = [join(folder, 'under.yaml'), join(folder, 'over.yaml')];
    const model = await loadComposeProject({ files, env, projectName: 'oracle' });
    expect(model.services.map((service) => service.name).toSorted()).toEqual(Object.keys(real.services).toSorted());
    for (const service of model.services) {
      const judge = real.services[service.name];
      expect(service.image).toBe(judge?.image);
      expect(service.environment).toEqual(judge?.environment ?? {});
      expect(service.labels).toEqual(judge?.labels ?? {});
      expect(service.ports.map((port) => String(port.hostPort))).toEqual(
        (judge?.ports ?? []).map((port) => port.published),
      );
      expect(Object.fromEntries(service.networks.map((leg) => [leg.name, leg.address]))).toEqual(
        Object.fromEntries(Object.entries(judge?.networks ?? {}).map(([name, leg]) => [name, leg?.ipv4_address])),
      );
      expect(service.dependsOn).toEqual(Object.keys(judge?.depends_on ?? {}));
      expect(service.healthcheck?.test).toEqual(judge?.healthcheck?.test);
      expect(service.healthcheck?.intervalMs).toBe(
        judge?.healthcheck === undefined ? undefined : judge.healthcheck.interval === '3s' ? 3000 : 30_000,
      );
    }
    // The tool leaves networks out that nobody is in.
    const names = model.networks.map((network) => network.name);
    expect(names).toEqual(expect.arrayContaining(Object.keys(real.networks ?? {})));
    if (over.startsWith('networks:')) expect(names).toEqual(Object.keys(real.networks ?? {}));
  });
});
