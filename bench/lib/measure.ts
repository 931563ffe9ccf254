import { spawn } from 'node:child_process';

/** Wall times in milliseconds of the two sides of a comparison, taken in turns so that a busy moment hits both. */
export interface Pair {
  readonly ours: readonly number[];
  readonly peer: readonly number[];
}

/** Runs ours and the peer in turns; the first turn warms up and is not counted. `after` runs outside of the measured time. */
export async function inTurns(
  rounds: number,
  ours: () => Promise<unknown>,
  peer: () => Promise<unknown>,
  after: (side: keyof Pair) => Promise<void> = () => Promise.resolve(),
): Promise<Pair> {
  const times = { ours: [] as number[], peer: [] as number[] };
  for (let round = 0; round <= rounds; round += 1) {
    const oursMs = await elapsedMs(ours);
    await after('ours');
    const peerMs = await elapsedMs(peer);
    await after('peer');
    if (round === 0) continue;
    times.ours.push(oursMs);
    times.peer.push(peerMs);
  }
  return times;
}

/** Like `inTurns`, for any number of sides: one list of times for each, in their order. */
export async function allInTurns(
  rounds: number,
  sides: readonly (() => Promise<number>)[],
): Promise<readonly (readonly number[])[]> {
  const times = sides.map((): number[] => []);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, side] of sides.entries()) {
      const tookMs = await side();
      if (round > 0) times[index]?.push(tookMs);
    }
  }
  return times;
}

/** The middle value; the mean of the two middle ones for an even count. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** How long this took, in milliseconds. */
export async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end without showing its output; rejects when it fails. */
export async function quietly(program: string, args: readonly string[], options: RunOptions = {}): Promise<void> {
  await run(program, args, options, 'ignore');
}

/** Runs a program and gives what it wrote to stdout; rejects when it fails. */
export function output(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return run(program, args, options, 'pipe');
}

function run(
  program: string,
  args: readonly string[],
  options: RunOptions,
  stdout: 'ignore' | 'pipe',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', stdout, 'pipe'] });
    let text = '';
    let errors = '';
    child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code ?? 'a signal'}: ${errors.slice(-2000)}`));
    });
  });
}
