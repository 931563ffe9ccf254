import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { flushCompileCache, getCompileCacheDir } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { caFile, readServiceCredentials, serviceInits } from '@devstack-core/service-init';
import type { VaultClient } from '@devstack-core/vault-client';
import { serverEnvironment } from './become.ts';
import { ensureCertificate } from './certificate.ts';
import { readSettings, type Settings } from './settings.ts';

// Runs once, when the image is built: goes the way of a start against a stand-in for Vault, so that V8 compiles what a
// start uses and the compile cache holds it.
const directory = await mkdtemp(join(tmpdir(), 'warm-'));
const server = createServer(answer).listen(0, '127.0.0.1');
try {
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await writeFile(join(directory, 'role-id'), 'role');
  await writeFile(join(directory, 'secret-id'), 'secret');
  const settings = readSettings({
    DEVSTACK_SERVICE: 'warm',
    DEVSTACK_ROLE: 'warm',
    DEVSTACK_ENGINE: 'warm',
    VAULT_ADDR: `http://127.0.0.1:${String(port)}`,
  });
  const credentials = await readServiceCredentials({
    ...settings,
    directory,
    address: settings.vaultAddress,
    withSession: (client) =>
      warmCertificate({ ...settings, approleDirectory: directory, credentialsDirectory: directory }, client),
  });
  for (const init of Object.values(serviceInits)) {
    // What is not in this image makes it fail, after its code was loaded: that is all that is wanted here.
    await init
      .prepare({
        ...settings,
        ...credentials,
        dataDirectory: directory,
        credentialsDirectory: directory,
        settings: { PATH: '/nonexistent' },
        arguments: [],
        progress: () => undefined,
      })
      .catch(() => undefined);
  }
  serverEnvironment(process.env, {});
  await import('./main.ts');
} finally {
  server.close();
  server.closeAllConnections();
  await rm(directory, { recursive: true, force: true });
}
flushCompileCache();
await share(getCompileCacheDir());

// The stand-in signs nothing, so that it fails once key and request are made: nearly all of what a start with TLS compiles.
async function warmCertificate(settings: Settings, client: VaultClient): Promise<void> {
  await writeFile(caFile(directory), '');
  await ensureCertificate(settings, (work) => work(client)).catch(() => undefined);
}

// Node keeps one private cache per user, in a folder whose name ends with the user's id: here it is the same for every service's user.
async function share(cache: string | undefined): Promise<void> {
  const own = `-${String(process.getuid?.() ?? 0)}`;
  if (cache?.endsWith(own) !== true) return;
  for (const name of await readdir(cache)) await chmod(join(cache, name), 0o644);
  for (const uid of [3000, 3306, 5432, 5672, 6379, 6432, 8080, 27017])
    await symlink(basename(cache), join(dirname(cache), `${basename(cache).slice(0, -own.length)}-${String(uid)}`));
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '';
  const metadata = { version: 1, created_time: '2026-01-01T00:00:00Z' };
  const body = url.includes('/login')
    ? { auth: { client_token: 'x', accessor: 'x', lease_duration: 300, policies: [] } }
    : { data: { data: url.endsWith('/clients') ? {} : { username: 'x', password: 'x', database: 'x' }, metadata } };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
}
