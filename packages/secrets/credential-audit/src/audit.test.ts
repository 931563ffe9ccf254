import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ContainerMount, DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { archived, container, fakeEngine, gone, idOf } from '../test/fake-engine.ts';
import { auditCredentials, type CredentialAuditOptions, type CredentialAuditReport } from './index.ts';

const value = 'c0rrect-h0rse-battery';
const needles = [{ value: new Secret(value), label: 'secret/db', field: 'password', version: 3, username: 'app' }];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credential-audit-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const audit = (engine: DockerEngine, rest: Partial<CredentialAuditOptions> = {}): Promise<CredentialAuditReport> =>
  auditCredentials({ engine, needles, procRoot: join(folder, 'none'), ...rest });
const rulesOf = ({ findings }: CredentialAuditReport): string[] => findings.map(({ ruleId }) => ruleId);

/** A /proc with these files of process 100, which belongs to the container `db`. */
async function proc(files: Readonly<Record<string, string | undefined>>): Promise<string> {
  const root = await mkdtemp(join(folder, 'proc-'));
  await mkdir(join(root, '100'));
  await mkdir(join(root, 'self'));
  const all: Readonly<Record<string, string | undefined>> = {
    cgroup: `0::/docker/${idOf('db')}\n`,
    comm: 'postgres\n',
    ...files,
  };
  for (const [name, content] of Object.entries(all)) {
    // A folder in place of a file cannot be read by anybody, root included.
    if (content === undefined) await mkdir(join(root, '100', name));
    else await writeFile(join(root, '100', name), content);
  }
  return root;
}

/** A folder with files and their modes; a name that ends with a slash is a folder. */
async function tree(files: Readonly<Record<string, [mode: number, content?: string]>>): Promise<string> {
  const root = await mkdtemp(join(folder, 'tree-'));
  const { chmod } = await import('node:fs/promises');
  await chmod(root, 0o755);
  for (const [name, [, content]] of Object.entries(files)) {
    if (name.endsWith('/')) await mkdir(join(root, name));
    else await writeFile(join(root, name), content ?? '');
  }
  for (const [name, [mode]] of Object.entries(files)) await chmod(join(root, name), mode);
  return root;
}

const mount = (rest: Partial<ContainerMount>): ContainerMount => ({
  ...{ type: 'volume', name: 'data', source: '/nowhere', target: '/data', readOnly: false },
  ...rest,
});

describe('a clean container', () => {
  it('passes, with everything looked at', async () => {
    const procRoot = await proc({ cmdline: 'postgres\0', environ: 'PATH=/bin\0' });
    const report = await audit(fakeEngine([container('db')]), { procRoot, local: true });
    expect(report).toMatchObject({ verdict: 'pass', findings: [], notChecked: [], gone: [], unsearchable: [] });
    const seen = report.coverage.map(({ surface }) => surface).toSorted();
    expect(seen).toEqual([
      ...['arguments', 'container-config', 'environment', 'events', 'exec', 'health-log', 'image-config'],
      ...['image-history', 'labels', 'logs', 'process-arguments', 'process-environment'],
    ]);
    expect(report.searched).toMatchObject({ values: 1 });
  });

  it('that was selected by nothing is no pass', async () => {
    expect((await audit(fakeEngine([]))).verdict).toBe('incomplete');
  });

  it('is looked at on the chosen surfaces only', async () => {
    const report = await audit(fakeEngine([container('db')]), { surfaces: ['labels', 'logs'] });
    expect(report).toMatchObject({ verdict: 'pass', checkedCount: 2 });
  });
});

