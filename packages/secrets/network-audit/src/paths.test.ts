import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadComposeProject } from '@devstack-core/compose-project';
import { describe, expect, it } from 'vitest';
import { parseNetworkPaths } from './index.ts';
import { checkNames } from './paths.ts';

const good = `networks:
  - {name: data, reason: one bridge}
allow:
  - from: api
    to: db
    ports: [5432, 5433]
    reason: its data
  - {from: api, to: cache, reason: its cache}
egress:
  - {service: api, reason: mail}
`;

describe('declared paths', () => {
  it('are read with their lines', () => {
    expect(parseNetworkPaths(good, 'p.yaml')).toEqual({
      file: 'p.yaml',
      networks: [{ name: 'data', reason: 'one bridge', line: 2 }],
      allow: [
        { from: 'api', to: 'db', ports: [5432, 5433], reason: 'its data', line: 4 },
        { from: 'api', to: 'cache', reason: 'its cache', line: 8 },
      ],
      egress: [{ service: 'api', reason: 'mail', line: 10 }],
    });
  });

  it.each(['', '# nothing\n', 'allow:\n', 'allow: []\n'])('may be empty: %j', (text) => {
    expect(parseNetworkPaths(text, 'p.yaml')).toEqual({ file: 'p.yaml', networks: [], allow: [], egress: [] });
  });

  const change = (from: string, to: string): string => {
    expect(good).toContain(from);
    return good.replace(from, to);
  };

  it.each<[string, () => string, number, string, string?]>([
    ['a typo in a list', () => change('egress:', 'egres:'), 9, 'has the unknown field egres', 'Did you mean egress?'],
    [
      'a typo in a field',
      () => change('    to: db', '    two: db'),
      5,
      'an entry has the unknown field two',
      'Did you mean to?',
    ],
    [
      'a missing reason',
      () => change('    reason: its data\n', ''),
      4,
      'an entry has no reason',
      'from, to, ports, reason',
    ],
    ['an empty reason', () => change('mail', '" "'), 10, 'reason must be text, and not empty'],
    ['a name that is a number', () => change('to: db', 'to: 5'), 5, 'to must be text, and not empty'],
    ['no port', () => change('[5432, 5433]', '[]'), 6, 'ports must be a list of whole numbers from 1 to 65535'],
    ['a port that is none', () => change('5433', '70000'), 6, 'ports must be a list of whole numbers from 1 to 65535'],
    ['a port that is no list', () => change('[5432, 5433]', '5432'), 6, 'ports must be a list'],
    [
      'an entry twice',
      () => `${good}  - {service: api, reason: r}\n`,
      11,
      'egress of api is listed in line 10 already',
    ],
    [
      'a path twice',
      () => change('to: cache', 'to: db, ports: [5432, 5433]'),
      8,
      'api to db on 5432, 5433 is listed in line 4 already',
    ],
    ['a list that is none', () => 'allow: api\n', 1, 'allow must be a list'],
    ['an entry that is none', () => 'allow:\n  - api\n', 2, 'must be a mapping'],
    ['a file that is none', () => 'api\n', 1, 'must be a mapping'],
    ['no YAML', () => 'allow: [\n', 2, 'not valid YAML'],
  ])('with %s are refused, with the line', (_name, text, line, message, hint = '') => {
    let error: unknown;
    try {
      parseNetworkPaths(text(), 'p.yaml');
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({
      code: 'NETWORK_PATHS_INVALID',
      message: expect.stringContaining(`p.yaml:${String(line)}: ${message}`) as unknown,
      hint: expect.stringContaining(hint) as unknown,
      details: { file: 'p.yaml', line },
    });
  });

  it.each([
    ['from: api\n', 'from: apii\n', 'there is no service "apii"'],
    ['to: db', 'to: dbb', 'there is no service "dbb"'],
    ['name: data', 'name: dta', 'there is no network "dta"'],
    ['service: api', 'service: nobody', 'there is no service "nobody"'],
  ])('that name what there is not (%s) are refused', (from, to, message) => {
    const known = { services: ['api', 'db', 'cache'], networks: ['data'] };
    checkNames(parseNetworkPaths(good, 'p.yaml'), known);
    expect(() => {
      checkNames(parseNetworkPaths(change(from, to), 'p.yaml'), known);
    }).toThrow(message);
  });
});

describe("the stack's own", () => {
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  const compose = 'infrastructure/compose/';

  it.each([
    ['configs/network-paths.yaml', ['compose.yaml']],
    ['configs/network-paths-single.yaml', ['compose.yaml', 'single-network.yaml']],
  ])('%s names services and networks that there are', async (file, files) => {
    const model = await loadComposeProject({ files: files.map((name) => root + compose + name), env: {} });
    const paths = parseNetworkPaths(await readFile(root + file, 'utf8'), file);
    const services = model.services.map(({ name }) => name);
    checkNames(paths, { services, networks: model.networks.map(({ name }) => name) });
    // Every path is between two that meet, so that none is declared which cannot be.
    for (const { from, to } of paths.allow) {
      const homes = (name: string): readonly string[] => model.service(name).networks.map((leg) => leg.name);
      expect(
        homes(from).filter((name) => homes(to).includes(name)),
        `${from} to ${to}`,
      ).not.toEqual([]);
    }
    // Who is in a network that masquerades gets out, so it is declared, and nobody else is.
    const open = new Set(model.networks.filter(({ egress }) => egress).map(({ name }) => name));
    const getOut = model.services.filter(({ networks }) => networks.some(({ name }) => open.has(name)));
    expect(paths.egress.map(({ service }) => service).toSorted()).toEqual(getOut.map(({ name }) => name).toSorted());
  });
});
