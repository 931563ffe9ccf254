import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceModel } from '@devstack-core/compose-project';
import type { DockerEngine, VolumeFile } from '@devstack-core/docker-engine';
import { readPrivateFile, writeFileDurable } from '@devstack-core/durable-files';
import { isSecret, type Secret } from '@devstack-core/redaction';
import { readRootToken } from '@devstack-core/vault-lifecycle';
import type { OnEvent } from './events.ts';
import type { Stack } from './stack.ts';
import type { StepOutcome } from './steps.ts';
import { usesTls } from './tls.ts';

const writerImage = 'devstack/base:local';
// Long enough for a slow first start, short enough that a leaked one is soon worthless.
const fallbackTokenTtlS = 3600;

/** True when this service logs in with a token made from root instead of its AppRole (`VAULT_USE_ROOT_TOKEN`, or `<SERVICE>_VAULT_USE_ROOT_TOKEN`). */
export function usesRootToken(stack: Stack, service: ServiceModel): boolean {
  return (stack.env[fallbackVariable(service)] ?? stack.env['VAULT_USE_ROOT_TOKEN'] ?? 'false') === 'true';
}

/**
 * Puts each service's AppRole files into its own volume, owned by its user and readable by nobody else; what is there already is left.
 * With `force`, or for a service in `again`, they are written even so.
 * A service on the root-token fallback gets a fresh short-lived token of its own policy as well, with a loud warning.
 */
export async function deliverLogins(
  stack: Stack,
  services: readonly ServiceModel[],
  options: { onEvent: OnEvent; force?: boolean; again?: readonly string[] },
): Promise<StepOutcome> {
  const engine = await stack.engine();
  const clients = services.filter((service) => service.role !== undefined && service.authentication === 'approle');
  const present = new Set((await engine.listVolumes({ project: stack.project.id })).map((volume) => volume.name));
  const delivered = await readDelivered(stack);
  const files: VolumeFile[] = [];
  const written: string[] = [];
  for (const service of clients) {
    const login = await loginFiles(stack, service);
    const fingerprint = fingerprintOf(login);
    const fallback = usesRootToken(stack, service);
    const isThere = delivered[service.name] === fingerprint && present.has(volumeName(stack, service.name));
    if (isThere && !fallback && options.force !== true && options.again?.includes(service.name) !== true) continue;
    if (fallback) warnOfFallback(service, options.onEvent);
    // An empty token file takes away what an earlier fallback left.
    const token = fallback
      ? await fallbackToken(stack, service)
      : delivered[service.name] === tokenMark
        ? volumeFile(stack, service, 'token', '')
        : undefined;
    files.push(...login, ...(token === undefined ? [] : [token]));
    delivered[service.name] = fallback ? tokenMark : fingerprint;
    written.push(service.name);
    await ensureLoginVolume(stack, engine, service);
  }
  if (files.length === 0)
    return { changed: false, detail: `${String(clients.length)} services as delivered`, value: undefined };
  await engine.writeVolumeFiles({
    image: writerImage,
    files,
    labels: { 'com.docker.compose.project': stack.project.id },
  });
  await writeFileDurable(join(stack.directories.state, 'delivered.json'), `${JSON.stringify(delivered, null, 2)}\n`);
  return { changed: true, detail: `to ${written.join(', ')}`, value: undefined };
}

const tokenMark = 'root-token fallback';

async function readDelivered(stack: Stack): Promise<Record<string, string>> {
  const text = await readFile(join(stack.directories.state, 'delivered.json'), 'utf8').catch(() => '{}');
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    // A damaged record only costs delivering again.
    return {};
  }
}

function warnOfFallback(service: ServiceModel, onEvent: OnEvent): void {
  onEvent({
    type: 'warning',
    code: 'ROOT_TOKEN_FALLBACK',
    text: `${service.name} logs in with a token made from the root token (policy ${service.role ?? service.name}, one hour), not with its AppRole.`,
    hint: `Unset ${fallbackVariable(service)} and VAULT_USE_ROOT_TOKEN, then run devstack up.`,
  });
}

function fallbackVariable(service: ServiceModel): string {
  return `${service.name.replaceAll('-', '_').toUpperCase()}_VAULT_USE_ROOT_TOKEN`;
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
  const login = await Promise.all(
    ['role-id', 'secret-id'].map(async (name) =>
      volumeFile(stack, service, name, await readPrivateFile(join(directory, name))),
    ),
  );
  // Whom the service trusts: Vault at its login, and the servers that it is a client of.
  const ca = usesTls(stack.model) ? stack.caBundle() : undefined;
  return ca === undefined ? login : [...login, volumeFile(stack, service, 'ca.pem', ca)];
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
  return volumeFile(stack, service, 'token', token);
}

function volumeFile(stack: Stack, service: ServiceModel, path: string, content: string | Secret): VolumeFile {
  const owner = service.uid ?? 0;
  return { volume: volumeName(stack, service.name), path, content, mode: 0o600, uid: owner, gid: owner };
}

function fingerprintOf(files: readonly VolumeFile[]): string {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file.path}\0${String(file.uid)}\0`)
      .update(isSecret(file.content) ? file.content.reveal() : file.content);
  return hash.digest('hex');
}
