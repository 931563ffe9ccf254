import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeEngine, writeProc, type FakeContainer, type FakeProcess } from '../test/fixtures.ts';
import { auditCapabilities, hardeningRules, parseAllowlist, type CapabilityAudit } from './index.ts';

let procRoot: string;
beforeEach(async () => {
  procRoot = await mkdtemp(join(tmpdir(), 'capability-rules-'));
});
afterEach(() => rm(procRoot, { recursive: true }));

async function found(fake: Partial<FakeContainer>, process?: Partial<FakeProcess>): Promise<readonly string[]> {
  const { report } = await look(fake, process);
  return report.findings.map(({ ruleId, severity }) => `${ruleId} ${severity}`);
}

async function look(
  fake: Partial<FakeContainer>,
  process?: Partial<FakeProcess>,
  allowlist = '',
): Promise<CapabilityAudit> {
  if (process !== undefined) await writeProc(procRoot, { 10: { container: 'c', ...process } });
  const engine = fakeEngine([{ name: 'c', ...(process === undefined ? {} : { pid: 10 }), ...fake }]);
  return auditCapabilities({ engine, procRoot, allowlist: parseAllowlist(allowlist, 'a.yaml') });
}

const bind = (source: string, readOnly = false): Partial<FakeContainer> => ({
  mounts: [{ type: 'bind', source, target: '/m', readOnly }],
});

describe('what is shared with the host', () => {
  it.each<[string, Partial<FakeContainer>, readonly string[]]>([
    ['nothing', {}, []],
    ['a privileged container', { host: { Privileged: true } }, ['privileged-container critical']],
    [
      'namespaces',
      { host: { NetworkMode: 'host', PidMode: 'host', IpcMode: 'host', UTSMode: 'host', UsernsMode: 'host' } },
      Array<string>(5).fill('host-namespace high'),
    ],
    ["the engine's socket, read-only too", bind('/var/run/docker.sock', true), ['docker-socket critical']],
    ['a folder above it', bind('/run/', true), ['docker-socket critical']],
    ['the whole file system', bind('/'), ['docker-socket critical']],
    ['a folder to write to', bind('/srv/data'), ['host-path-mounted medium']],
    ['a folder to read', bind('/srv/data', true), []],
    ['settings of the host to write to', bind('/etc/cron.d'), ['host-path-mounted critical']],
    ['settings of the host to read', bind('/etc/shadow', true), ['host-path-mounted medium']],
    ['keys of a user to read', bind('/home/me/.ssh', true), ['host-path-mounted medium']],
    ['a project in a home to read', bind('/home/me/project', true), []],
    ['certificates to read', bind('/etc/ssl/certs', true), []],
    [
      'a volume',
      {
        mounts: [
          { type: 'volume', name: 'v', source: '/var/lib/docker/volumes/v/_data', target: '/v', readOnly: false },
        ],
      },
      [],
    ],
    [
      'devices',
      {
        host: {
          Devices: [{ PathOnHost: '/dev/kvm' }],
          DeviceCgroupRules: ['c 1:1 rwm'],
          DeviceRequests: [{ Driver: 'nvidia', DeviceIDs: null }, { DeviceIDs: ['0'] }],
        },
      },
      Array<string>(4).fill('host-device high'),
    ],
  ])('%s', async (_name, fake, rules) => {
    expect(await found(fake)).toEqual(rules);
  });
});