describe('a value', () => {
  it.each([
    [
      'secret-in-environment',
      { Config: { Env: [`A=b`, `PGPASSWORD=${value}`] } },
      'Config.Env[1] (PGPASSWORD), at byte 11 (raw)',
    ],
    [
      'secret-in-arguments',
      { Config: { Cmd: ['psql', `postgres://a:${value}@db`] } },
      'Config.Cmd[1], at byte 13 (raw)',
    ],
    ['secret-in-arguments', { Args: [value] }, 'Args[0], at byte 0'],
    [
      'secret-in-label',
      { Config: { Labels: { note: Buffer.from(value).toString('hex') } } },
      'Config.Labels.note, at byte 0 (hex)',
    ],
    [
      'secret-in-health-log',
      { State: { Health: { Log: [{ Output: `ok ${value}` }] } } },
      'State.Health.Log[0].Output, at byte 3',
    ],
    ['secret-in-container-config', { HostConfig: { Sysctls: { x: value } } }, 'HostConfig.Sysctls.x'],
  ])('that inspect shows is %s', async (rule, raw, place) => {
    const report = await audit(fakeEngine([container('db', {}, raw)]), {
      surfaces: ['environment', 'arguments', 'labels', 'health-log', 'container-config'],
    });
    expect(rulesOf(report)).toEqual([rule]);
    expect(report.findings[0]?.message).toContain(place);
    expect(report.findings[0]?.message).toContain('The value of secret/db password (version 3) is in');
  });

  it('is found in events, execs, images, logs and processes', async () => {
    const exec = { type: 'container', id: idOf('db'), name: 'db', timeMs: 1 };
    const engine = fakeEngine([container('db', {}, { ExecIDs: ['e1'] })], {
      events: () =>
        Readable.from([
          { ...exec, action: `exec_create: psql ${value}`, attributes: { execID: 'e2', note: 'x' } },
          { ...exec, id: 'other', action: value, attributes: {} },
        ]),
      inspectExec: async (id) => {
        if (id === 'e1') throw gone(id);
        return { id, containerId: '', running: false, raw: { ProcessConfig: { arguments: [value] } } };
      },
      inspectImage: async () =>
        ({
          raw: { Config: { Env: [`A=${value}`] } },
          history: [{ createdBy: `RUN |1 T=${value}`, comment: '' }],
        }) as never,
      logBytes: () =>
        Readable.from([
          { stream: 'stdout', bytes: Buffer.from('a c0rrect-h0') },
          { stream: 'stderr', bytes: Buffer.from('between') },
          { stream: 'stdout', bytes: Buffer.from(`rse-battery, ${value}`) },
        ]),
    });
    const procRoot = await proc({ cmdline: `psql\0${value}\0`, environ: `A=${value}\0` });
    const report = await audit(engine, { procRoot, local: true });
    expect(rulesOf(report).toSorted()).toEqual([
      ...['secret-in-engine-event', 'secret-in-exec', 'secret-in-image-config', 'secret-in-image-history'],
      ...['secret-in-log', 'secret-in-process-arguments', 'secret-in-process-environment'],
    ]);
    expect(report.findings.find(({ ruleId }) => ruleId === 'secret-in-log')?.message).toContain(
      'stdout, at byte 2 (raw), 2 times in all',
    );
    expect(report.notChecked).toEqual([]);
  });

  it('is nowhere in the report, whatever it was found in', async () => {
    const odd = 'p@ss "w0rd"/<&>x';
    const raw = { Config: { Env: [`${value}=x`], Labels: { [value]: `1 ${odd}`, b: JSON.stringify(odd) } } };
    const engine = fakeEngine([container(`db-${value}`, {}, raw)], {
      logBytes: () => {
        throw new DevstackError({ code: 'DOCKER_REQUEST_FAILED', message: `no log of ${value}` });
      },
    });
    const report = await audit(engine, { needles: [...needles, { value: new Secret(odd), label: 'other' }] });
    expect(report.findings.length).toBeGreaterThan(3);
    expect(JSON.stringify(report)).not.toContain('h0rse');
    expect(JSON.stringify(report)).not.toContain('w0rd');
    expect(JSON.stringify(report)).toContain('[secret]');
  });

  it('has the same fingerprint with the same key, another with another, and its finding the same id', async () => {
    const engine = fakeEngine([container('db', {}, { Args: [value] })]);
    const run = async (key?: string): Promise<{ id: string; print: string }> => {
      const report = await audit(engine, {
        surfaces: ['arguments'],
        ...(key === undefined ? {} : { fingerprintKey: new Secret(key) }),
      });
      const [finding] = report.findings;
      return { id: finding?.id ?? '', print: /fingerprint ([0-9a-f]{16})/.exec(finding?.message ?? '')?.[1] ?? '' };
    };
    const [first, second, other, random] = [await run('k'), await run('k'), await run('K'), await run()];
    expect(first).toEqual(second);
    expect(new Set([first.print, other.print, random.print]).size).toBe(3);
    expect(new Set([first.id, other.id, random.id]).size).toBe(1);
  });

  it('is shown at the line that the caller knows', async () => {
    const engine = fakeEngine([container('db', { service: 'db' }, { Args: [value] })]);
    const locate: CredentialAuditOptions['locate'] = ({ service }, surface) => ({
      file: `${service ?? ''}/${surface}.yaml`,
      line: 7,
    });
    const report = await audit(engine, { surfaces: ['arguments'], locate });
    expect(report.findings[0]?.location).toEqual({ file: 'db/arguments.yaml', line: 7 });
  });
});

