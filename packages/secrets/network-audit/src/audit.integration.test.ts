import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import type { ComposeModel } from '@devstack-core/compose-project';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../test/lab.ts';
import {
  auditNetwork,
  membersOf,
  parseNetworkPaths,
  renderMatrix,
  type AuditNetworkOptions,
  type NetworkAudit,
} from './index.ts';

let engine: DockerEngine;
let lab: Lab;
let model: ComposeModel;

const composeFile = `services:
  front: {image: i, networks: [app], x-devstack: {ports: {http: 7000}}}
  api: {image: i, networks: [app, data], x-devstack: {ports: {http: 7000}}}
  db: {image: i, networks: [data], x-devstack: {ports: {sql: 7000}}}
  store:
    image: i
    networks:
      - data
      - app
    x-devstack: {ports: {http: 7000}}
networks: {app: {}, data: {}}
`;
const declared = `networks:
  - {name: app, reason: the application talks to itself}
allow:
  - {from: api, to: db, ports: [7000], reason: it keeps its data there}
  - {from: api, to: store, reason: it keeps files there}
`;

beforeAll(async () => {
  engine = await connectDocker();
  lab = new Lab(engine);
  await lab.networks({ app: {}, data: { masquerade: false } });
  await lab.service('front', ['app'], [7000]);
  await lab.service('api', ['app', 'data'], [7000]);
  await lab.service('db', ['data'], [7000, 7001], [7000]);
  await lab.service('store', ['app', 'data'], [7000]);
  model = await lab.model(composeFile);
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

async function audit(more: Partial<AuditNetworkOptions> & { readonly text?: string } = {}): Promise<NetworkAudit> {
  const { text = declared, ...options } = more;
  const members = options.members ?? (await membersOf(engine, lab.project, model));
  const paths = parseNetworkPaths(text, 'paths.yaml');
  return auditNetwork({ engine, members, paths, compose: model, egressTargets: [], ...options });
}

function told({ report }: NetworkAudit): readonly string[] {
  return report.findings.map(({ ruleId, subject, message }) => `${ruleId} ${subject}: ${message}`);
}

describe('networks that are as declared', () => {
  it('but for what db and store can reach of each other, which nobody has declared, down to a port that no file names', async () => {
    const result = await audit();
    const rules = result.report.findings.map(({ ruleId, subject }) => [ruleId, subject]);
    expect(rules).toEqual([
      ['network-path-undeclared', 'api'],
      ['network-path-undeclared', 'db'],
      ['network-path-undeclared', 'db'],
      ['network-path-undeclared', 'store'],
      ['network-path-undeclared', 'store'],
    ]);
    expect(told(result).join('\n')).toMatch(
      /api: It reaches db at 10\.\d+\.\d+\.\d+:7001 \(data\), which is declared nowhere\./,
    );
    expect(result.report.notChecked).toEqual([]);
    expect(result.report.findings[0]?.location).toEqual({ file: model.files[0], line: 3 });
  });

  it('pass where the rule of a network says that its members may talk', async () => {
    const result = await audit({ text: declared.replace('allow:', '  - {name: data, reason: one bridge}\nallow:') });
    expect(told(result)).toEqual([]);
    expect(result.report).toMatchObject({ verdict: 'pass', checkedCount: 12 });
    expect(renderMatrix(result.matrix)).toMatchObject({
      columns: ['api', 'db', 'front', 'store'],
      rows: [
        { from: 'api', cells: ['', 'path', 'open', 'path'] },
        { from: 'db', cells: ['open', '', '-', 'open'] },
        { from: 'front', cells: ['open', '-', '', 'open'] },
        { from: 'store', cells: ['open', 'open', 'open', ''] },
      ],
    });
    // A peer with two addresses is tried at both, and the far one is closed.
    const store = result.matrix.filter(({ from, to, via }) => from === 'front' && to === 'store' && via === 'address');
    expect(store.map(({ network, may, can }) => [network, may, can]).toSorted()).toEqual([
      ['app', 'permitted', 'open'],
      ['data', 'forbidden', 'closed'],
    ]);
  });
});

const ruled = declared.replace('allow:', '  - {name: data, reason: one bridge}\nallow:');

describe('what differs', () => {
  it('a network joined at run time is found by its declaration, its paths and its names, until it is left', async () => {
    await lab.join('front', 'data');
    try {
      const joined = await audit({ text: ruled });
      expect(told(joined)).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^network-joined-undeclared front: It is in the network data/),
          expect.stringMatching(/^network-path-undeclared front: It reaches db at .*:7000 \(data\)/),
          expect.stringMatching(/^network-path-undeclared db: It reaches front at .*:7000 \(data\)/),
          expect.stringMatching(/^network-name-undeclared front: The name db resolves to/),
        ]),
      );
      expect(renderMatrix(joined.matrix).rows.find(({ from }) => from === 'front')?.cells).toEqual([
        'OPEN',
        'OPEN',
        '',
        'OPEN',
      ]);
    } finally {
      await lab.leave('front', 'data');
    }
    expect(told(await audit({ text: ruled }))).toEqual([]);
  });

  it('a declared path on which nothing answers, and a network that was left, are found', async () => {
    const dead = await audit({ text: `${ruled}  - {from: front, to: api, ports: [7009], reason: pages}\n` });
    expect(told(dead)).toEqual([
      expect.stringMatching(
        /^network-path-broken front: It cannot reach api on port 7009 \(10.*: nothing listens\), which it needs: pages$/,
      ),
    ]);
    expect(dead.report.findings[0]?.location).toEqual({ file: 'paths.yaml', line: 7 });
    await lab.leave('api', 'data');
    try {
      expect(told(await audit({ text: ruled }))).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^network-path-broken api: It cannot reach db on port 7000 \(.*no answer\)/),
          expect.stringMatching(/^network-not-joined api/),
          expect.stringMatching(/^network-name-missing api: The name db does not resolve/),
        ]),
      );
    } finally {
      await lab.join('api', 'data');
    }
  });

  it('rules that permit nothing, and names that there are not, are told with their line', async () => {
    await expect(audit({ text: `${declared}  - {from: api, to: dbb, reason: r}\n` })).rejects.toMatchObject({
      code: 'NETWORK_PATHS_INVALID',
      message: 'paths.yaml:6: there is no service "dbb".',
      hint: expect.stringContaining('Did you mean db?') as unknown,
    });
    const bare = await lab.model(
      composeFile
        .replace('api: {image: i, networks: [app, data]', 'api: {image: i, networks: [data]')
        .replace('\n      - app\n', '\n'),
    );
    const result = await audit({ text: ruled, compose: bare });
    expect(result.report.findings.map(({ ruleId, subject, location }) => [ruleId, subject, location])).toContainEqual([
      'network-paths-entry-unused',
      'network app',
      { file: 'paths.yaml', line: 2 },
    ]);
  });
});

