import { spawn } from 'node:child_process';

/** Runs a program of this folder with a JSON document on its stdin, until it ends. */
export function runChild(script: string, input: unknown): Promise<{ signal: string | null; said: string }> {
  const child = spawn(
    process.execPath,
    ['-C', '@devstack-core/source', new URL(`./${script}`, import.meta.url).pathname],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  child.stdin.end(JSON.stringify(input));
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => {
    child.on('close', (_code, signal) => {
      resolve({ signal, said: said.trim() });
    });
  });
}
