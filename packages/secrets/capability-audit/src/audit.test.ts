import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadComposeProject, type ComposeModel } from '@devstack-core/compose-project';
import { toSarif } from '@devstack-core/audit-report';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeEngine, writeProc, type FakeContainer, type FakeProcess, type PrivilegedExecs } from '../test/fixtures.ts';
import {
  auditCapabilities,
  auditDeclaredCapabilities,
  parseAllowlist,
  type AuditCapabilitiesOptions,
  type CapabilityAudit,
} from './index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capability-audit-'));
});
afterAll(() => rm(folder, { recursive: true }));

let runs = 0;

interface Setting extends Partial<Omit<AuditCapabilitiesOptions, 'engine'>> {
  readonly containers?: never;
  readonly fakes: readonly FakeContainer[];
  readonly processes?: Readonly<Record<number, FakeProcess>>;
  readonly execs?: PrivilegedExecs;
}

async function audit({ fakes, processes = {}, execs, ...options }: Setting): Promise<CapabilityAudit> {
  const procRoot = join(folder, `proc-${String((runs += 1))}`);
  await writeProc(procRoot, processes);
  return auditCapabilities({ engine: fakeEngine(fakes, execs), procRoot, ...options });
}

/** Rule, severity and message of each finding. */
function told({ report }: CapabilityAudit): readonly string[] {
  return report.findings.map(({ ruleId, severity, message }) => `${ruleId} ${severity}: ${message}`);
}

async function compose(text: string): Promise<ComposeModel> {
  const file = join(folder, `compose-${String((runs += 1))}.yaml`);
  await writeFile(file, text);
  return loadComposeProject({ files: [file], env: {}, projectName: 'p' });
}

const entry = (service: string, capability: string, more = 'risk: critical, expires: 2030-01-01'): string =>
  `{service: ${service}, capability: ${capability}, reason: r, owner: o, ${more}}`;
const list = (...entries: readonly string[]): ReturnType<typeof parseAllowlist> =>
  parseAllowlist(`capabilities:\n${entries.map((text) => `  - ${text}\n`).join('')}`, 'allow.yaml');
const now = new Date('2026-06-01T00:00:00Z');

describe('a hardened container', () => {
  it('passes with the whole score, running or only created', async () => {
    const result = await audit({
      fakes: [{ name: 'a', pid: 10 }, { name: 'b' }],
      processes: { 10: { container: 'a' } },
    });
    expect(told(result)).toEqual([]);
    expect(result.report).toMatchObject({ verdict: 'pass', checkedCount: 2, notChecked: [] });
    expect(result.score.value).toBe(100);
    expect(result.containers).toMatchObject([
      { state: 'running', risk: 'none', effective: [], reachable: [], processes: [{ pid: 10, seccomp: 'filtered' }] },
      { state: 'created', risk: 'none', processes: [] },
    ]);
  });

  it('is no pass where there is none at all', async () => {
    expect((await audit({ fakes: [] })).report.verdict).toBe('incomplete');
  });
});

