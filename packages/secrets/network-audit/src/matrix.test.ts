import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { membershipFindings, nameFindings, pathFindings, unusedRules } from './judge.ts';
import { canOf, planFrom, type MatrixCell, type Node } from './matrix.ts';
import { listeningPorts } from './namespace.ts';
import { egressFindings, publishedFindings, publishedTargets } from './outside.ts';
import { parseNetworkPaths, renderMatrix } from './index.ts';

const node = (service: string, networks: Node['networks'], more: Partial<Node> = {}): Node => ({
  service,
  subject: service,
  containerId: service,
  networks,
  ports: [80],
  ...more,
});
const nowhere = (): undefined => undefined;
const paths = parseNetworkPaths(
  'networks: [{name: n, reason: r}]\nallow: [{from: a, to: c, ports: [81], reason: r}, {from: a, to: far, reason: r}]\n',
  'p',
);
const a = node('a', { n: '10.0.0.1', m: '10.1.0.1' });
const b = node(
  'b',
  { n: ['10.0.0.2', 'fd00::2', ''], x: '10.2.0.2' },
  { published: [{ hostPort: 8080, hostAddress: '0.0.0.0' }] },
);
const c = node(
  'c',
  { m: '10.1.0.3', n: '10.0.0.3' },
  { declaredNetworks: ['m'], published: [{ hostPort: 8081, hostAddress: '::' }] },
);
const far = node('far', { z: '10.9.0.9' }, { published: [{ hostPort: 8082, hostAddress: '127.0.0.1' }] });

describe('what may be', () => {
  it('is required by a path, permitted in a network with a rule where both are declared to be, otherwise forbidden', () => {
    const plan = planFrom(a, [a, b, c, far], paths, [{ network: 'x', address: '10.2.0.254' }]);
    expect(plan.map(({ to, address, port, via, may }) => `${to} ${address} ${String(port)} ${via} ${may}`)).toEqual([
      'b 10.0.0.2 80 address permitted',
      'b fd00::2 80 address permitted',
      'b 10.2.0.2 80 address forbidden',
      'b 10.2.0.254 8080 gateway permitted',
      'c 10.1.0.3 80 address forbidden',
      'c 10.1.0.3 81 address required',
      'c 10.0.0.3 80 address forbidden',
      'c 10.0.0.3 81 address forbidden',
      'c 10.2.0.254 8081 gateway permitted',
      'far 10.9.0.9 80 address required',
      'far 10.2.0.254 8082 gateway permitted',
    ]);
    const strangers = planFrom(b, [b, far], paths, [{ network: 'x', address: '10.2.0.254' }]);
    expect(strangers.map(({ may }) => may)).toEqual(['forbidden', 'forbidden']);
  });
});

describe('what can be', () => {
  it.each([
    ['open', 'address', 'open'],
    ['ECONNREFUSED', 'address', 'refused'],
    ['ECONNREFUSED', 'gateway', 'closed'],
    ['silent', 'address', 'closed'],
    ['EHOSTUNREACH', 'address', 'closed'],
    ['EMFILE', 'address', 'unknown'],
    ['', 'address', 'unknown'],
  ] as const)('%s at an %s is %s', (detail, via, can) => {
    expect(canOf(detail, via)).toBe(can);
  });
});

const cell = (
  from: string,
  to: string,
  may: MatrixCell['may'],
  can: MatrixCell['can'],
  more: Partial<MatrixCell> = {},
): MatrixCell => ({
  from,
  to,
  may,
  can,
  address: '10.0.0.9',
  port: 80,
  network: 'n',
  via: 'address',
  detail: can === 'refused' ? 'ECONNREFUSED' : 'silent',
  ...more,
});

describe('the verdict on a pair', () => {
  it('is one finding, less grave where packets arrive and nothing listens', () => {
    const open = pathFindings(
      [cell('a', 'b', 'forbidden', 'open'), cell('a', 'b', 'forbidden', 'open', { via: 'gateway' })],
      [a, b],
      paths,
      nowhere,
    );
    expect(open).toMatchObject([
      {
        ruleId: 'network-path-undeclared',
        severity: 'high',
        message: 'It reaches b at 10.0.0.9:80 (n), 10.0.0.9:80 (the host, in n), which is declared nowhere.',
      },
    ]);
    const refused = pathFindings([cell('a', 'b', 'forbidden', 'refused')], [a, b], paths, nowhere);
    expect(refused).toMatchObject([
      { severity: 'medium', message: expect.stringContaining('refuses, so packets get there') as unknown },
    ]);
    const many = Array.from({ length: 9 }, (_, port) => cell('a', 'b', 'forbidden', 'open', { port }));
    expect(pathFindings(many, [a, b], paths, nowhere)[0]?.message).toContain('and 3 more');
    expect(pathFindings([cell('a', 'gone', 'forbidden', 'open')], [a], paths, nowhere)).toEqual([]);
  });

  it('is that a path is broken only where no address of the peer answers', () => {
    const half = [
      cell('a', 'c', 'required', 'open', { port: 81 }),
      cell('a', 'c', 'required', 'closed', { port: 81, address: '10.0.0.8' }),
    ];
    expect(pathFindings(half, [a, c], paths, nowhere)).toEqual([]);
    const none = half.map((one) => ({ ...one, can: 'closed' as const }));
    expect(pathFindings(none, [a, c], paths, nowhere)).toMatchObject([
      { ruleId: 'network-path-broken', location: { file: 'p', line: 2 } },
    ]);
  });

  it('is a word in the table', () => {
    const cells = [
      cell('a', 'b', 'required', 'open'),
      cell('a', 'c', 'permitted', 'open'),
      cell('a', 'd', 'forbidden', 'closed'),
      cell('b', 'a', 'required', 'closed'),
      cell('b', 'c', 'forbidden', 'refused'),
      cell('b', 'd', 'permitted', 'unknown'),
      cell('c', 'c', 'permitted', 'open'),
    ];
    const { columns, rows, legend } = renderMatrix(cells);
    expect(columns).toEqual(['a', 'b', 'c', 'd']);
    expect(rows).toEqual([
      { from: 'a', cells: ['', 'path', 'open', '-'] },
      { from: 'b', cells: ['BROKEN', '', 'OPEN', '?'] },
      { from: 'c', cells: ['?', '?', 'open', '?'] },
      { from: 'd', cells: ['?', '?', '?', ''] },
    ]);
    expect(rows.flatMap((row) => row.cells).filter((word) => !(word in legend))).toEqual([]);
  });
});

