import { execFile } from 'node:child_process';

/** Runs a program of this machine and returns its stdout; rejects with its stderr. */
export function program(
  name: string,
  args: readonly string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = execFile(
    name,
    args,
    { maxBuffer: 256 * 1024 * 1024, timeout: options.timeoutMs ?? 120_000 },
    (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${name} ${args.slice(0, 4).join(' ')}: ${stderr.trim() || error.message}`));
    },
  );
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  return promise;
}

export function docker(...args: readonly string[]): Promise<string> {
  return program('docker', args);
}

export async function dockerLines(...args: readonly string[]): Promise<readonly string[]> {
  return (await docker(...args)).split('\n').filter((line) => line !== '');
}

/** Waits until `condition` holds; the error names what was waited for. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  deadlineMs = 60_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Waited ${String(deadlineMs / 1000)} s for ${what}.`);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    setTimeout(resolve, 100, undefined);
    await promise;
  }
}