describe('the way in', () => {
  const cells = ({ matrix }: NetworkAudit): readonly string[] =>
    matrix.map(({ from, to, address, port, can }) => `${from} ${to} ${address} ${String(port)} ${can}`);

  it('is said, and each shows the same', async () => {
    const byExec = await audit({ text: ruled, probe: 'exec' });
    const byContainer = await audit({ text: ruled, probe: 'container', image: 'devstack/base:local' });
    const auto = await audit({ text: ruled });
    expect(byExec.methods).toEqual({ api: 'exec', db: 'exec', front: 'exec', store: 'exec' });
    expect(byContainer.methods['db']).toBe('container');
    expect(auto.methods['db']).toBe(process.getuid?.() === 0 ? 'nsenter' : 'exec');
    expect(cells(byExec)).toEqual(cells(auto));
    expect(cells(byContainer)).toEqual(cells(auto));
    expect([byExec, byContainer, auto].map(({ report }) => report.verdict)).toEqual(['pass', 'pass', 'pass']);
  });

  it('that does not work leaves the service unchecked, and is no pass', async () => {
    const result = await audit({ text: ruled, probe: 'container' });
    expect(result.report).toMatchObject({ verdict: 'incomplete', checkedCount: 0 });
    expect(result.report.notChecked).toHaveLength(4);
    expect(result.report.notChecked[0]).toEqual({
      subject: 'api',
      reason: 'no probe from inside: container: no image with Node was named',
    });
    const far = await audit({ text: ruled, probe: 'nsenter', procRoot: '/nonexistent' });
    expect(far.report.verdict).toBe('incomplete');
    const none = await audit({ text: ruled, probe: 'container', image: 'no-such-image:here' });
    expect(none.report.notChecked[0]?.reason).toContain('no-such-image');
  });

  it('of a container that is gone or stopped is closed, and said', async () => {
    const members = await membersOf(engine, lab.project, model);
    const gone = { service: 'db', containerId: 'f'.repeat(64), networks: {}, ports: [] };
    const stopped = { ...gone, service: 'store', notRunning: 'it is exited' };
    const result = await audit({
      text: ruled,
      members: [...members.filter(({ service }) => service === 'api'), gone, stopped],
    });
    expect(result.report.notChecked).toEqual([
      { subject: 'db', reason: 'there is no such container, or not any more' },
      { subject: 'store', reason: 'it is exited' },
    ]);
  });

  it('ends when it is told to', async () => {
    await expect(audit({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('the way out', () => {
  it('is closed for data that publishes its port, and open, and found, where the network masquerades', async () => {
    const target = await lab.outside();
    const result = await audit({ text: ruled, egressTargets: [target] });
    // front, api and store have a leg in a network that masquerades; db has none, and its published port answers.
    expect(result.report.findings.map(({ ruleId, subject }) => [ruleId, subject])).toEqual([
      ['network-egress-undeclared', 'api'],
      ['network-egress-undeclared', 'front'],
      ['network-egress-undeclared', 'store'],
    ]);
    const egress = 'egress:\n  - {service: front, reason: mail}\n  - {service: db, reason: none}\n';
    const said = await audit({ text: ruled + egress, egressTargets: [target], egress: { api: true, store: true } });
    expect(told(said)).toEqual([
      'network-paths-entry-unused egress of db: The entry permits nothing: it does not get out.',
    ]);
  });

  it('proves nothing where the target answers nobody', async () => {
    const result = await audit({ text: ruled, egressTargets: [{ host: '127.0.0.1', port: 9 }] });
    expect(result.report.verdict).toBe('incomplete');
    expect(result.report.notChecked[0]?.reason).toContain('closed proves nothing');
    const { egressTargets: _, ...rest } = { egressTargets: [] };
    const members = await membersOf(engine, lab.project, model);
    const unnamed = await auditNetwork({
      engine,
      members,
      paths: parseNetworkPaths(ruled, 'p'),
      compose: model,
      ...rest,
    });
    expect(unnamed.report.notChecked).toEqual([{ subject: 'egress', reason: 'no address outside was named to try' }]);
  });

  it('an internal network closes the published port too, which is found', async () => {
    await using other = new Lab(engine);
    await other.networks({ inner: { internal: true } });
    await other.service('hidden', ['inner'], [7000], [7000]);
    const members = await membersOf(engine, other.project);
    // The engine publishes nothing for it, and says so by leaving the port out: as declared, it is silent.
    const asDeclared = members.map((member) => ({
      ...member,
      published: [{ hostPort: 7000, hostAddress: '127.0.0.1' }],
    }));
    const { report } = await auditNetwork({
      engine,
      members: asDeclared,
      paths: parseNetworkPaths('', 'p'),
      egressTargets: [],
    });
    expect(report.findings.map(({ ruleId, subject }) => [ruleId, subject])).toEqual([
      ['published-port-silent', 'hidden'],
    ]);
  });
});
