import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';

/** A gpg with a home of its own, as Debian's package has it. */
export interface Gpg extends AsyncDisposable {
  /** Runs gpg; the passphrase goes through a pipe. Rejects, with what gpg said, unless it ends with 0. */
  run(args: readonly string[], input: Uint8Array, passphrase?: string): Promise<Buffer>;
}

/** Rejects with the command that installs gpg where it is missing: a test that needs it must not pass without. */
export async function startGpg(): Promise<Gpg> {
  const home = await mkdtemp(join(tmpdir(), 'devstack-gpg-'));
  const environment = { PATH: process.env['PATH'], GNUPGHOME: home, LC_ALL: 'C' };
  const run: Gpg['run'] = async (args, input, passphrase = '') => {
    const options = ['--batch', '--yes', '--no-tty', '--quiet', '--pinentry-mode', 'loopback', '--passphrase-fd', '3'];
    return runProgram('gpg', [...options, ...args], input, environment, passphrase);
  };
  return {
    run,
    async [Symbol.asyncDispose](): Promise<void> {
      await runProgram('gpgconf', ['--kill', 'all'], Buffer.alloc(0), environment).catch(() => undefined);
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** The `zstd` program's output. */
export async function zstdProgram(args: readonly string[], input: Uint8Array): Promise<Buffer> {
  return runProgram('zstd', ['-q', '-c', ...args], input, { PATH: process.env['PATH'] });
}

function runProgram(
  program: string,
  args: readonly string[],
  input: Uint8Array,
  env: NodeJS.ProcessEnv,
  passphrase?: string,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.once('error', () => {
      reject(new Error(`${program} is not installed. Run: ./scripts/setup (or: apt-get install gnupg zstd)`));
    });
    child.once('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output));
      else reject(new Error(`${program} ended with ${String(code)}: ${errors}`));
    });
    for (const [pipe, content] of [
      [child.stdin, input],
      [child.stdio[3], `${passphrase ?? ''}\n`],
    ] as const) {
      // The program may end before it has read all.
      (pipe as Writable).on('error', () => undefined).end(content);
    }
  });
}
