import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { createRoot, issueFromRoot, renew, verifyServed, type RenewOptions, type RootAuthority } from '../src/index.ts';

export const passphrase: Secret = new Secret('correct horse battery staple');

/** A folder with a root. */
export interface RootFolder extends AsyncDisposable {
  readonly path: string;
  readonly root: RootAuthority;
}

export async function rootFolder(): Promise<RootFolder> {
  const path = await mkdtemp(join(tmpdir(), 'certificates-'));
  return {
    path,
    root: await createRoot({ directory: join(path, 'root'), passphrase, curve: 'P-256' }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** A server in a process of its own that presents what is installed in its directory. */
export interface ServedDirectory extends AsyncDisposable {
  readonly directory: string;
  readonly port: number;
  readonly pid: number;
  /** `renew` for it: issued by the root, reloaded by a signal, verified by a handshake. */
  readonly options: RenewOptions;
}

export async function serve(folder: RootFolder, name: string): Promise<ServedDirectory> {
  const directory = join(folder.path, name);
  const issue = () => issueFromRoot({ root: folder.root, commonName: 'server', ipAddresses: ['127.0.0.1'] });
  await renew({ directory, issue });
  const script = new URL('./tls-server.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', () => {
      reject(new Error('The server ended.'));
    });
    child.stdout.once('data', (chunk: Buffer) => {
      resolve(Number(/listening (\d+)/.exec(chunk.toString())?.[1]));
    });
  });
  const pid = child.pid ?? 0;
  return {
    directory,
    port,
    pid,
    options: {
      directory,
      issue,
      reload: () => {
        process.kill(pid, 'SIGHUP');
        return Promise.resolve();
      },
      verify: ({ serial, caBundlePem }) =>
        verifyServed({ host: '127.0.0.1', port, servername: 'server', ca: caBundlePem, serial, deadlineMs: 1500 }),
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}
