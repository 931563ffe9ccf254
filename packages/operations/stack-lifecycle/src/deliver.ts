import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceModel } from '@devstack-core/compose-project';
import type { DockerEngine, VolumeFile } from '@devstack-core/docker-engine';
import { readPrivateFile, writeFileDurable } from '@devstack-core/durable-files';
import { Secret } from '@devstack-core/redaction';
import { readRootToken } from '@devstack-core/vault-lifecycle';
import type { OnEvent } from './events.ts';
import type { Stack } from './stack.ts';
import type { StepOutcome } from './steps.ts';

const writerImage = 'devstack/base:local';
// Long enough for a slow first start, short enough that a leaked one is soon worthless.
const fallbackTokenTtlS = 3600;

/** True when this service logs in with a token made from root instead of its AppRole (`VAULT_USE_ROOT_TOKEN`, or `<SERVICE>_VAULT_USE_ROOT_TOKEN`). */
export function usesRootToken(stack: Stack, service: ServiceModel): boolean {
  const own = `${service.name.replaceAll('-', '_').toUpperCase()}_VAULT_USE_ROOT_TOKEN`;
  return (stack.env[own] ?? stack.env['VAULT_USE_ROOT_TOKEN'] ?? 'false') === 'true';
}

/**
 * Puts each service's AppRole files into its own volume, owned by its user and readable by nobody else.
 * A service on the root-token fallback gets a fresh short-lived token of its own policy instead, with a loud warning.
 */
export async function deliverLogins(stack: Stack, services: readonly ServiceModel[], options: { onEvent: OnEvent; force?: boolean }): Promise<StepOutcome> {
  const engine = await stack.engine();
  const clients = services.filter((service) => service.role !== undefined && service.authentication === 'approle');
  const fallback = clients.filter((service) => usesRootToken(stack, service));
  const files = (await Promise.all(clients.map((service) => loginFiles(stack, service)))).flat();
  const fingerprint = fingerprintOf(files, clients);
  const volumes = clients.map((service) => volumeName(stack, service.name));
  const present = new Set((await engine.listVolumes({ project: stack.project.id })).map((volume) => volume.name));
  const recordPath = join(stack.directories.state, 'delivered.json');
  const recorded = await readFile(recordPath, 'utf8').catch(() => '');
  const upToDate = recorded.trim() === fingerprint && volumes.every((name) => present.has(name)) && fallback.length === 0 && options.force !== true;
  if (upToDate) return { changed: false, detail: `${String(clients.length)} services as delivered`, value: undefined };

  for (const service of fallback) {
    options.onEvent({
      type: 'warning',
      code: 'ROOT_TOKEN_FALLBACK',
      text: `${service.name} logs in with a token made from the root token (policy ${service.role ?? service.name}, one hour), not with its AppRole.`,
      hint: `Unset ${service.name.replaceAll('-', '_').toUpperCase()}_VAULT_USE_ROOT_TOKEN and VAULT_USE_ROOT_TOKEN, then run devstack up.`,
    });
  }
  const tokens = await Promise.all(fallback.map((service) => fallbackToken(stack, service)));
  await Promise.all(clients.map((service) => ensureLoginVolume(stack, engine, service)));
  await engine.writeVolumeFiles({ image: writerImage, files: [...files, ...tokens], labels: { 'com.docker.compose.project': stack.project.id } });
  await writeFileDurable(recordPath, `${fallback.length > 0 ? 'fallback' : fingerprint}\n`);
  return { changed: true, detail: `${String(clients.length)} services${fallback.length > 0 ? `, ${String(fallback.length)} on the root-token fallback` : ''}`, value: undefined };
}

/** The volume that holds a service's login files. */
export function volumeName(stack: Stack, service: string): string {
  return stack.model.volumeName(`approle-${service}`);
}

/** Creates it as compose would, so that compose takes it for its own. */
async function ensureLoginVolume(stack: Stack, engine: DockerEngine, service: ServiceModel): Promise<void> {
  await engine.ensureVolume({
    name: volumeName(stack, service.name),
    labels: {
      'com.docker.compose.project': stack.project.id,
      'com.docker.compose.volume': `approle-${service.name}`,
    },
  });
}

async function loginFiles(stack: Stack, service: ServiceModel): Promise<readonly VolumeFile[]> {
  const directory = join(stack.directories.approles, service.name);
  return Promise.all(
    ['role-id', 'secret-id'].map(async (name) => ({
      volume: volumeName(stack, service.name),
      path: name,
      content: await readPrivateFile(join(directory, name)),
      mode: 0o600,
      uid: service.uid ?? 0,
      gid: service.uid ?? 0,
    })),
  );
}

async function fallbackToken(stack: Stack, service: ServiceModel): Promise<VolumeFile> {
  const client = stack.vault(await readRootToken({ directory: stack.directories.vault }));
  const { token } = await client.createToken({
    policies: [service.role ?? service.name],
    ttlS: fallbackTokenTtlS,
    noDefaultPolicy: true,
    displayName: `root-token-fallback-${service.name}`,
    metadata: { service: service.name, reason: 'VAULT_USE_ROOT_TOKEN' },
  });
  return { volume: volumeName(stack, service.name), path: 'token', content: token, mode: 0o600, uid: service.uid ?? 0, gid: service.uid ?? 0 };
}

function fingerprintOf(files: readonly VolumeFile[], services: readonly ServiceModel[]): string {
  const hash = createHash('sha256').update(services.map((service) => service.name).join(','));
  for (const file of files) hash.update(`\0${file.volume}\0${file.path}\0${String(file.uid)}\0`).update(file.content instanceof Secret ? file.content.reveal() : file.content);
  return hash.digest('hex');
}
