import { spawn } from 'node:child_process';

/** Wall times in milliseconds of the two sides of a comparison, taken in turns so that a busy moment hits both. */
export interface Pair {
  readonly ours: readonly number[];
  readonly peer: readonly number[];
}

/** Runs ours and the peer in turns; the first turn warms up and is not counted. */
export async function inTurns(
  rounds: number,
  ours: () => Promise<unknown>,
  peer: () => Promise<unknown>,
): Promise<Pair> {
  const times = { ours: [] as number[], peer: [] as number[] };
  for (let round = 0; round <= rounds; round += 1) {
    const oursMs = await elapsedMs(ours);
    const peerMs = await elapsedMs(peer);
    if (round === 0) continue;
    times.ours.push(oursMs);
    times.peer.push(peerMs);
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

/** Runs a program to its end without showing its output; rejects when it fails. */
export function quietly(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code ?? 'a signal'}: ${errors.slice(-2000)}`));
    });
  });
}
