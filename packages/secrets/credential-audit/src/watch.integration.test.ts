import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Secret } from '@devstack-core/redaction';
import { expect, it } from 'vitest';
import { watchProcesses } from './index.ts';

const value = 'c0rrect-h0rse-battery';
const needles = [{ value: new Secret(value), label: 'secret/db', field: 'password' }];

async function shell(script: string, ...args: readonly string[]): Promise<void> {
  await once(spawn('sh', ['-c', script, 'sh', ...args], { stdio: 'ignore' }), 'close');
}

// What this kernel and these rights allow decides the mode: the result must say which, and the control must be found in either.
it('sees the programs that start while something runs, finds a planted value in the arguments of one, and leaves no trace', async () => {
  const leaking = await watchProcesses({
    needles,
    run: () => shell('sleep 0.05; /bin/echo "$1"; A="$1" sleep 0.2', value),
  });
  expect(leaking.report.verdict).toBe('findings');
  expect(new Set(leaking.report.findings.map(({ ruleId }) => ruleId))).toEqual(
    new Set(['secret-in-process-arguments', 'secret-in-process-environment']),
  );
  expect(JSON.stringify(leaking)).not.toContain(value);
  const clean = await watchProcesses({ needles, run: () => shell('for i in $(seq 100); do /bin/true; done') });
  expect(clean.report.findings).toEqual([]);
  expect(clean.mode).toBe(leaking.mode);
  if (clean.mode === 'kernel-events') {
    // The kernel told of every one, however short it was.
    expect(clean.processesSeen).toBeGreaterThanOrEqual(101);
    expect(clean.processesSeen - clean.processesUnread).toBeGreaterThan(clean.processesSeen / 2);
    expect(clean.report.verdict).toBe(clean.processesUnread === 0 ? 'pass' : 'incomplete');
  } else {
    expect(clean.modeReason).toBeTruthy();
  }
  expect(await readFile('/proc/mounts', 'utf8')).not.toContain(`credential-audit-trace-${String(process.pid)}-`);
});

it('watches one run while another is watched', async () => {
  const both = await Promise.all(
    [1, 2].map(() => watchProcesses({ needles, run: () => shell('sleep 0.1; exec sleep 0.2', value) })),
  );
  for (const { report } of both) expect(report.findings.length).toBeGreaterThan(0);
});

it('takes away what a killed watch left behind', async () => {
  const module = new URL('index.ts', import.meta.url).href;
  const script = `import { watchProcesses } from '${module}';
    await watchProcesses({ needles: [], run: () => { console.log('on'); return new Promise((resolve) => setTimeout(resolve, 60_000)); } });`;
  const child = spawn(process.execPath, ['--conditions=@devstack-core/source', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  const { mode } = await watchProcesses({ needles, run: () => 1 });
  const mounts = await readFile('/proc/mounts', 'utf8');
  expect(mounts).not.toContain(`credential-audit-trace-${String(child.pid)}-`);
  expect(['kernel-events', 'sampling']).toContain(mode);
});
