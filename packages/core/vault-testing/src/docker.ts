import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Runs the docker command line. Throws with its stderr, and with the way to install it where it is missing. */
export async function docker(...argv: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execute('docker', argv, { maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') throw new Error('These tests need Docker: ./scripts/setup installs it.', { cause: error });
    if ((stderr ?? '').includes('Cannot connect to the Docker daemon')) {
      throw new Error('These tests need a running Docker engine: ./scripts/setup starts it.', { cause: error });
    }
    throw new Error(`docker ${argv[0] ?? ''} failed: ${(stderr ?? '').trim()}`, { cause: error });
  }
}

/** The last lines of both streams of a container. */
export async function dockerLogs(name: string): Promise<string> {
  const { stdout, stderr } = await execute('docker', ['logs', '--tail', '500', name]);
  return stdout + stderr;
}

/** The same with something on stdin. */
export function dockerWithInput(input: string, ...argv: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(stdout.trim());
      else reject(new Error(`docker ${argv[0] ?? ''} ended with ${String(code)}: ${stderr.trim()}`));
    });
    child.stdin.end(input);
  });
}
