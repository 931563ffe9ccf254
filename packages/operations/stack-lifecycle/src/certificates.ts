import { randomBytes, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createRoot,
  issueFromRoot,
  needsRenewal,
  openRoot,
  type PkiRole,
  type RootAuthority,
} from '@devstack-core/certificates';
import type { ComposeModel } from '@devstack-core/compose-project';
import { ensurePrivateDirectory, readPrivateFile, writeFileDurable } from '@devstack-core/durable-files';
import { isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import type { Stack } from './stack.ts';
import type { StepOutcome } from './steps.ts';
import { tlsModeOf, usesTls } from './tls.ts';

const writerImage = 'devstack/base:local';

/** Opens the project's root authority, which is made where there is none. Its key is encrypted with a passphrase of the same private folder. */
export async function stackRoot(stack: Stack): Promise<RootAuthority> {
  const directory = stack.directories.certificates;
  await ensurePrivateDirectory(directory);
  const passphrase = (): Promise<Secret> => readPassphrase(directory);
  try {
    return await openRoot({ directory, passphrase });
  } catch (error) {
    if (!isDevstackError(error, 'ROOT_MISSING')) throw error;
    return createRoot({
      directory,
      passphrase: await makePassphrase(directory),
      ...rootName(stack),
    });
  }
}

/** What a root of this project is called. */
export function rootName(stack: Stack): { readonly organization: string; readonly commonName: string } {
  return { organization: 'DevStack', commonName: `DevStack root CA (${stack.project.id})` };
}

/**
 * Before Vault starts: the root, and Vault's own listener certificate, which no Vault can issue. Both are made once; the certificate
 * again when it is due or another root signs.
 */
export async function ensureCertificates(stack: Stack): Promise<StepOutcome> {
  if (!usesTls(stack.model)) return { changed: false, detail: 'TLS is off', value: undefined };
  const root = await stackRoot(stack);
  if (tlsModeOf(stack.model.service('vault')) === 'false') {
    return { changed: false, detail: `root ${root.id}`, value: undefined };
  }
  const { changed } = await renewVaultCertificate(stack, { force: false });
  const detail = `root ${root.id}${changed ? ", Vault's certificate delivered" : ''}`;
  return { changed, detail, value: undefined };
}

/**
 * Issues Vault's listener certificate where it is due, delivers it as one file, so that a new key never stands beside an old certificate,
 * and has a running Vault read it. What is kept here says that all of this was done: killed before, the next call begins anew.
 */
export async function renewVaultCertificate(
  stack: Stack,
  { force }: { readonly force: boolean },
): Promise<{ readonly changed: boolean; readonly serial: string; readonly notAfter: Date }> {
  const root = await stackRoot(stack);
  const path = join(stack.directories.certificates, 'vault-server.pem');
  const engine = await stack.engine();
  const volume = stack.model.volumeName('vault-tls');
  const present = (await engine.listVolumes({ project: stack.project.id })).some(({ name }) => name === volume);
  const current = force ? undefined : await readServerPem(path, root);
  const pem = current ?? (await issueVaultCertificate(root));
  const certificate = new X509Certificate(pem.reveal());
  const result = { serial: certificate.serialNumber, notAfter: certificate.validToDate };
  if (present && current !== undefined) return { changed: false, ...result };

  await engine.ensureVolume({
    name: volume,
    labels: { 'com.docker.compose.project': stack.project.id, 'com.docker.compose.volume': 'vault-tls' },
  });
  const uid = stack.model.service('vault').uid ?? 0;
  await engine.writeVolumeFiles({
    image: writerImage,
    files: [{ volume, path: 'server.pem', content: pem, mode: 0o600, uid, gid: uid }],
    labels: { 'com.docker.compose.project': stack.project.id },
  });
  // One that does not run reads it at its start.
  const containers = await engine.listContainers({ project: stack.project.id });
  const running = containers.find(({ service, state }) => service === 'vault' && state === 'running');
  if (running !== undefined) await engine.killContainer(running.id, 'SIGHUP');
  await writeFileDurable(path, pem);
  return { changed: true, ...result };
}

async function issueVaultCertificate(root: RootAuthority): Promise<Secret> {
  const leaf = await issueFromRoot({
    root,
    commonName: 'vault',
    dnsNames: ['vault', 'localhost'],
    ipAddresses: ['127.0.0.1'],
  });
  return new Secret(`${leaf.certificatePem}${leaf.chainPem}${leaf.privateKey.reveal()}`);
}

/** What was issued, while it is good: by a root that is trusted, and not due. */
async function readServerPem(path: string, root: RootAuthority): Promise<Secret | undefined> {
  const pem = await readPrivateFile(path).catch(() => undefined);
  if (pem === undefined) return undefined;
  const certificate = parse(pem);
  // A damaged one is made anew.
  if (certificate === undefined) return undefined;
  const signer = new X509Certificate(root.certificatePem);
  const lifetime = { notBefore: certificate.validFromDate, notAfter: certificate.validToDate };
  return certificate.verify(signer.publicKey) && !needsRenewal(lifetime, new Date()) ? pem : undefined;
}

function parse(pem: Secret): X509Certificate | undefined {
  try {
    return new X509Certificate(pem.reveal());
  } catch {
    return undefined;
  }
}

/** What each Vault role may have a certificate for: the names of the services that log in with it. Nodes of one cluster are each other's clients. */
export function pkiRolesOf(model: ComposeModel): readonly PkiRole[] {
  const roles = new Map<string, { dnsNames: string[]; client: boolean }>();
  for (const service of model.services) {
    if (service.role === undefined || tlsModeOf(service) === 'false') continue;
    const role = roles.get(service.role) ?? { dnsNames: [], client: false };
    role.dnsNames.push(service.name);
    role.client ||= service.protocol === 'redis-cluster';
    roles.set(service.role, role);
  }
  return [...roles].map(([name, role]) => ({ name, ...role }));
}

/** What opens the root's key. */
export async function readPassphrase(directory: string): Promise<Secret> {
  const text = (await readPrivateFile(join(directory, 'passphrase'))).reveal();
  return new Secret(text.trim());
}

// A folder with a passphrase and no root is what a killed first start leaves: the same one is used.
async function makePassphrase(directory: string): Promise<Secret> {
  const path = join(directory, 'passphrase');
  const exists = await readFile(path).then(
    () => true,
    () => false,
  );
  if (!exists) await writeFileDurable(path, `${randomBytes(32).toString('base64url')}\n`);
  return readPassphrase(directory);
}
