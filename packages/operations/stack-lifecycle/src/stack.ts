import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createCompose,
  loadComposeProject,
  type Compose,
  type ComposeModel,
  type ServiceModel,
} from '@devstack-core/compose-project';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { ensurePrivateDirectory, writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { StackErrorCode } from './errors.ts';
import { imageVariables } from './images.ts';
import { composeFilesOf, networkMode } from './networks.ts';
import { resolveProject, type Project } from './project.ts';
import { readCaBundle, tlsModeOf } from './tls.ts';

/** A checkout's stack, opened: its data, and lazily its connections. Everything in this package takes one. */
export interface Stack {
  readonly project: Project;
  readonly model: ComposeModel;
  readonly compose: Compose;
  /** What compose interpolates with: project, prefix, ports, images and the user's own settings. No secret is among them. */
  readonly env: Readonly<Record<string, string>>;
  /** Where each setting comes from: `.env`, `environment`, `project record`, `image inputs`; anything else is a default. */
  readonly origins: Readonly<Record<string, string>>;
  readonly directories: StackDirectories;
  /** Vault as this machine reaches it. */
  readonly vaultAddress: string;
  engine(): Promise<DockerEngine>;
  vault(token?: Secret): VaultClient;
  /** The roots that this machine trusts the stack's services by; nothing before the first start with TLS. */
  caBundle(): string | undefined;
}

/** The private folders of a project, below its configuration directory. */
export interface StackDirectories {
  readonly vault: string;
  readonly approles: string;
  /** The root authority and Vault's own certificate. */
  readonly certificates: string;
  readonly state: string;
  readonly policies: string;
}

/** What `openStack` needs to know. */
export interface OpenStackOptions {
  readonly root: string;
  readonly configHome: string;
  /** The caller's environment; only settings of this project are taken from it. `<root>/.env` comes below it. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const settings =
  /^(DEVSTACK_[A-Z0-9_]+|VAULT_(?:USE_APPROLE|USE_ROOT_TOKEN)|[A-Z0-9_]+_VAULT_USE_ROOT_TOKEN|[A-Z0-9_]+_ENABLE_TLS|REFERENCE_API_LOG_LEVEL)$/;

/** Reads the compose files, finds or allocates the project and writes `compose.env`. Touches no container. */
export async function openStack(options: OpenStackOptions): Promise<Stack> {
  const dotEnv = await readDotEnv(options.root);
  const environment = pickSettings(options.env);
  const user = { ...dotEnv, ...environment };
  let engine: Promise<DockerEngine> | undefined;
  const openEngine = (): Promise<DockerEngine> =>
    (engine ??= import('@devstack-core/docker-engine').then(({ connectDocker }) =>
      connectDocker({ env: options.env }),
    ));
  const project = await resolveProject({
    root: options.root,
    configHome: options.configHome,
    id: user['DEVSTACK_PROJECT'],
    subnetPrefix: user['DEVSTACK_SUBNET_PREFIX'],
    portOffset: portOffset(user['DEVSTACK_PORT_OFFSET']),
    usedSubnets: async () => (await (await openEngine()).listNetworks()).flatMap((network) => network.subnets),
  });
  const composeFiles = composeFilesOf(networkMode(user));
  const files = composeFiles.map((file) => join(options.root, file));
  const base: Record<string, string> = {
    DEVSTACK_ROOT: options.root,
    DEVSTACK_CA_BUNDLE: caBundle(options.env),
    ...user,
    DEVSTACK_PROJECT: project.id,
    DEVSTACK_SUBNET_PREFIX: project.subnetPrefix,
  };
  const defaults = await loadComposeProject({ files, env: base });
  const images = await imageVariables(options.root, defaults, base);
  const ports = portVariables(defaults, project, user);
  const env = { ...images, ...ports, ...base, DEVSTACK_VAULT_ADDR: vaultAddressInside(defaults) };
  const origins = {
    ...fromAll(images, 'image inputs'),
    ...fromAll({ ...ports, ...base }, 'project record'),
    ...fromAll(dotEnv, '.env'),
    ...fromAll(environment, 'environment'),
  };
  const model = await loadComposeProject({ files, env });
  const envFile = await writeComposeEnv(project, env, composeFiles);
  const compose = createCompose({
    files,
    projectName: project.id,
    projectDirectory: join(options.root, 'infrastructure/compose'),
    env,
    envFile,
  });
  const certificates = join(project.configDirectory, 'certificates');
  const caBundleOf = (): string | undefined => readCaBundle(certificates);
  const vaultAddress =
    tlsModeOf(model.service('vault')) === 'false'
      ? `http://127.0.0.1:${String(hostPort(model, 'vault'))}`
      : `https://127.0.0.1:${String(hostPort(model, 'vault', 'api-tls'))}`;
  return {
    project,
    model,
    compose,
    env,
    origins,
    vaultAddress,
    directories: {
      vault: join(project.configDirectory, 'vault'),
      approles: join(project.configDirectory, 'approles'),
      certificates,
      state: join(project.configDirectory, 'state'),
      policies: join(options.root, 'configs/vault/policies'),
    },
    engine: openEngine,
    caBundle: caBundleOf,
    vault: (token) => {
      const ca = vaultAddress.startsWith('https:') ? caBundleOf() : undefined;
      return createVaultClient({
        address: vaultAddress,
        ...(token === undefined ? {} : { token }),
        ...(ca === undefined ? {} : { ca }),
      });
    },
  };
}

// As the stack's own networks know it; its TLS has a port of its own.
function vaultAddressInside(model: ComposeModel): string {
  return tlsModeOf(model.service('vault')) === 'false' ? 'http://vault:8200' : 'https://vault:8210';
}

function portOffset(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const offset = Number(text);
  // The highest default port is RabbitMQ's and MongoDB's neighbourhood, 27017.
  if (Number.isInteger(offset) && offset >= 0 && offset <= 38_000) return offset;
  throw new DevstackError({
    code: StackErrorCode.projectInvalid,
    message: `DEVSTACK_PORT_OFFSET is ${JSON.stringify(text)}.`,
    hint: 'Use a whole number from 0 to 38000.',
    details: { usage: true },
  });
}

/** The host port of a service (its first, or the named one). */
export function hostPort(model: ComposeModel, service: string, name?: string): number {
  const ports = model.service(service).ports;
  const port = name === undefined ? ports[0] : ports.find((candidate) => candidate.name === name);
  if (port !== undefined) return port.hostPort;
  throw new DevstackError({
    code: StackErrorCode.unknownService,
    message: `${service} publishes no port${name === undefined ? '' : ` named ${name}`}.`,
  });
}

/** The services of a profile, or the named ones; throws UNKNOWN_SERVICE or UNKNOWN_PROFILE with what would have fitted. */
export function selectServices(
  model: ComposeModel,
  selection: { profile?: string | undefined; services?: readonly string[] | undefined },
): readonly ServiceModel[] {
  const named = selection.services ?? [];
  if (named.length > 0) return named.map((name) => model.service(name));
  return model.servicesOf(selection.profile ?? 'standard');
}

function fromAll(settings: Readonly<Record<string, string>>, origin: string): Record<string, string> {
  return Object.fromEntries(Object.keys(settings).map((name) => [name, origin]));
}

async function readDotEnv(root: string): Promise<Record<string, string>> {
  const path = join(root, '.env');
  if (!existsSync(path)) return {};
  const { parseEnv } = await import('node:util');
  return pickSettings(parseEnv(await readFile(path, 'utf8')));
}

/** Whether a variable is a setting of a stack: one of those that `.env.example` explains. */
export function isSetting(name: string): boolean {
  return settings.test(name);
}

function pickSettings(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && value !== '' && isSetting(name)) picked[name] = switchValue(name, value);
  return picked;
}

// The containers read these as well and take nothing else: a `yes` would look like off here and like a mistake there.
const switches = /^VAULT_USE_APPROLE$|(?:^|_)VAULT_USE_ROOT_TOKEN$/;
const tlsSwitches = /^DEVSTACK_TLS$|_ENABLE_TLS$/;

function switchValue(name: string, value: string): string {
  const allowed = switches.test(name)
    ? ['true', 'false']
    : tlsSwitches.test(name)
      ? ['true', 'false', 'required']
      : undefined;
  if (allowed === undefined || allowed.includes(value)) return value;
  throw new DevstackError({
    code: StackErrorCode.projectInvalid,
    message: `${name} is ${JSON.stringify(value)}.`,
    hint: `Write ${allowed.map((one) => `${name}=${one}`).join(' or ')}, or leave it out.`,
    details: { usage: true },
  });
}

function portVariables(
  model: ComposeModel,
  project: Project,
  user: Readonly<Record<string, string>>,
): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const port of model.services.flatMap((service) => service.ports)) {
    if (port.variable !== undefined && user[port.variable] === undefined)
      variables[port.variable] = String(port.hostPort + project.portOffset);
  }
  return variables;
}

// Networks that re-sign TLS are trusted inside image builds through the machine's own bundle.
function caBundle(env: Readonly<Record<string, string | undefined>>): string {
  const candidates = [
    env['DEVSTACK_CA_BUNDLE'],
    env['SSL_CERT_FILE'],
    env['NODE_EXTRA_CA_CERTS'],
    '/etc/ssl/certs/ca-certificates.crt',
  ];
  return candidates.find((path) => path !== undefined && existsSync(path)) ?? '/dev/null';
}

async function writeComposeEnv(
  project: Project,
  env: Readonly<Record<string, string>>,
  composeFiles: readonly string[],
): Promise<string> {
  const path = join(project.configDirectory, 'compose.env');
  const lines = Object.entries(env)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}='${value.replaceAll("'", String.raw`\'`)}'`);
  const text = `# Written by devstack; lets plain docker compose see the same stack: docker compose --env-file this-file -f ${composeFiles.join(' -f ')}\n${lines.join('\n')}\n`;
  if ((await readFile(path, 'utf8').catch(() => '')) === text) return path;
  await ensurePrivateDirectory(project.configDirectory);
  await writeFileDurable(path, text);
  return path;
}
