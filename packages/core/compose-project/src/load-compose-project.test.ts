import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadComposeProject, type ComposeModel } from './index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cp-load-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}

async function load(text: string, env: Record<string, string> = {}): Promise<ComposeModel> {
  return loadComposeProject({ files: [await write('compose.yaml', text)], env, projectName: 'p' });
}

describe('a project', () => {
  it('says where a field of a service is written, and where a merged one is taken', async () => {
    const model = await load(
      'x-all: &all\n  cap_drop: [ALL]\nservices:\n  web:\n    <<: *all\n    image: w\n    ports: ["1:1"]\n    x-devstack: {capabilities: [{name: KILL, reason: r}]}\n    cap_add:\n      - KILL\n',
    );
    const line = (...path: (string | number)[]): number => model.locate(['services', 'web', ...path]).line;
    expect(line('cap_add', 0)).toBe(10);
    expect(line('ports')).toBe(7);
    expect(line('cap_drop')).toBe(4);
    expect(line('nothing')).toBe(4);
    expect(model.locate(['services', 'web']).file).toBe(join(folder, 'compose.yaml'));
  });

  it('is read with its includes, each relative to its own folder, with the lines of every service', async () => {
    await write(
      'parts/db.yaml',
      'include: [{path: [more/cache.yaml]}]\nservices:\n  # the database\n  db:\n    build: ./db\n    volumes: [./conf:/conf:ro]\n',
    );
    await write('parts/more/cache.yaml', 'services: {cache: {image: c, profiles: [two]}}\n');
    const file = await write(
      'compose.yaml',
      'name: mine\ninclude:\n  - parts/db.yaml\nservices:\n  web: {image: w, depends_on: [db, cache], profiles: [one, two]}\n',
    );
    const model = await loadComposeProject({ files: [file], env: {} });
    expect(model.name).toBe('mine');
    expect(model.files).toEqual([join(folder, 'parts/more/cache.yaml'), join(folder, 'parts/db.yaml'), file]);
    expect(model.profiles).toEqual(['two', 'one']);
    expect(model.servicesOf('one').map((service) => service.name)).toEqual(['db', 'web']);
    expect(model.service('db')).toMatchObject({
      build: { context: join(folder, 'parts/db'), dockerfile: 'Dockerfile' },
      mounts: [{ type: 'bind', source: join(folder, 'parts/conf'), target: '/conf', readOnly: true }],
      source: { file: join(folder, 'parts/db.yaml'), line: 4 },
    });
    expect(model.networks).toEqual([
      expect.objectContaining({ name: 'default', engineName: 'mine_default', egress: true }),
    ]);
  });

  it('is laid over by later files', async () => {
    const under = await write(
      'a.yaml',
      'services: {w: {image: a, command: [x, y], environment: [A=1, B=2], ports: ["80:80"], depends_on: [v], networks: [n], labels: [k=v, l]}, v: {image: v}}\nnetworks: {n: {}, o: {}}\n',
    );
    const over = await write(
      'b.yaml',
      'services: {w: {image: b, command: [z], environment: {B: 3, C: null}, ports: ["80:80", "81:81"], depends_on: {v: {condition: service_healthy}}, networks: {o: {ipv4_address: 1.2.3.4}}}}\n',
    );
    const service = (
      await loadComposeProject({ files: [under, over], env: { COMPOSE_PROJECT_NAME: 'named' } })
    ).service('w');
    expect(service.image).toBe('b');
    expect(service.environment).toEqual({ A: '1', B: '3', C: undefined });
    expect(service.ports.map((port) => port.hostPort)).toEqual([80, 81]);
    expect(service.dependencies).toEqual([{ service: 'v', condition: 'service_healthy' }]);
    expect(service.networks).toEqual([{ name: 'n' }, { name: 'o', address: '1.2.3.4' }]);
    expect(service.labels).toEqual({ k: 'v', l: '' });
  });

  it('loses to later files what they mark !reset or !override, and mistakes are told where they are written', async () => {
    const under = await write(
      'a.yaml',
      'services: {w: {image: a, ports: ["80:80"], networks: [n, o], labels: {k: v}}, v: {image: v}, u: {image: u}}\nnetworks: {n: {}, o: {}}\nvolumes: {d: {}}\n',
    );
    const over = await write(
      'b.yaml',
      `x-legs: &legs
  p: { ipv4_address: 10.0.0.2 }
volumes: !override { e: {} }
networks: { n: !reset null, p: {}, q: { driver_opts: &self { again: *self } } }
services:
  w:
    labels: !reset null
    ports: [!reset "80:80", "81:81"]
    networks: { n: !reset null, <<: *legs }
  v:
    networks: !override
      <<: *legs
  u: !override
    image: \${IMAGE:-other}
`,
    );
    const model = await loadComposeProject({ files: [under, over], env: {}, projectName: 'p' }).catch(String);
    expect(model).toContain('b.yaml:4:');
    await writeFile(over, (await readFile(over, 'utf8')).replace(', q: { driver_opts: &self { again: *self } }', ''));
    const fine = await loadComposeProject({ files: [under, over], env: {}, projectName: 'p' });
    expect(fine.service('w')).toMatchObject({
      labels: {},
      ports: [{ hostPort: 80 }, { hostPort: 81 }],
      networks: [{ name: 'o' }, { name: 'p', address: '10.0.0.2' }],
      source: { file: over, line: 6 },
    });
    expect(fine.service('v').networks).toEqual([{ name: 'p', address: '10.0.0.2' }]);
    expect(fine.service('u')).toMatchObject({
      image: 'other',
      imageVariable: 'IMAGE',
      source: { file: over, line: 13 },
    });
    expect(fine.networks.map((network) => network.name)).toEqual(['o', 'p', 'default']);
    expect(fine.volumes).toEqual(['e']);
    await writeFile(over, 'services:\n  w:\n    networks: !override\n      gone: {}\n');
    await expect(loadComposeProject({ files: [under, over], env: {} })).rejects.toThrow(
      `${over}:3:5: services.w.networks names gone, which is no network`,
    );
  });

  it('tells its variables with defaults and places', async () => {
    const model = await load(
      'services:\n  w:\n    image: ${IMG:-x}\n    ports: ["${ADDR:-127.0.0.1}:${PORT:-1}:1"]\n    user: "${PORT}"\n    hostname: ${NEED:?say}\n',
      { NEED: 'n' },
    );
    expect(
      model.variables.map(({ name, default: fallback, required, source }) => [name, fallback, required, source.line]),
    ).toEqual([
      ['IMG', 'x', false, 3],
      ['ADDR', '127.0.0.1', false, 4],
      ['PORT', '1', false, 4],
      ['NEED', undefined, true, 6],
    ]);
    expect(model.service('w')).toMatchObject({
      imageVariable: 'IMG',
      ports: [{ hostPort: 1, variable: 'PORT', hostAddress: '127.0.0.1' }],
      user: '',
    });
  });

  it('knows what x-devstack says', async () => {
    const model = await load(`services:
  pg:
    image: pg
    cap_add: [NET_BIND_SERVICE]
    ports: ["127.0.0.1:5432:5432"]
    x-devstack:
      title: PostgreSQL
      role: postgres
      uid: 5432
      engine: postgresql
      protocol: postgresql
      ports: { sql: 5432, metrics: 9187 }
      capabilities: [{ name: CAP_NET_BIND_SERVICE, reason: It binds port 80. }]
      x-own: kept
  open: { image: o, x-devstack: { role: r, approle: false } }
  plain: { image: p }
`);
    expect(model.service('pg')).toMatchObject({
      title: 'PostgreSQL',
      role: 'postgres',
      uid: 5432,
      engine: 'postgresql',
      protocol: 'postgresql',
      ports: [{ name: 'sql', hostPort: 5432 }],
      containerPorts: { sql: 5432, metrics: 9187 },
      capabilities: [{ name: 'CAP_NET_BIND_SERVICE', reason: 'It binds port 80.' }],
      authentication: 'approle',
      extension: { 'x-own': 'kept' },
    });
    expect(model.service('open').authentication).toBe('none');
    expect(model.service('plain')).toMatchObject({ authentication: 'none', extension: {} });
  });

  it('reads every form that compose takes', async () => {
    const model = await load(`services:
  a:
    image: a
    build: { context: https://example.org/x.git, dockerfile: D, target: t, args: [X=1] }
    container_name: named
    network_mode: none
    cpus: 1.5
    mem_limit: 1gb
    pids_limit: -1
    read_only: "true"
    privileged: false
    restart: always
    security_opt: [no-new-privileges]
    ports: ["80", { target: 81 }, { target: 82, published: 83, name: web, protocol: udp }, "[::1]:84:84", ":85", "9000-9001:9000-9001/udp"]
    healthcheck: { test: curl localhost }
    volumes: [/anon, "~/x:/x", "v:/v:ro,z", { type: tmpfs, target: /t }, { type: volume, source: v, target: /w }]
    tmpfs: /run:size=1m
  b: { image: b, healthcheck: { disable: true } }
  c: { image: c, healthcheck: { test: [NONE] } }
networks: { e: { external: true, name: outside, internal: true, driver: macvlan }, d: { driver_opts: { com.docker.network.bridge.enable_ip_masquerade: "false" } } }
volumes: { v: { name: own }, w: }
`);
    const a = model.service('a');
    expect(a.build).toEqual({ context: 'https://example.org/x.git', dockerfile: 'D', target: 't', args: { X: '1' } });
    expect(a).toMatchObject({
      containerName: 'named',
      networks: [],
      limits: { cpus: 1.5, memoryBytes: 1024 ** 3, pids: -1 },
      readOnlyRoot: true,
      privileged: false,
      restart: 'always',
    });
    expect(
      a.ports.map((port) => `${port.name} ${port.hostAddress} ${String(port.hostPort)} ${port.transport}`),
    ).toEqual([
      'web 0.0.0.0 83 udp',
      '84 ::1 84 tcp',
      '85 0.0.0.0 0 tcp',
      '9000 0.0.0.0 9000 udp',
      '9001 0.0.0.0 9001 udp',
    ]);
    expect(a.healthcheck).toEqual({
      test: ['CMD-SHELL', 'curl localhost'],
      intervalMs: 30_000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      retries: 3,
    });
    expect(a.mounts.map((mount) => [mount.type, mount.target, mount.readOnly])).toEqual([
      ['volume', '/anon', false],
      ['bind', '/x', false],
      ['volume', '/v', true],
      ['tmpfs', '/t', false],
      ['volume', '/w', false],
      ['tmpfs', '/run', false],
    ]);
    expect(model.service('b').healthcheck ?? model.service('c').healthcheck).toBeUndefined();
    expect([model.volumeName('v'), model.volumeName('w')]).toEqual(['own', 'p_w']);
    expect(model.networks.map((network) => [network.engineName, network.egress])).toEqual([
      ['outside', false],
      ['p_d', false],
      ['p_default', true],
    ]);
  });
});

