import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { elapsedMs, median, quietly } from './lib/measure.ts';
import { report } from './lib/report.ts';
import { BenchStack } from './lib/stack.ts';

// `./scripts/quickstart` in a new clone, without dependencies, tools or builds of its own, on a machine that has Docker and the images: until all services are healthy. There is no peer: nothing else does the same.

const rounds = 3;
const root = new URL('..', import.meta.url).pathname;

const times: number[] = [];
let steps: readonly string[] = [];
for (let round = 0; round < rounds; round += 1) {
  const copy = await mkdtemp(join(tmpdir(), 'devstack-quickstart-'));
  try {
    await using stack = await BenchStack.create();
    await quietly('git', ['clone', '--quiet', root, copy]);
    times.push(
      await elapsedMs(async () => {
        steps = await quickstart(copy, stack.env);
      }),
    );
    process.stderr.write(`quickstart: ${((times.at(-1) ?? 0) / 1000).toFixed(1)} s\n`);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

const ours = median(times) / 1000;
report(
  'quickstart',
  [
    {
      what: 'quickstart in a new clone, images present, to all services healthy',
      ours,
      unit: 's',
      target: '90 s',
      met: ours <= 90,
    },
  ],
  [
    `Median of ${rounds} runs (${times.map((time) => (time / 1000).toFixed(0)).join(', ')} s); packages come from pnpm's store on this machine. What is not committed is not in the clone.`,
    'Not measured here: a machine without Docker and images, which takes minutes for the packages and builds (target 25 min).',
    `The last run said: ${steps.join('; ')}.`,
  ],
);

/** Runs it and gives the lines that say when a step began or what it took. */
function quickstart(folder: string, env: Readonly<Record<string, string>>): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(folder, 'scripts/quickstart'), ['--yes'], {
      cwd: folder,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      const said = text.split('\n').filter((line) => /^\[ *\d+s\] [^ …]|^✓ /.test(line));
      if (code === 0) resolve(said.map((line) => line.replaceAll(/ +/g, ' ').trim()));
      else reject(new Error(`quickstart ended with ${String(code)}: ${text.slice(-3000)}`));
    });
  });
}