describe('what cannot be searched for', () => {
  it('is told, and leaves the audit incomplete where it may be a secret', async () => {
    const engine = fakeEngine([container('db')]);
    const field = (name: string, text: string): CredentialAuditOptions['needles'][number] => ({
      value: new Secret(text),
      label: 'secret/db',
      field: name,
    });
    const report = await audit(engine, {
      surfaces: ['labels'],
      needles: [field('port', '5432'), field('password', 'short')],
    });
    expect(report.unsearchable.map(({ field: name }) => name)).toEqual(['port', 'password']);
    expect(report).toMatchObject({ verdict: 'incomplete', notChecked: [{ subject: 'secret/db password' }] });
    expect(report.notChecked).toHaveLength(1);
  });
});

describe('a container that vanishes', () => {
  const vanishing: readonly [string, Partial<DockerEngine>][] = [
    ['logs', { logBytes: () => { throw gone('db'); } }],
    ['process-arguments', { containerProcesses: async () => { throw gone('db'); } }],
    ['container-config', { listContainers: async () => [{ id: 'x', name: 'db' }] as never }],
  ]; // prettier-ignore

  it.each(vanishing)('is noted as gone and no silent pass: %s', async (during, calls) => {
    const events: string[] = [];
    const report = await audit(fakeEngine([container('db')], calls), { onEvent: ({ type }) => events.push(type) });
    expect(report.gone).toEqual([{ container: 'db', during }]);
    expect(report.verdict).toBe('incomplete');
    expect(report.notChecked).toContainEqual({
      subject: 'db',
      reason: `${during}: the container went away during the audit`,
    });
    expect(events).toContain('gone');
  });

  it('or stops meanwhile is noted alike, and the others are read to the end', async () => {
    let calls = 0;
    const stopped = container('db', { state: { ...container('db').state, running: false } });
    const both = [container('db'), container('web')];
    const engine = fakeEngine(both, {
      inspectContainer: async (id) =>
        id === idOf('db') && (calls += 1) > 1 ? stopped : id === idOf('db') ? container('db') : container('web'),
      containerProcesses: async (id) => {
        if (id === idOf('db')) throw new DevstackError({ code: 'DOCKER_CONFLICT', message: 'is not running' });
        return [];
      },
    });
    const report = await audit(engine, { surfaces: ['process-arguments', 'logs'] });
    expect(report.gone).toEqual([{ container: 'db', during: 'process-arguments' }]);
    expect(report.coverage).toContainEqual({ surface: 'logs', checked: 1 });
  });
});