describe('a capability', () => {
  const admin = { name: 'a', service: 'web', pid: 10, host: { CapAdd: ['cap_net_admin'] } };
  const effective = { 10: { container: 'a', effective: '1000', bounding: '1000' } };

  it('that nobody has allowed is found, with what it can do', async () => {
    const result = await audit({ fakes: [admin], processes: effective });
    expect(told(result)).toEqual([
      'capability-not-allowed high: NET_ADMIN has no entry in the allowlist. It allows to: change addresses, routes and packet filters, and reach much kernel code.',
    ]);
    expect(result.containers[0]).toMatchObject({
      configured: ['NET_ADMIN'],
      effective: ['NET_ADMIN'],
      risk: 'high',
      drift: [],
    });
    expect(result.score.value).toBeLessThan(100);
  });

  it.each([
    ['and allowed is fine', entry('web', 'NET_ADMIN'), []],
    [
      'and allowed for another service is not',
      entry('other', 'NET_ADMIN'),
      ['capability-not-allowed', 'allowlist-entry-unused'],
    ],
    [
      'and allowed with a lower risk is not',
      entry('web', 'NET_ADMIN', 'risk: medium, expires: 2030-01-01'),
      ['capability-risk-above-accepted'],
    ],
    [
      'and allowed until the day before is told once, at its entry',
      entry('web', 'CAP_NET_ADMIN', 'risk: high, expires: 2026-05-31'),
      ['allowlist-entry-expired'],
    ],
    ['and allowed until this day is fine', entry('web', 'net_admin', 'risk: high, expires: 2026-06-01'), []],
  ])('%s', async (_name, text, rules) => {
    const result = await audit({ fakes: [admin], processes: effective, allowlist: list(text), now });
    expect(result.report.findings.map(({ ruleId }) => ruleId)).toEqual(rules);
    const [finding] = result.report.findings.filter(({ ruleId }) => ruleId.startsWith('allowlist'));
    if (finding !== undefined) expect(finding.location).toEqual({ file: 'allow.yaml', line: 2 });
  });

  it('is graver where the container shares more with the host', async () => {
    const shared = { ...admin, host: { ...admin.host, NetworkMode: 'host' } };
    const result = await audit({ fakes: [shared], processes: effective });
    expect(told(result)).toContainEqual(
      expect.stringMatching(/^capability-not-allowed critical.*in the host's network/),
    );
  });

  it('does nothing for a user other than root, and is reachable only where privileges can be gained', async () => {
    const open = { ...admin, host: { ...admin.host, SecurityOpt: null } };
    const result = await audit({
      fakes: [open, { ...admin, name: 'b', service: 'closed', pid: 11 }],
      processes: {
        10: { container: 'a', bounding: '1000', noNewPrivileges: false },
        11: { container: 'b', bounding: '1000' },
      },
    });
    expect(told(result)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^capability-not-allowed high/),
        'capability-ineffective low: NET_ADMIN is in no effective set: it helps no process, yet a setuid program could get it.',
        'capability-ineffective low: NET_ADMIN is in no effective set, and no process can get it.',
        expect.stringMatching(/^capability-not-allowed low: .*no process can get it/),
      ]),
    );
    expect(result.containers.map(({ reachable }) => reachable)).toEqual([['NET_ADMIN'], []]);
  });

  it('that a privileged exec brought in is found, and told as such', async () => {
    const result = await audit({
      fakes: [{ name: 'a', pid: 10, execIds: ['e1', 'forgotten'] }],
      processes: { 10: { container: 'a' }, 20: { container: 'a', effective: '200000', bounding: '200000' } },
      execs: { e1: 20 },
    });
    expect(told(result)).toEqual([
      expect.stringMatching(
        /^capability-by-privileged-exec critical: A session of `docker exec --privileged` has SYS_ADMIN/,
      ),
    ]);
    expect(result.containers[0]?.drift).toEqual(['exec-privileged']);
    expect(result.containers[0]?.processes.map(({ pid, privilegedExec }) => [pid, privilegedExec])).toEqual([
      [10, false],
      [20, true],
    ]);
  });

  it('that came in another way is found too, newer than any table included', async () => {
    const result = await audit({
      fakes: [{ name: 'a', pid: 10 }],
      processes: { 10: { container: 'a' }, 30: { container: 'a', permitted: '20000000001' } },
    });
    expect(told(result)).toEqual([
      expect.stringMatching(/^capability-beyond-configuration high: A process can reach CAP_41,.*unknown/),
      expect.stringMatching(/^capability-beyond-configuration medium: A process can reach CHOWN,/),
    ]);
  });

  it('of the runtime that is about to become a program is nothing; of one that keeps its name it is', async () => {
    const procRoot = join(folder, 'starting');
    const starting = { container: 'a', program: 'runc:[2:INIT]', uid: 0, effective: '200000', bounding: '200000' };
    await writeProc(procRoot, { 10: { container: 'a' }, 11: starting });
    const engine = fakeEngine([{ name: 'a', pid: 10 }]);
    const [settled] = await Promise.all([
      auditCapabilities({ engine, procRoot }),
      delay(100).then(() => writeProc(procRoot, { 11: { container: 'a' } })),
    ]);
    expect(told(settled)).toEqual([]);
    await writeProc(procRoot, { 11: starting });
    expect(told(await auditCapabilities({ engine, procRoot }))).toHaveLength(2);
  });

  it('in a user namespace that a process made for itself is nothing', async () => {
    const result = await audit({
      fakes: [{ name: 'a', pid: 10 }],
      processes: {
        10: { container: 'a' },
        11: { container: 'a', effective: '1ffffffffff', bounding: '1ffffffffff', uidMap: '0 1000 1\n' },
        12: { container: 'a', state: 'Z (zombie)', bounding: '1ffffffffff' },
      },
    });
    expect(told(result)).toEqual([]);
    expect(result.containers[0]?.processes).toHaveLength(2);
  });

  it('is one level lower where a user namespace surrounds the container', async () => {
    const result = await audit({
      fakes: [admin],
      processes: { 10: { container: 'a', uid: 0, effective: '1000', bounding: '1000', uidMap: '0 100000 65536\n' } },
    });
    expect(told(result)).toEqual([expect.stringMatching(/^capability-not-allowed medium.*user namespace/)]);
  });
});