describe('a mistake is told with its place', () => {
  it.each<[string, string, RegExp, RegExp?]>([
    ['not YAML', 'services:\n  a: {image: [}\n', /compose\.yaml:2:\d+: not valid YAML/],
    ['a key twice', 'services:\n  a: {image: x}\n  a: {image: y}\n', /:3:3: not valid YAML: Map keys must be unique/],
    ['an unknown alias', 'services: *nothing\n', /compose\.yaml:1:\d+: /],
    ['not a mapping', '- a\n', /:1:1: a compose file must be a mapping/],
    ['empty', '', /:1:1: a compose file must be a mapping/],
    ['services as a list', 'services: [a]\n', /:1:1: services must be a mapping/],
    ['a service as text', 'services:\n  a: text\n', /:2:3: services\.a must be a mapping/],
    ['a service of nothing', 'services:\n  a: {}\n', /:2:3: services\.a needs an image or a build/],
    [
      'a missing variable',
      'services:\n  a:\n    image: "x${V:?set V}"\n',
      /:3:14: required variable V is missing a value: set V/,
      /Set V in/,
    ],
    ['a broken variable', 'services:\n  a:\n    image: ${V\n', /:3:12: "\$\{V" is not a variable/],
    ['a broken variable in a block', 'services:\n  a:\n    image: x\n    command: |\n      ${\n', /:4:14: "\$\{/],
    [
      'a port that is none',
      'services:\n  a:\n    image: x\n    ports:\n      - "80:80"\n      - nonsense\n',
      /:6:9: services\.a\.ports\[1\] must be .*nonsense/,
    ],
    ['a port too high', 'services: {a: {image: x, ports: ["80000:80"]}}', /outside 1-65535/],
    ['port ranges that differ', 'services: {a: {image: x, ports: ["80-82:80-81"]}}', /different lengths/],
    ['a long port without target', 'services: {a: {image: x, ports: [{published: 1}]}}', /needs a target/],
    ['an unknown protocol', 'services: {a: {image: x, ports: ["80:80/xyz"]}}', /unknown protocol "xyz"/],
    ['ports as a text', 'services: {a: {image: x, ports: "80:80"}}', /a\.ports must be a list/],
    [
      'an unknown dependency',
      'services:\n  web: {image: x, depends_on: [databse]}\n  database: {image: y}\n',
      /:2:19: services\.web\.depends_on names databse, which is no service/,
      /Did you mean database\?/,
    ],
    [
      'an unknown condition',
      'services: {a: {image: x, depends_on: {b: {condition: ready}}}, b: {image: y}}',
      /unknown condition "ready"/,
    ],
    [
      'an unknown network',
      'services: {a: {image: x, networks: [databas]}}\nnetworks: {database: {}}',
      /names databas, which is no network/,
      /Did you mean database/,
    ],
    [
      'an unknown volume',
      'services: {a: {image: x, volumes: ["dat:/x"]}}',
      /names dat, which is no volume/,
      /There are none/,
    ],
    ['a size that is none', 'services: {a: {image: x, mem_limit: lots}}', /a\.mem_limit must be a size/],
    [
      'a duration that is none',
      'services: {a: {image: x, healthcheck: {test: x, interval: soon}}}',
      /interval must be a duration/,
    ],
    ['a number that is none', 'services: {a: {image: x, cpus: many}}', /a\.cpus must be a number, and is "many"/],
    ['an empty number', 'services: {a: {image: x, cpus: ""}}', /a\.cpus must be a number/],
    ['a boolean that is none', 'services: {a: {image: x, read_only: perhaps}}', /read_only must be true or false/],
    ['a text that is none', 'services: {a: {image: [x]}}', /a\.image must be text/],
    ['a mount without type', 'services: {a: {image: x, volumes: [{target: /x}]}}', /needs a type/],
    [
      'a mount of an unknown type',
      'services: {a: {image: x, volumes: [{type: disk, target: /x}]}}',
      /unknown type "disk"/,
    ],
    ['a mount without target', 'services: {a: {image: x, volumes: [{type: bind, source: x}]}}', /needs a target/],
    [
      'an unknown field of x-devstack',
      'services:\n  a:\n    image: x\n    x-devstack:\n      rol: r\n',
      /:5:7: services\.a\.x-devstack\.rol is not a field/,
      /Did you mean role\?/,
    ],
    [
      'AppRole without role',
      'services: {a: {image: x, x-devstack: {approle: true, uid: 1}}}',
      /names no role/,
      /role: <Vault role>/,
    ],
    ['AppRole without uid', 'services: {a: {image: x, x-devstack: {role: r}}}', /names no uid/],
    [
      'a role that is no name',
      'services: {a: {image: x, x-devstack: {role: "../r", uid: 1}}}',
      /x-devstack\.role must be lower-case/,
    ],
    [
      'a uid that is none',
      'services: {a: {image: x, x-devstack: {role: r, uid: -1}}}',
      /uid must be a whole number from 0/,
    ],
    [
      'a capability without reason',
      'services: {a: {image: x, cap_add: [CHOWN]}}',
      /adds CHOWN without a reason/,
      /x-devstack\.capabilities/,
    ],
    [
      'a capability with an empty reason',
      'services: {a: {image: x, x-devstack: {capabilities: [{name: CHOWN, reason: " "}]}}}',
      /\(CHOWN\) needs a reason/,
    ],
    [
      'a capability without name',
      'services: {a: {image: x, x-devstack: {capabilities: [{reason: y}]}}}',
      /needs a name/,
    ],
    ['an include that is missing', 'include: [gone.yaml]', /gone\.yaml cannot be read: there is no such file/],
    ['an include without path', 'include: [{env_file: x}]', /include\[0\] needs a path/],
    ['an include of itself', 'include: [compose.yaml]', /includes .*compose\.yaml, which includes this file/],
  ])('%s', async (_, text, message, hint = /./) => {
    await expect(load(text)).rejects.toMatchObject({
      code: 'COMPOSE_PARSE',
      message: expect.stringMatching(message) as unknown,
      hint: expect.stringMatching(hint) as unknown,
    });
  });

  it('in what comes by a merge key, the nearest written place is named', async () => {
    const text = 'x-a: &a\n  mem_limit: lots\nservices:\n  a:\n    <<: *a\n    image: x\n';
    await expect(load(text)).rejects.toMatchObject({
      message: expect.stringMatching(/compose\.yaml:4:3: services\.a\.mem_limit/) as unknown,
    });
  });

  it('a service in two files of one project', async () => {
    await write('b.yaml', 'services: {a: {image: y}}');
    await expect(load('include: [b.yaml]\nservices:\n  a: {image: x}\n')).rejects.toMatchObject({
      message: expect.stringMatching(/compose\.yaml:3:3: services\.a is declared in .*b\.yaml too/) as unknown,
    });
  });

  it('a project name that cannot be one, and no file at all', async () => {
    const file = await write('compose.yaml', 'name: Not OK\nservices: {a: {image: x}}');
    await expect(loadComposeProject({ files: [file], env: {} })).rejects.toMatchObject({
      message: expect.stringMatching(/:1:1: the project name "Not OK"/) as unknown,
    });
    await expect(loadComposeProject({ files: [file], env: {}, projectName: '-' })).rejects.toMatchObject({
      code: 'COMPOSE_PARSE',
    });
    await expect(loadComposeProject({ files: [], env: {} })).rejects.toMatchObject({ code: 'COMPOSE_PARSE' });
    await expect(loadComposeProject({ files: [folder], env: {} })).rejects.toMatchObject({
      message: expect.stringContaining('EISDIR') as unknown,
    });
  });
});

describe('a name that is not there', () => {
  const text = 'services:\n  postgres: {image: x, profiles: [minimal]}\n  redis-1: {image: x, profiles: [standard]}\n';
  it.each([
    ['postgers', /Did you mean postgres\?/],
    ['redis1', /Did you mean redis-1\?/],
    ['something-else', /^There are: postgres, redis-1\.$/],
  ])('service %s', async (name, hint) => {
    const model = await load(text);
    expect(() => model.service(name)).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_SERVICE', hint: expect.stringMatching(hint) as unknown }) as Error,
    );
  });

  it('profile', async () => {
    const model = await load(text);
    expect(() => model.servicesOf('standart')).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_PROFILE',
        hint: expect.stringMatching(/Did you mean standard/) as unknown,
        details: expect.objectContaining({ usage: true }) as unknown,
      }) as Error,
    );
  });
});
