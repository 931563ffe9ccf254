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
  file: string,
): Promise<{ readonly ok: boolean; readonly value: Readonly<Record<string, never>> }> {
  const argv = [
    'docker',
    'compose',
    '--project-name',
    'oracle',
    '-f',
    file,
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