describe('how its processes are held', () => {
  it.each<[string, Partial<FakeContainer>, Partial<FakeProcess> | undefined, readonly string[]]>([
    ['all is well', {}, {}, []],
    [
      'privileges can be gained, whatever was configured',
      {},
      { noNewPrivileges: false },
      ['new-privileges-allowed medium'],
    ],
    ['privileges could be gained', { host: { SecurityOpt: [] } }, undefined, ['new-privileges-allowed medium']],
    ['no filter on a process, whatever was configured', {}, { seccomp: 0 }, ['seccomp-not-default high']],
    [
      'no filter configured',
      { host: { SecurityOpt: ['no-new-privileges', 'seccomp=unconfined'] } },
      undefined,
      ['seccomp-not-default high'],
    ],
    [
      'a filter of its own',
      { host: { SecurityOpt: ['no-new-privileges=true', 'seccomp={}'] } },
      {},
      ['seccomp-not-default low'],
    ],
    [
      'the security module is off',
      { host: { SecurityOpt: ['no-new-privileges:true', 'apparmor:unconfined'] } },
      {},
      ['security-module-off medium'],
    ],
    [
      'labels are off',
      { host: { SecurityOpt: ['no-new-privileges', 'label=disable'] } },
      {},
      ['security-module-off medium'],
    ],
    ['root, although a user was configured', { user: '1000' }, { uid: 0 }, ['root-user medium']],
    ['root to be', { user: '0:0' }, undefined, ['root-user medium']],
    ['nobody in particular to be', { user: '' }, undefined, ['root-user medium']],
    ['its own root in a user namespace', { user: '' }, { uid: 0, uidMap: '0 100000 65536' }, []],
    [
      'a root that became writable',
      {},
      { mountinfo: '1 0 0:1 / / rw - overlay o rw\n' },
      ['writable-root-filesystem medium'],
    ],
    ['a writable root to be', { host: { ReadonlyRootfs: false } }, undefined, ['writable-root-filesystem medium']],
    [
      'capabilities that were not dropped',
      { host: { CapDrop: null } },
      { bounding: 'a80425fb', noNewPrivileges: false },
      ['capabilities-not-dropped medium', 'new-privileges-allowed medium'],
    ],
    [
      'capabilities that were not dropped and cannot be reached',
      { host: { CapDrop: null } },
      { bounding: 'a80425fb' },
      [],
    ],
    [
      'some that were dropped',
      { host: { CapDrop: ['NET_RAW', 'CAP_CHOWN'] } },
      undefined,
      ['capabilities-not-dropped medium'],
    ],
    [
      'all of them added',
      { host: { CapAdd: ['ALL'], CapDrop: ['SYS_ADMIN'] } },
      undefined,
      Array<string>(40).fill('capability-not-allowed'),
    ],
    [
      'no limits',
      { host: { Memory: 0, NanoCpus: 0, PidsLimit: null } },
      {},
      ['no-memory-limit medium', 'no-pids-limit medium', 'no-cpu-limit low'],
    ],
    [
      'limits of an endless kind',
      { host: { Memory: -1, NanoCpus: undefined, CpuQuota: -1, PidsLimit: -1 } },
      {},
      ['no-memory-limit medium', 'no-pids-limit medium', 'no-cpu-limit low'],
    ],
    ['a quota of processor time', { host: { NanoCpus: 0, CpuQuota: 50_000 } }, {}, []],
    [
      'a tmpfs that has no size',
      { host: { Tmpfs: { '/tmp': 'mode=0700' } } },
      { mountinfo: '1 0 0:1 / / ro - overlay o rw\n2 1 0:1 / /tmp rw,nosuid - tmpfs tmpfs rw,mode=700\n' },
      ['tmpfs-without-size low'],
    ],
    [
      'a tmpfs that has one',
      { host: { Tmpfs: { '/tmp': '' } } },
      { mountinfo: '1 0 0:1 / / ro - overlay o rw\n2 1 0:1 / /tmp rw,nosuid - tmpfs tmpfs rw,size=1024k\n' },
      [],
    ],
    [
      'a tmpfs to be',
      {
        host: {
          Mounts: [
            { Type: 'tmpfs', Target: '/a' },
            { Type: 'tmpfs', Target: '/b', TmpfsOptions: { SizeBytes: 1 } },
          ],
          Tmpfs: { '/c': 'size=1m' },
        },
      },
      undefined,
      ['tmpfs-without-size low'],
    ],
    [
      'ports for the whole network, once for both families',
      {
        ports: [
          { containerPort: 80, transport: 'tcp', hostPort: 8080, hostAddress: '0.0.0.0' },
          { containerPort: 80, transport: 'tcp', hostPort: 8080, hostAddress: '::' },
          { containerPort: 81, transport: 'tcp', hostPort: 8081, hostAddress: '127.0.0.1' },
          { containerPort: 82, transport: 'tcp', hostPort: 8082, hostAddress: '::1' },
          { containerPort: 83, transport: 'tcp' },
        ],
      },
      {},
      ['port-published-widely medium'],
    ],
  ])('%s', async (_name, fake, process, rules) => {
    const all = await found(fake, process);
    expect(rules[0] === 'capability-not-allowed' ? all.map((text) => text.split(' ')[0]) : all).toEqual(rules);
  });
});

it('names few of many programs', async () => {
  const names = Array.from({ length: 5 }, (_, index) => index + 10);
  await writeProc(procRoot, Object.fromEntries(names.map((pid) => [pid, { container: 'c', noNewPrivileges: false }])));
  const { report } = await auditCapabilities({ engine: fakeEngine([{ name: 'c', pid: 10 }]), procRoot });
  expect(report.findings[0]?.message).toBe('server can gain privileges by setuid programs.');
});

describe('an exception', () => {
  const exception =
    'hardening:\n  - {service: c, rule: no-cpu-limit, reason: because, owner: o, expires: 2999-01-01}\n';

  it('covers its rule for its service, and is told', async () => {
    const { report, accepted } = await look({ host: { NanoCpus: 0 } }, {}, exception);
    expect(report.verdict).toBe('pass');
    expect(accepted).toEqual([
      { rule: 'no-cpu-limit', subject: 'c', message: 'It has no limit for its CPU.', reason: 'because' },
    ]);
  });

  it('that has expired, or that nobody needs, is found', async () => {
    const late = await look({ host: { NanoCpus: 0 } }, {}, exception.replace('2999', '2001'));
    expect(late.report.findings.map(({ ruleId }) => ruleId)).toEqual(['allowlist-entry-expired']);
    const needless = await look({}, {}, exception);
    expect(needless.report.findings.map(({ ruleId }) => ruleId)).toEqual(['allowlist-entry-unused']);
  });

  it('can be given as an option', async () => {
    const engine = fakeEngine([{ name: 'c', host: { NanoCpus: 0 } }]);
    const exceptions = [{ service: 'c', rule: 'no-cpu-limit', reason: 'r' }];
    expect((await auditCapabilities({ engine, procRoot, exceptions })).report.verdict).toBe('pass');
    expect((await auditCapabilities({ engine, procRoot })).report.verdict).toBe('findings');
  });
});

it('has one id for each rule', () => {
  expect(new Set(hardeningRules.map(({ id }) => id)).size).toBe(hardeningRules.length);
});
