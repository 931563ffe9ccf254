import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { auditCapabilities, parseAllowlist, type AuditCapabilitiesOptions, type CapabilityAudit } from './index.ts';

const image = 'devstack/base:local';
const prefix = `ca-test-${randomBytes(4).toString('hex')}`;
const run = promisify(execFile);
let engine: DockerEngine;

beforeAll(async () => {
  engine = await connectDocker();
});
afterAll(async () => {
  for (const { id } of await engine.listContainers({ all: true, labels: { [prefix]: 'yes' } }))
    await engine.removeContainer(id, { force: true, volumes: true });
  await engine[Symbol.asyncDispose]();
});

const hardened = [
  ...['--cap-drop', 'ALL', '--read-only', '--security-opt', 'no-new-privileges', '--user', '4321', '--network', 'none'],
  ...['--memory', '64m', '--cpus', '0.5', '--pids-limit', '20', '--tmpfs', '/tmp:size=1m'],
];

/** Made by the docker client, as a user would. */
async function make(verb: 'run' | 'create', name: string, options: readonly string[]): Promise<string> {
  const detach = verb === 'run' ? ['--detach'] : [];
  const labels = ['--label', `${prefix}=yes`, '--name', `${prefix}-${name}`];
  const { stdout } = await run('docker', [verb, ...detach, ...labels, ...options, image, 'sleep', '600']);
  return stdout.trim();
}

async function audit(ids: readonly string[], more: Partial<AuditCapabilitiesOptions> = {}): Promise<CapabilityAudit> {
  return auditCapabilities({ engine, containers: { ids }, ...more });
}

function rulesIn({ report }: CapabilityAudit): readonly string[] {
  return report.findings.map(({ ruleId }) => ruleId);
}

describe('a running container', () => {
  it('that is hardened passes, and the same without any of it does not', async () => {
    const good = await audit([await make('run', 'good', hardened)]);
    expect(good.report).toMatchObject({ verdict: 'pass', findings: [], notChecked: [], checkedCount: 1 });
    expect(good.score.value).toBe(100);
    const bad = await audit([await make('run', 'bad', ['--publish', '80', '--tmpfs', '/tmp'])]);
    expect(rulesIn(bad).toSorted()).toEqual([
      'capabilities-not-dropped',
      'new-privileges-allowed',
      'no-cpu-limit',
      'no-memory-limit',
      'no-pids-limit',
      'port-published-widely',
      'root-user',
      'tmpfs-without-size',
      'writable-root-filesystem',
    ]);
    expect(bad.score.value).toBeLessThan(good.score.value);
    expect(bad.containers[0]?.effective).toHaveLength(14);
  });

  it('has for root what was added, and for another user only what setuid programs can get', async () => {
    const added = ['--cap-drop', 'ALL', '--cap-add', 'sys_ptrace'];
    const [root, user, locked] = await Promise.all([
      make('run', 'root', added),
      make('run', 'user', [...added, '--user', '1000']),
      make('run', 'locked', [...added, '--user', '1000', '--security-opt', 'no-new-privileges']),
    ]);
    const { containers } = await audit([root, user, locked]);
    expect(containers.map(({ effective, reachable, drift }) => [effective, reachable, drift])).toEqual([
      [['SYS_PTRACE'], ['SYS_PTRACE'], []],
      [[], ['SYS_PTRACE'], ['ineffective']],
      [[], [], ['ineffective']],
    ]);
    const allowed = parseAllowlist(
      `capabilities: [{service: ${prefix}-root, capability: SYS_PTRACE, reason: r, risk: high, owner: o, expires: 2999-01-01}]`,
      'a.yaml',
    );
    expect(rulesIn(await audit([root], { allowlist: allowed }))).not.toContain('capability-not-allowed');
    expect(rulesIn(await audit([root]))).toContain('capability-not-allowed');
  });

  it('is judged with its exec sessions', async () => {
    const id = await make('run', 'exec', hardened);
    const session = run('docker', ['exec', '--user', '0', id, 'sleep', '600']).catch(() => undefined);
    const seen = await vi.waitFor(
      async () => {
        const found = await audit([id]);
        expect(found.containers[0]?.processes).toHaveLength(2);
        return found;
      },
      { timeout: 20_000, interval: 50 },
    );
    expect(rulesIn(seen)).toEqual(['root-user']);
    await engine.removeContainer(id, { force: true });
    await session;
  });

  it('without a filter of system calls is found by its processes', async () => {
    const id = await make('run', 'unconfined', [...hardened, '--security-opt', 'seccomp=unconfined']);
    const found = await audit([id]);
    expect(rulesIn(found)).toEqual(['seccomp-not-default']);
    expect(found.report.findings[0]?.message).toBe('No system call is filtered for sleep.');
    expect(found.containers[0]?.processes[0]?.seccomp).toBe('none');
  });
});

describe('a container that was only made', () => {
  it('privileged, with the socket of the engine and what is of the host, is found before it starts', async () => {
    const id = await make('create', 'made', [
      ...['--privileged', '--network', 'host', '--pid', 'host', '--device', '/dev/null:/dev/x'],
      ...['--volume', '/var/run/docker.sock:/s:ro', '--volume', '/etc:/e', '--read-only', '--user', '5'],
      ...['--memory', '64m', '--cpus', '1', '--pids-limit', '5'],
    ]);
    const found = await audit([id]);
    expect(rulesIn(found)).toEqual(
      expect.arrayContaining([
        'docker-socket',
        'host-path-mounted',
        'privileged-container',
        'host-namespace',
        'new-privileges-allowed',
      ]),
    );
    expect(found.containers[0]).toMatchObject({
      state: 'created',
      risk: 'critical',
      configured: ['ALL'],
      processes: [],
    });
  });

  it('with all capabilities but some is found with each of the others', async () => {
    const id = await make('create', 'all', [...hardened.slice(2), '--cap-add', 'ALL', '--cap-drop', 'SYS_ADMIN']);
    const found = await audit([id]);
    expect(rulesIn(found).filter((rule) => rule === 'capability-not-allowed')).toHaveLength(40);
  });
});

describe('a look at many', () => {
  it('by label finds all, and says what vanished', async () => {
    await make('create', 'one', hardened);
    await make('create', 'two', hardened);
    const all = await auditCapabilities({ engine, containers: { labels: { [prefix]: true } } });
    expect(all.containers.map(({ name }) => name)).toEqual(expect.arrayContaining([`${prefix}-one`, `${prefix}-two`]));
    const gone = await audit([`${prefix}-one`, 'f'.repeat(64)]);
    expect(gone.report).toMatchObject({ verdict: 'incomplete', checkedCount: 1 });
  });

  it('through another /proc checks no process, and does not pass', async () => {
    const id = await make('run', 'far', hardened);
    const far = await audit([id], { procRoot: '/nonexistent' });
    expect(far.report).toMatchObject({
      verdict: 'incomplete',
      checkedCount: 0,
      notChecked: [{ subject: `${prefix}-far` }],
    });
    expect((await audit([id])).report.verdict).toBe('pass');
  });
});
