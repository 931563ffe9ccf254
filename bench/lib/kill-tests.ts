import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { report, type Row } from './report.ts';

const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');

/** Tests that kill processes, at every step they know instead of one of each kind, and so many times each. */
export interface KillTests {
  /** From the root of the checkout; each prints a line with how often each step was hit. */
  readonly files: readonly string[];
  readonly project: 'unit' | 'integration';
  readonly rounds: number;
  /** Only tests whose name has this. */
  readonly named?: string;
}

interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** Runs them, and reports what did not hold, and each step that was hit too seldom. */
export async function reportKills(title: string, tests: KillTests): Promise<void> {
  const { results, hits } = await run(tests);
  const all = results.testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = all.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
  const controls = all.filter(({ fullName, status }) => status === 'passed' && /control|would be found/.test(fullName));
  if (controls.length === 0) throw new Error('No control has run: that nothing was found says nothing.');
  const kills = [...hits.values()].reduce((sum, count) => sum + count, 0);
  const seldom = [...hits].filter(([, count]) => count < tests.rounds).map(([step]) => step);
  const rows: readonly Row[] = [
    { what: 'processes killed with SIGKILL', ours: kills, unit: 'kills' },
    {
      what: 'tests in which something was neither as before nor complete, or was left behind',
      ours: failed.length,
      unit: `of ${String(results.numPassedTests + results.numFailedTests)}`,
      target: 'none',
      met: failed.length === 0 && kills > 0,
    },
    {
      what: `steps that were hit less than ${String(tests.rounds)} times`,
      ours: seldom.length,
      unit: `of ${String(hits.size)} steps`,
      target: 'none',
      met: seldom.length === 0 && hits.size > 0,
    },
  ];
  const histogram = [...hits].map(([step, count]) => `${step} ${String(count)}`).join(', ');
  report(title, rows, [
    `Killed at: ${histogram}.`,
    `${String(controls.length)} controls, which leave something in between on purpose, were caught in the same run.`,
    ...failed.map((name) => `Failed: ${name}`),
    ...seldom.map((step) => `Seldom: ${step}`),
  ]);
}

async function run(
  tests: KillTests,
): Promise<{ readonly results: Results; readonly hits: ReadonlyMap<string, number> }> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-kills-'));
  try {
    const file = join(folder, 'results.json');
    const options = ['--config', 'configs/tooling/vitest.config.ts', '--project', tests.project];
    const named = tests.named === undefined ? [] : ['--testNamePattern', tests.named];
    const output = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const child = spawn('pnpm', ['exec', 'vitest', 'run', ...options, ...named, ...output, ...tests.files], {
      cwd: root,
      env: { ...process.env, DEVSTACK_KILL_ROUNDS: String(tests.rounds) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stop = (): void => void child.kill('SIGTERM');
    process.once('SIGTERM', stop).once('SIGINT', stop);
    child.stdout.pipe(process.stderr);
    const [said] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    process.off('SIGTERM', stop).off('SIGINT', stop);
    const hits = new Map<string, number>();
    for (const [, json = '{}'] of said.matchAll(/^kills by step: (\{.*\})$/gm))
      for (const [step, count] of Object.entries(JSON.parse(json) as Record<string, number>))
        hits.set(step, (hits.get(step) ?? 0) + count);
    return { results: JSON.parse(await readFile(file, 'utf8')) as Results, hits };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