describe('held against the compose file', () => {
  const declared = `services:
  web:
    image: w
    cap_drop: [ALL]
    cap_add:
      - CHOWN
      - NET_BIND_SERVICE
    x-devstack: {capabilities: [{name: CHOWN, reason: r}, {name: NET_BIND_SERVICE, reason: r}]}
  later: {image: l, cap_add: [KILL], x-devstack: {capabilities: [{name: KILL, reason: r}]}}
  plain: {image: p}
`;
  const asDeclared = { name: 'a', service: 'web', pid: 10, host: { CapAdd: ['CHOWN', 'NET_BIND_SERVICE'] } };
  const processes = { 10: { container: 'a', uid: 5, effective: '401', bounding: '401' } };

  it('what was added at run time, is stale, or is only declared, is found at its line', async () => {
    const model = await compose(declared);
    const result = await audit({
      fakes: [
        {
          ...asDeclared,
          host: { CapAdd: ['CHOWN', 'NET_BIND_SERVICE', 'SYS_ADMIN'] },
          labels: { 'com.docker.compose.config-hash': 'old' },
        },
      ],
      processes: { 10: { container: 'a', uid: 5, effective: '200401', bounding: '200401' } },
      compose: model,
      allowlist: list(entry('web', 'CHOWN')),
      configHashes: { web: 'new' },
      root: folder,
    });
    const file = model.files[0]?.slice(folder.length + 1);
    expect(result.report.findings.map(({ ruleId, subject, location }) => [ruleId, subject, location])).toEqual([
      ['capability-added-at-run-time', 'web', { file, line: 5 }],
      ['stale-container', 'web', { file, line: 3 }],
      ['capability-not-allowed', 'later', { file, line: 9 }],
      ['capability-not-allowed', 'web', { file, line: 7 }],
    ]);
    expect(result.containers[0]).toMatchObject({
      declared: ['CHOWN', 'NET_BIND_SERVICE'],
      drift: ['added-at-run-time', 'stale-container'],
    });
    const sarif = JSON.stringify(toSarif(result.report, { defaultFile: 'x.yaml' }));
    expect(sarif).toContain(`"uri":"${file ?? ''}"`);
    expect(sarif).not.toContain('"x.yaml"');
  });

  it('passes where all is as declared and allowed', async () => {
    const result = await audit({
      fakes: [asDeclared],
      processes,
      compose: await compose(declared),
      allowlist: list(entry('web', 'CHOWN'), entry('web', 'NET_BIND_SERVICE'), entry('later', 'KILL')),
      configHashes: { other: 'x' },
      root: '/elsewhere',
    });
    expect(told(result)).toEqual([]);
  });

  it('a new capability is red before anything runs', async () => {
    const model = await compose(declared);
    const report = auditDeclaredCapabilities({
      compose: model,
      allowlist: list(entry('web', 'CHOWN'), entry('plain', 'KILL')),
    });
    expect(report.findings.map(({ ruleId, subject }) => [ruleId, subject])).toEqual([
      ['allowlist-entry-unused', 'plain'],
      ['capability-not-allowed', 'later'],
      ['capability-not-allowed', 'web'],
    ]);
    const clean = auditDeclaredCapabilities({ compose: await compose('services: {plain: {image: p}}') });
    expect(clean.verdict).toBe('pass');
  });

  it('a declared capability is graver beside writable folders and without a memory limit', async () => {
    const model = await compose(
      'services:\n  a: {image: a, cap_add: [CHOWN, IPC_LOCK], volumes: ["./x:/x"], x-devstack: {capabilities: [{name: CHOWN, reason: r}, {name: IPC_LOCK, reason: r}]}}\n',
    );
    const { findings } = auditDeclaredCapabilities({ compose: model });
    expect(findings.map(({ severity }) => severity)).toEqual(['high', 'medium']);
  });
});

