import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ProbeResult {
  readonly signal: string | null;
  readonly exitCode: number | null;
  /** The events in their order, and the outcome or the error as JSON. */
  readonly lines: readonly string[];
}

const script = fileURLToPath(new URL('./init-probe.ts', import.meta.url));

/** Starts `init-probe.ts`; `prefix` runs it elsewhere, in a container for example. */
export async function runProbe(input: object, prefix: readonly string[] = [process.execPath]): Promise<ProbeResult> {
  const [program = '', ...rest] = prefix;
  const child = spawn(program, [...rest, '-C', '@devstack-core/source', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdin.end(JSON.stringify(input));
  const [exitCode, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on('close', (code, name) => {
      resolve([code, name]);
    });
  });
  return { signal, exitCode, lines: output.trim().split('\n') };
}
