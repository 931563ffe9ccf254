import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A script of this folder in a process of its own, with the workspace's sources. `wrap` goes before it on the command line. */
export function startScript(
  script: string,
  args: readonly string[],
  wrap: readonly string[] = [],
): ChildProcess & { readonly stdout: NonNullable<ChildProcess['stdout']> } {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const [program = '', ...rest] = [...wrap, process.execPath, '-C', '@devstack-core/source', path, ...args];
  return spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The same to its end; gives the JSON that it printed. */
export async function runScript(
  script: string,
  args: readonly string[],
  wrap: readonly string[] = [],
): Promise<unknown> {
  const child = startScript(script, args, wrap);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${script} ended with ${String(code ?? signal)}: ${text}`));
    });
  });
  return JSON.parse(text);
}
