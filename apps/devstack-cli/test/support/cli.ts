import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** This checkout, and the built app that the tests start as a user would. */
export const root: string = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
export const app: string = `${root}/apps/devstack-cli`;

/** What a finished command left. */
export interface CliResult {
  readonly command: string;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
  readonly cwd?: string;
  /** As a root that file modes hold for, as they do for anybody else. */
  readonly withoutOverride?: boolean;
  readonly timeoutMs?: number;
  /** Each line of stderr when it comes, e.g. to end the process at a step. */
  readonly onStderr?: (line: string, child: ChildProcess) => void;
  readonly onStdout?: (line: string, child: ChildProcess) => void;
}

/** Throws where there is no build: end-to-end tests run the app as it is shipped. */
export function requireBuild(): void {
  if (!existsSync(`${app}/dist/main.js`)) throw new Error(`${app}/dist is missing. Run: pnpm build`);
}

/** Runs `devstack` to its end. Its environment is the given one and what finds programs, nothing else of this process's. */
export async function devstack(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const [program = '', ...argv] = [
    ...(options.withoutOverride === true ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : []),
    process.execPath,
    `${app}/bin.js`,
    ...args,
  ];
  const child = spawn(program, argv, {
    cwd: options.cwd ?? root,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.env },
    stdio: 'pipe',
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 240_000);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  if (options.onStderr !== undefined)
    createInterface({ input: child.stderr }).on('line', (line) => options.onStderr?.(line, child));
  if (options.onStdout !== undefined)
    createInterface({ input: child.stdout }).on('line', (line) => options.onStdout?.(line, child));
  // A program that ends before it reads its input is no error of the test.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const { promise, resolve, reject } = Promise.withResolvers<CliResult>();
  child.once('error', reject);
  child.once('close', (exitCode, signal) => {
    resolve({ command: `devstack ${args.join(' ')}`, exitCode, signal, ...output });
  });
  try {
    return await promise;
  } finally {
    clearTimeout(limit);
  }
}

/** A result as a failing expectation should show it. */
export function describeResult(result: CliResult): string {
  return `${result.command} ended with ${String(result.exitCode ?? result.signal)}\n--- stdout\n${result.stdout.slice(-3000)}\n--- stderr\n${result.stderr.slice(-4000)}`;
}

/** The typed events of `--progress ndjson`; an error of `--json` beside them is left out. */
export function eventsOf(stderr: string): readonly Readonly<Record<string, unknown>>[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('{"type":'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