describe('names', () => {
  const ask = (names: readonly string[], answers: readonly (readonly string[] | string)[]): readonly string[] =>
    nameFindings(a, names, answers, [a, b, c, far], paths, nowhere).map(
      ({ ruleId, message }) => `${ruleId} ${message}`,
    );

  it('of neighbours may resolve, of strangers may not, and others of that name elsewhere do not count', () => {
    expect(ask(['b', 'c', 'far'], [['10.0.0.2'], ['10.1.0.3'], 'ENOTFOUND'])).toEqual([]);
    const lone = node('lone', { q: '10.8.0.1' });
    const stranger = nameFindings(lone, ['b'], [['10.0.0.2']], [lone, b], paths, nowhere);
    expect(stranger.map(({ ruleId }) => ruleId)).toEqual(['network-name-undeclared']);
    expect(nameFindings(lone, ['b'], [['192.0.2.1']], [lone, b], paths, nowhere)).toEqual([]);
  });

  it('that are needed must resolve, where there is a resolver', () => {
    expect(ask(['c'], ['ENOTFOUND'])).toEqual(['network-name-missing The name c does not resolve in it.']);
    expect(ask(['c'], ['ECONNREFUSED'])).toEqual([]);
  });
});

it('members are held against their declaration, and rules against members', () => {
  expect(
    membershipFindings([a, c, node('d', {}, { declaredNetworks: ['m'] })], nowhere).map(
      ({ ruleId, message }) => `${ruleId} ${message}`,
    ),
  ).toEqual([
    'network-joined-undeclared It is in the network n, which its declaration does not have.',
    'network-not-joined It is not in the network m of its declaration.',
  ]);
  const bare = { ...far, ports: [] };
  expect(unusedRules([a, bare], paths, undefined).map(({ subject }) => subject)).toEqual(['network n', 'a to far']);
  expect(unusedRules([a, b, far], paths, undefined)).toEqual([]);
});

it('egress and published ports are judged by what answers', () => {
  const targets = [{ host: 'h', port: 1 }];
  const judge = (results: string, fromHost: string): unknown =>
    egressFindings({
      trials: [{ node: a, results: [results] }],
      fromHost: [fromHost],
      targets,
      paths,
      egress: {},
      place: nowhere,
    });
  expect(judge('open', 'silent')).toMatchObject({
    findings: [{ ruleId: 'network-egress-undeclared' }],
    notChecked: [],
  });
  expect(judge('silent', 'open')).toEqual({ findings: [], notChecked: [] });
  expect(judge('silent', 'silent')).toMatchObject({ findings: [], notChecked: [{ subject: 'egress' }] });
  const published = publishedTargets([b, c, far]);
  expect(published.map(({ host, port }) => `${host} ${String(port)}`)).toEqual([
    '127.0.0.1 8080',
    '::1 8081',
    '127.0.0.1 8082',
  ]);
  expect(publishedFindings(published, ['open', 'ECONNREFUSED', 'open']).map(({ subject }) => subject)).toEqual(['c']);
});

describe('in /proc', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'network-proc-'));
    await mkdir(join(root, '7/net'), { recursive: true });
    await writeFile(join(root, '7/cgroup'), '0::/\n');
    await writeFile(join(root, '7/mountinfo'), '1 0 0:1 /containers/abc/hosts /etc/hosts rw - ext4 x rw\n');
    const rows = (...addresses: readonly string[]): string =>
      [
        '  sl  local_address rem_address st',
        ...addresses.map((text, index) => ` ${String(index)}: ${text} 00000000:0000 0A 0`),
        '  9: 00000000:1F99 00000000:0000 01 0',
      ].join('\n');
    await writeFile(join(root, '7/net/tcp'), rows('00000000:1F90', '0100007F:1F91', '0B00007F:A001', '0B0114AC:1538'));
    await writeFile(
      join(root, '7/net/tcp6'),
      rows(
        `${'0'.repeat(32)}:1F90`,
        `${'0'.repeat(24)}01000000:1F92`,
        `${'0'.repeat(16)}FFFF00000100007F:1F93`,
        `${'0'.repeat(16)}FFFF00000B0114AC:1F94`,
      ),
    );
  });
  afterAll(() => rm(root, { recursive: true }));

  it('what listens is read, loopback and connections left out', async () => {
    expect((await listeningPorts(root, 7)).toSorted()).toEqual([5432, 8080, 8084]);
    expect(await listeningPorts(root, 8)).toEqual([]);
  });
});
