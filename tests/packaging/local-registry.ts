import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** A package registry of its own on a loopback port, for our scope alone: third-party packages come from npm's usual place. */
export interface LocalRegistry extends AsyncDisposable {
  /** An npm configuration file that sends our scope here. */
  readonly npmrc: string;
  readonly url: string;
}

/** Starts verdaccio with an empty storage in that folder and waits until it answers. */
export async function startLocalRegistry(folder: string): Promise<LocalRegistry> {
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, 'config.yaml');
  await writeFile(
    config,
    [
      `storage: ${join(folder, 'storage')}`,
      'uplinks: {}',
      "packages: { '@devstack-core/*': { access: $all, publish: $all, unpublish: $all } }",
      'max_body_size: 200mb',
      'log: { type: stdout, format: pretty, level: warn }',
      '',
    ].join('\n'),
  );
  const npmrc = join(folder, 'npmrc');
  // The registry lets anyone publish, but npm wants to see some token.
  await writeFile(npmrc, `@devstack-core:registry=${url}/\n//127.0.0.1:${port}/:_authToken=anyone\n`);

  const program = join(dirname(require.resolve('verdaccio/package.json')), 'bin/verdaccio');
  const server = spawn(process.execPath, [program, '--config', config, '--listen', `127.0.0.1:${port}`], {
    cwd: folder,
    env: { ...process.env, VERDACCIO_DISABLE_TELEMETRY: '1', NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [server.stdout, server.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<void>((resolve) =>
    server.once('exit', () => {
      resolve();
    }),
  );

  const deadline = Date.now() + 60_000;
  for (;;) {
    const answers = await fetch(`${url}/-/ping`).then(
      (response) => response.ok,
      () => false,
    );
    if (answers) break;
    if (server.exitCode !== null || Date.now() > deadline) {
      server.kill('SIGKILL');
      throw new Error(`The local registry does not answer at ${url}:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    npmrc,
    url,
    async [Symbol.asyncDispose]() {
      server.kill('SIGTERM');
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) =>
    server.listen(0, '127.0.0.1', () => {
      resolve();
    }),
  );
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