describe('what cannot be read', () => {
  it.each([
    ['logs', { logBytes: () => { throw new DevstackError({ code: 'DOCKER_REQUEST_FAILED', message: 'configured logging driver does not support reading' }); } }, /does not support reading/],
    ['image-history', { inspectImage: async () => undefined }, /image is gone/],
    ['events', { events: () => { throw new Error('broken'); } }, /broken/],
    ['exec', { inspectExec: async () => { throw Object.assign(new Error('x'), { code: 'EIO' }); } }, /EIO/],
    ['process-arguments', { containerProcesses: async () => { throw new DevstackError({ code: 'DOCKER_REQUEST_FAILED', message: 'ps: not found' }); } }, /ps: not found/],
    ['process-environment', {}, /run the audit as root/],
  ] as const)('is told: %s', async (surface, calls, reason) => {
    const report = await audit(fakeEngine([container('db', {}, { ExecIDs: ['e'] })], calls), { surfaces: [surface] });
    expect(report).toMatchObject({ verdict: 'incomplete', gone: [] });
    expect(report.notChecked[0]?.reason).toMatch(new RegExp(`^${surface}: .*${reason.source}`));
  }); // prettier-ignore

  it('of a process of another user is told, the rest of it is read', async () => {
    const procRoot = await proc({ cmdline: `psql\0${value}\0`, environ: undefined });
    const report = await audit(fakeEngine([container('db')]), { procRoot, local: true });
    expect(rulesOf(report)).toEqual(['secret-in-process-arguments']);
    expect(report.notChecked).toEqual([
      {
        subject: 'db',
        reason: expect.stringMatching(/^process-environment: environ of postgres \(EISDIR\)/) as unknown,
      },
    ]);
  });

  it('of a process that ends meanwhile is nothing', async () => {
    const procRoot = await proc({});
    expect((await audit(fakeEngine([container('db')]), { procRoot, local: true })).verdict).toBe('pass');
  });

  it('of processes that have all ended before they were read is not checked', async () => {
    const procRoot = await proc({});
    await rm(join(procRoot, '100/comm'));
    const report = await audit(fakeEngine([container('db')]), {
      procRoot,
      local: true,
      surfaces: ['process-arguments'],
    });
    expect(report.notChecked).toEqual([
      { subject: 'db', reason: 'process-arguments: its processes ended before they were read' },
    ]);
  });

  it('is nothing where the driver keeps no log and where nothing runs', async () => {
    const state = { ...container('db').state, running: false };
    const engine = fakeEngine([container('db', { state }, { HostConfig: { LogConfig: { Type: 'none' } } })], {
      logBytes: () => { throw new Error('no log'); },
    }); // prettier-ignore
    expect((await audit(engine)).verdict).toBe('pass');
  });

  it('is the end of the audit where the engine is down', async () => {
    const down = new DevstackError({ code: 'DOCKER_UNREACHABLE', message: 'gone' });
    const engine = fakeEngine([container('db')], { logBytes: () => { throw down; }, ping: async () => { throw down; } }); // prettier-ignore
    await expect(audit(engine)).rejects.toBe(down);
  });

  it('ends with the signal', async () => {
    const controller = new AbortController();
    const engine = fakeEngine([container('db')], { logBytes: () => { controller.abort(); return Readable.from([]); } }); // prettier-ignore
    await expect(audit(engine, { signal: controller.signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(audit(engine, { signal: controller.signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('files in volumes and mounts', () => {
  const files = {
    'open/': [0o755], 'open/a.txt': [0o644, `x ${value}`], 'open/closed.txt': [0o600, value], 'shut/': [0o700],
    'shut/b.txt': [0o644, value], 'empty': [0o644, ''],
  } as const; // prettier-ignore

  it('are found where everybody may read them, and only there', async () => {
    const source = await tree(structuredClone(files) as never);
    await symlink('/etc/passwd', join(source, 'link'));
    const two = [mount({ source })];
    const engine = fakeEngine([container('db', { mounts: two }), container('web', { mounts: two })]);
    const report = await audit(engine, { surfaces: ['volume-files'], local: true });
    expect(report.findings.map(({ subject, message }) => [subject, /: (\S+), at byte \d+/.exec(message)?.[1]])).toEqual(
      [['volume data', 'open/a.txt']],
    );
    expect(report.checkedCount).toBe(1);
  });

  it('are read through an archive where the engine is elsewhere, with the same result', async () => {
    const engine = fakeEngine([container('db', { mounts: [mount({}), mount({ type: 'bind', source: '/srv/x', target: '/x' })] })], {
      readArchive: () =>
        Readable.from([
          archived('data/', 0o755, undefined), archived('data/a.txt', 0o644, `x ${value}`), archived('data/c.txt', 0o600, value),
          archived('data/shut/', 0o700, undefined), archived('data/shut/b.txt', 0o644, value),
        ]),
    }); // prettier-ignore
    const report = await audit(engine, { surfaces: ['volume-files', 'bind-files'] });
    expect(report.findings.map(({ ruleId, message }) => [ruleId, /: (\S+), at byte \d+/.exec(message)?.[1]])).toEqual([
      ['secret-in-readable-bind-file', 'data/a.txt'],
      ['secret-in-readable-file', 'data/a.txt'],
    ]);
    expect(report.notChecked).toEqual([]);
  });

  it('of any size are searched to their end', async () => {
    const source = await tree({ big: [0o644, `${'x'.repeat(700_000)}${value}`] });
    const engine = fakeEngine([container('db', { mounts: [mount({ source })] })]);
    const report = await audit(engine, { surfaces: ['volume-files'], local: true });
    expect(report.findings[0]?.message).toContain('big, at byte 700000 (raw)');
    const cut = await audit(engine, { surfaces: ['volume-files'], local: true, limits: { fileBytes: 600_000 } });
    expect(cut).toMatchObject({ verdict: 'incomplete', findings: [] });
  });

  it('that are too big are cut, which is told', async () => {
    const source = await tree({ big: [0o644, `${'x'.repeat(1000)}${value}`], more: [0o644, 'y'] });
    const engine = fakeEngine([container('db', { mounts: [mount({ source })] })], {
      readArchive: () =>
        Readable.from([archived('big', 0o644, 'x'.repeat(1000)), archived('b', 0o644, 'x'.repeat(1000))]),
    });
    const cut = async (limits: NonNullable<CredentialAuditOptions['limits']>, local: boolean): Promise<unknown> =>
      (await audit(engine, { surfaces: ['volume-files'], local, limits })).notChecked.map(({ reason }) => reason);
    expect(await cut({ fileBytes: 500 }, true)).toEqual(['volume-files: big cut after 500 of 1021 bytes']);
    expect(await cut({ entries: 2 }, true)).toEqual(['volume-files: cut after 2 files and folders']);
    expect(await cut({ fileBytes: 500 }, false)).toEqual([expect.stringContaining('big cut after 500 of 1000 bytes')]);
    expect(await cut({ volumeBytes: 1500 }, false)).toEqual([expect.stringContaining('cut after 2 files and folders')]);
  });

  it('of the host are judged by their modes', async () => {
    const source = await tree({
      'secret-id': [0o644, 'x'],
      'role-id': [0o600, 'x'],
      'tls.key': [0o640, 'x'],
      'notes.txt': [0o666, 'x'],
      'drop/': [0o1777],
    });
    const mounts = [
      mount({ type: 'bind', source }),
      mount({ type: 'bind', source: '/' }),
      mount({ type: 'bind', source: '/var/lib/docker' }),
    ];
    const report = await audit(fakeEngine([container('db', { mounts })]), { surfaces: ['bind-files'], local: true });
    expect(report.findings.map(({ ruleId, message }) => `${ruleId} ${message.split(' ')[0] ?? ''}`)).toEqual([
      'bind-mount-writable-by-others notes.txt',
      'credential-file-too-open secret-id',
    ]);
    expect(report.skipped.map(({ subject }) => subject)).toEqual(['/ on the host', '/var/lib/docker on the host']);
  });

  it('of the host that are gone are told', async () => {
    const mounts = [mount({ type: 'bind', source: join(folder, 'missing') })];
    const report = await audit(fakeEngine([container('db', { mounts })]), { surfaces: ['bind-files'], local: true });
    expect(report.notChecked[0]?.reason).toContain('cannot be read');
  });

  it('on a tmpfs are read through the process, and a link there leads nowhere outside', async () => {
    const procRoot = await proc({ cmdline: 'x' });
    const root = join(procRoot, '100', 'root');
    await mkdir(join(root, 'run/app'), { recursive: true });
    await writeFile(join(root, 'run/app/token'), value, { mode: 0o644 });
    await mkdir(join(root, 'var'));
    await symlink('/run', join(root, 'var/run'));
    const tmpfs = { HostConfig: { Tmpfs: { '/var/run/app': '' } } };
    const engine = fakeEngine([container('db', { mounts: [mount({ type: 'tmpfs', target: '/var/run/app' })] }, tmpfs)]);
    const report = await audit(engine, { surfaces: ['tmpfs-files'], procRoot, local: true });
    expect(rulesOf(report)).toEqual(['secret-in-readable-tmpfs-file']);
    const elsewhere = await audit(engine, { surfaces: ['tmpfs-files'] });
    expect(elsewhere).toMatchObject({ verdict: 'incomplete', notChecked: [{ subject: 'db /var/run/app' }] });
  });
});

describe('files of the caller', () => {
  it('are searched: texts, files, folders', async () => {
    const source = await tree({ 'logs/': [0o700], 'logs/a.log': [0o600, `x ${value}`], '.env': [0o600, `A=${value}`] });
    const report = await audit(fakeEngine([]), {
      files: [
        { kind: 'compose-config', name: 'compose.yaml', text: new Secret(`a:\n  environment: ${value}`) },
        { kind: 'reports', name: 'report.json', text: Buffer.from('{}') },
        { kind: 'project-logs', name: 'logs', path: join(source, 'logs') },
        { kind: 'env-file', path: join(source, '.env') },
        { kind: 'shell-history', path: join(source, 'missing'), optional: true },
      ],
    });
    expect(report.findings.map(({ ruleId, location }) => [ruleId, location?.file, location?.line])).toEqual([
      ['secret-in-compose-config', 'compose.yaml', 2],
      ['secret-in-env-file', join(source, '.env'), 1],
      ['secret-in-project-log', 'logs/a.log', 1],
    ]);
    expect(report.notChecked).toEqual([]);
  });

  it('one by one: what vanishes or may not be read keeps nothing else from being searched, and no link is followed', async () => {
    const path = await tree({
      'a/': [0o755],
      'a/0-locked/': [0o755],
      'a/1.lock': [0o644, 'x'],
      'a/z.log': [0o644, value],
    });
    // A folder in place of what is taken for a file, one that leads around in a circle, and a link to nowhere.
    await symlink('..', join(path, 'a/around'));
    await symlink('nowhere', join(path, 'a/broken'));
    const report = await audit(fakeEngine([]), {
      files: [{ kind: 'project-logs', name: 'state', path, optional: true }],
    });
    expect(report.findings.map(({ subject }) => subject)).toEqual(['state/a/z.log']);
    expect(report.notChecked).toEqual([]);
  });

  it('with a name that is no UTF-8 are told: they cannot be opened by what Node makes of it', async () => {
    const path = await tree({ 'a/': [0o755], 'a/plain': [0o644, value] });
    writeFileSync(Buffer.concat([Buffer.from(`${path}/a/`), Buffer.from([0x66, 0xff])]), value);
    const reason = expect.stringContaining('1 files with a name that is no UTF-8') as string;
    const files = [{ kind: 'project-logs', name: 'state', path } as const];
    const own = await audit(fakeEngine([]), { files });
    expect(own.findings).toHaveLength(1);
    expect(own.notChecked).toEqual([{ subject: 'state/a', reason }]);
    const mounts = [mount({ source: path })];
    const options = { surfaces: ['volume-files'], local: true } as const;
    const mounted = await audit(fakeEngine([container('db', { mounts })]), options);
    expect(mounted.findings).toHaveLength(1);
    expect(mounted.notChecked).toEqual([{ subject: 'volume data', reason }]);
  });

  it('that cannot be read, or were named without a path, are told', async () => {
    // Sparse, so bigger than what is read as a whole and than the limit.
    const source = await tree({ big: [0o600, 'x'.repeat(100)] });
    await truncate(join(source, 'big'), 5 * 2 ** 20);
    const report = await audit(fakeEngine([]), {
      limits: { volumeBytes: 50 },
      files: [
        { kind: 'files', path: join(source, 'missing') },
        { kind: 'reports' },
        { kind: 'files', name: 'big', path: join(source, 'big') },
      ],
    });
    expect(report.notChecked.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('ENOENT'),
      'reports: neither a path nor a text was given',
      'files: cut after 50 of 5242880 bytes',
    ]);
  });
});

describe('patterns and the ignore list', () => {
  const engine = fakeEngine([
    container('db', {}, { Config: { Env: ['MYSQL_PASSWORD=s3cr3tValue1', 'OTHER_PASSWORD=s3cr3tValue2'] } }),
  ]);

  it('warn of what no store knows', async () => {
    const report = await audit(engine, { surfaces: ['environment'] });
    expect(report.findings.map(({ ruleId, severity }) => [ruleId, severity])).toEqual([
      ['password-assignment', 'low'],
      ['password-assignment', 'low'],
    ]);
    expect(JSON.stringify(report)).not.toContain('s3cr3t');
    expect((await audit(engine, { surfaces: ['environment'], patterns: [] })).verdict).toBe('pass');
  });

  it('take away what is known, with its reason, and nothing else', async () => {
    const ignore = [
      { ruleId: 'password-assignment', at: 'MYSQL_PASSWORD', surface: 'environment', reason: 'a test account' },
    ] as const;
    const report = await audit(engine, { surfaces: ['environment'], ignore });
    expect(report.findings).toHaveLength(1);
    expect(report.ignored).toMatchObject([{ ruleId: 'password-assignment', subject: 'db', reason: 'a test account' }]);
    const byId = await audit(engine, {
      surfaces: ['environment'],
      ignore: [{ id: report.findings[0]?.id ?? '', subject: 'db', reason: 'x' }],
    });
    expect(byId.findings.map(({ id }) => id)).toEqual([report.ignored[0]?.id]);
  });

  it.each([{ reason: ' ', ruleId: 'x' }, { reason: 'everything' }])(
    'refuse an entry without reason or aim: %j',
    async (entry) => {
      await expect(audit(engine, { ignore: [entry] })).rejects.toMatchObject({ code: 'AUDIT_INPUT_INVALID' });
    },
  );
});

describe('the machine', () => {
  it.each([
    ['another name', { name: 'elsewhere' }, 'unix:///s', false],
    ['the same name', { name: hostname() }, 'unix:///s', true],
    ['the same name, by network', { name: hostname() }, 'tcp://10.0.0.1:2376', false],
  ])('is told by the socket and the name: %s', async (_what, info, endpoint, isLocal) => {
    const procRoot = await proc({ cmdline: 'x', environ: 'y' });
    const engine = fakeEngine([container('db')], { endpoint, info: async () => info as never });
    const report = await audit(engine, { procRoot, surfaces: ['process-environment'] });
    expect(report.verdict).toBe(isLocal ? 'pass' : 'incomplete');
  });
});
