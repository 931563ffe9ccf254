import { spawn } from 'node:child_process';

/** What a program printed and how it ended. */
export interface ProgramResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end or its deadline; never rejects for an exit code. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; timeoutMs?: number },
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 240_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (exitCode) => {
      resolve({ exitCode, stdout, stderr });
    });
  });
}

/** As `runProgram`, but any end other than 0 is an error that shows what was printed. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; timeoutMs?: number },
): Promise<ProgramResult> {
  const result = await runProgram(program, args, options);
  if (result.exitCode !== 0) {
    throw new Error(
      `${program} ${args.join(' ')} ended with ${result.exitCode ?? 'a signal'} in ${options.cwd}:\n${result.stdout}\n${result.stderr}`,
    );
  }
  return result;
}
