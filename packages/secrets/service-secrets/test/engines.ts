import { spawn } from 'node:child_process';

/** Runs a shell script in a throw-away container of an image of this repository; `input` is its stdin. */
export function runIn(image: string, script: string, input: string): Promise<string> {
  return docker(['run', '--rm', '-i', '--network', 'none', '--entrypoint', 'sh', image, '-euc', script], input);
}

/** Runs the docker command line. */
export function docker(argv: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', (error) => {
      reject(new Error('These tests need Docker: ./scripts/setup installs it.', { cause: error }));
    });
    child.on('close', (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`docker ${argv[0] ?? ''} ended with ${String(code)}: ${stderr.trim().slice(-2000)}`));
    });
    child.stdin.end(input);
  });
}

/** What a program in a container reads: one password in hexadecimal a line, so that no shell or parser sees it. */
export function hexLines(passwords: readonly string[]): string {
  return passwords.map((password) => `${Buffer.from(password).toString('hex')}\n`).join('');
}
