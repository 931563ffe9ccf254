import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secret, type Secret } from '@devstack-core/redaction';
import type { ServiceClient, ServiceInitContext } from '../src/service-init.ts';

/** A container's folders in a temporary place, with stand-ins for the server's programs on its PATH. */
export interface FakeContainer extends AsyncDisposable {
  readonly root: string;
  readonly lines: string[];
  /** Writes a shell script to the PATH. */
  program(name: string, script?: string): Promise<string>;
  context(options: {
    secrets: Record<string, string>;
    clients?: readonly ServiceClient[];
    version?: number;
    settings?: Record<string, string>;
    signal?: AbortSignal;
  }): ServiceInitContext;
}

export async function fakeContainer(role: string): Promise<FakeContainer> {
  const root = await mkdtemp(join(tmpdir(), 'service-init-'));
  const lines: string[] = [];
  for (const name of ['bin', 'data', 'credentials', 'config']) await mkdir(join(root, name));
  return {
    root,
    lines,
    async program(name, script = 'exit 0') {
      const path = join(root, 'bin', name);
      await writeFile(path, `#!/bin/sh\n${script}\n`);
      await chmod(path, 0o755);
      return path;
    },
    context: ({ secrets, clients = [], version = 1, settings = {}, signal }) => ({
      service: role,
      role,
      secrets: wrap(secrets),
      clients,
      versions: { secrets: { version, createdTime: 'then' }, clients: { version: 1, createdTime: 'then' } },
      credentialsDirectory: join(root, 'credentials'),
      dataDirectory: join(root, 'data'),
      configDirectory: join(root, 'config'),
      approleDirectory: join(root, 'approle'),
      settings: { PATH: join(root, 'bin'), ...settings },
      arguments: [],
      progress: (line) => lines.push(line),
      ...(signal === undefined ? {} : { signal }),
    }),
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true });
    },
  };
}

export function wrap(fields: Record<string, string>): Record<string, Secret> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, secret(value)]));
}