describe('what was not looked at', () => {
  it('is said: a container whose processes are elsewhere, one that ended, one that is gone', async () => {
    const result = await audit({
      fakes: [
        { name: 'far', pid: 99 },
        { name: 'ended', pid: 10 },
        { name: 'blind', pid: 11 },
      ],
      processes: { 10: { container: 'ended', state: 'Z (zombie)' }, 11: { container: 'blind', mountinfo: undefined } },
    });
    expect(result.report.notChecked).toEqual([
      { subject: 'far', reason: expect.stringContaining('another machine') as unknown },
      { subject: 'ended', reason: 'it ended while it was looked at' },
      { subject: 'blind', reason: expect.stringContaining('mounts') as unknown },
    ]);
    expect(result.report.verdict).toBe('incomplete');
    expect(result.report.checkedCount).toBe(1);
    expect(result.score.value).toBeLessThan(50);
    const gone = await auditCapabilities({ engine: fakeEngine([]), containers: { ids: ['nobody'] } });
    expect(gone.report).toMatchObject({ verdict: 'incomplete', notChecked: [{ subject: 'nobody' }] });
  });

  it('and a process whose control group hides its container is found by its mounts', async () => {
    const { containers } = await audit({
      fakes: [{ name: 'a', pid: 10 }],
      processes: {
        10: {
          container: 'a',
          cgroup: '0::/\n',
          mountinfo: `1 0 0:1 / / ro - overlay o rw\n2 1 0:2 /containers/${'61'.padEnd(64, '0')}/hosts /etc/hosts rw - ext4 x rw\n`,
        },
      },
    });
    expect(containers[0]?.processes).toHaveLength(1);
  });

  it('is thrown where a file of a process cannot be read for another reason than that it is gone or not ours', async () => {
    const procRoot = join(folder, 'odd');
    await mkdir(join(procRoot, '5', 'cgroup'), { recursive: true });
    const engine = fakeEngine([{ name: 'a' }]);
    await expect(auditCapabilities({ engine, procRoot })).rejects.toMatchObject({ code: 'EISDIR' });
  });

  it('ends when it is told to', async () => {
    await expect(audit({ fakes: [], signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it('an engine that does not answer is an error, not a finding', async () => {
    const engine = { ...fakeEngine([]), inspectContainer: () => Promise.reject(new Error('broken')) };
    await expect(auditCapabilities({ engine, containers: { ids: ['a'] } })).rejects.toThrow('broken');
  });
});
