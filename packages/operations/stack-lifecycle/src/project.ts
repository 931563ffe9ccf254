import { existsSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { basename, join } from 'node:path';
import { acquireLease, ensurePrivateDirectory, writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { StackErrorCode } from './errors.ts';

/** One checkout's stack: its name, addresses and folders. Two checkouts never share any of them. */
export interface Project {
  /** Compose project name, prefix of every container, network and volume. */
  readonly id: string;
  /** The checkout. */
  readonly root: string;
  /** Private folder (0700) with Vault's keys, AppRole files and state. */
  readonly configDirectory: string;
  /** First two octets of the project's networks, e.g. `172.20`. */
  readonly subnetPrefix: string;
  /** Added to every default host port. */
  readonly portOffset: number;
  /** True when this call chose and recorded the project. */
  readonly isNew: boolean;
}

interface ProjectRecord {
  readonly root: string;
  readonly subnetPrefix: string;
  readonly portOffset: number;
  readonly created: string;
}

interface ProjectRegistry {
  readonly version: 1;
  readonly projects: Readonly<Record<string, ProjectRecord>>;
}

/** Where to look and what was asked for by name. */
export interface ResolveProjectOptions {
  readonly root: string;
  /** Folder of all projects, e.g. `~/.config/devstack`. */
  readonly configHome: string;
  /** An explicit project id (`DEVSTACK_PROJECT`). */
  readonly id?: string | undefined;
  /** An explicit prefix (`DEVSTACK_SUBNET_PREFIX`); it is recorded for a new project. */
  readonly subnetPrefix?: string | undefined;
  /** An explicit port offset (`DEVSTACK_PORT_OFFSET`); it is recorded for a new project. */
  readonly portOffset?: number | undefined;
  /** Subnets (`a.b.c.d/n`) in use by others, e.g. by Docker networks; the machine's own addresses are always avoided. */
  readonly usedSubnets?: () => Promise<readonly string[]>;
  readonly now?: () => Date;
}

const portStep = 100;
// A multiple of the step that would put one service's port on another's (5432 + 1000 = 6432) is never used.
const portBlocks = 9;

/**
 * Finds the project of a checkout, or chooses a free name, subnet prefix and port block and records them in
 * `<configHome>/projects.json`. Throws PROJECT_INVALID, NO_FREE_SUBNET, LEASE_HELD.
 */
export async function resolveProject(options: ResolveProjectOptions): Promise<Project> {
  const root = realpathSync(options.root);
  if (options.id !== undefined) assertProjectId(options.id);
  if (options.subnetPrefix !== undefined) assertSubnetPrefix(options.subnetPrefix);
  const known = findProject(await readRegistry(options.configHome), root, options.id);
  if (known !== undefined) return toProject(known, options, false);

  await ensurePrivateDirectory(options.configHome);
  await using _lease = await acquireLease({
    path: join(options.configHome, 'projects.lock'),
    owner: 'project allocation',
    waitMs: 10_000,
  });
  const registry = await readRegistry(options.configHome);
  const raced = findProject(registry, root, options.id);
  if (raced !== undefined) return toProject(raced, options, false);

  const id = options.id ?? freeId(registry, root);
  const record: ProjectRecord = {
    root,
    subnetPrefix: options.subnetPrefix ?? (await freePrefix(registry, options)),
    portOffset: options.portOffset ?? freePortOffset(registry),
    created: (options.now?.() ?? new Date()).toISOString(),
  };
  await ensurePrivateDirectory(join(options.configHome, id));
  const next: ProjectRegistry = { version: 1, projects: { ...registry.projects, [id]: record } };
  await writeFileDurable(registryPath(options.configHome), `${JSON.stringify(next, null, 2)}\n`);
  return toProject([id, record], options, true);
}

/** Every recorded project, for `doctor` and for a list of stacks. */
export async function listProjects(configHome: string): Promise<readonly Project[]> {
  const registry = await readRegistry(configHome);
  return Object.entries(registry.projects).map((entry) => toProject(entry, { root: entry[1].root, configHome }, false));
}

/** Removes a project's record; its folder and data are the caller's to remove. */
export async function forgetProject(configHome: string, id: string): Promise<void> {
  await using _lease = await acquireLease({
    path: join(configHome, 'projects.lock'),
    owner: 'project removal',
    waitMs: 10_000,
  });
  const registry = await readRegistry(configHome);
  const projects = Object.fromEntries(Object.entries(registry.projects).filter(([name]) => name !== id));
  await writeFileDurable(registryPath(configHome), `${JSON.stringify({ version: 1, projects }, null, 2)}\n`);
}

function registryPath(configHome: string): string {
  return join(configHome, 'projects.json');
}

async function readRegistry(configHome: string): Promise<ProjectRegistry> {
  const path = registryPath(configHome);
  if (!existsSync(path)) return { version: 1, projects: {} };
  try {
    const parsed = JSON.parse(await readFile(path, 'utf8')) as ProjectRegistry;
    if (typeof parsed.projects === 'object') return parsed;
  } catch (cause) {
    throw damagedRegistry(path, cause);
  }
  throw damagedRegistry(path);
}

function damagedRegistry(path: string, cause?: unknown): DevstackError {
  return new DevstackError({
    code: StackErrorCode.projectInvalid,
    message: `${path} is not a readable list of projects.`,
    hint: 'Move it away: projects that are given again with DEVSTACK_PROJECT keep their folder and data.',
    cause,
  });
}

function findProject(
  registry: ProjectRegistry,
  root: string,
  id: string | undefined,
): [string, ProjectRecord] | undefined {
  return Object.entries(registry.projects).find(([name, record]) =>
    id === undefined ? record.root === root : name === id,
  );
}

function toProject([id, record]: [string, ProjectRecord], options: ResolveProjectOptions, isNew: boolean): Project {
  return {
    id,
    root: options.root,
    configDirectory: join(options.configHome, id),
    subnetPrefix: options.subnetPrefix ?? record.subnetPrefix,
    portOffset: options.portOffset ?? record.portOffset,
    isNew,
  };
}

function assertProjectId(id: string): void {
  if (/^[a-z0-9][a-z0-9-]{0,30}$/.test(id)) return;
  throw new DevstackError({
    code: StackErrorCode.projectInvalid,
    message: `DEVSTACK_PROJECT is ${JSON.stringify(id)}, which cannot name containers.`,
    hint: 'Use lower-case letters, digits and hyphens, at most 31, starting with a letter or digit.',
    details: { usage: true },
  });
}

// Private addresses alone: a stack on those of others would hide them from this machine.
function assertSubnetPrefix(prefix: string): void {
  if (/^(?:10\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])|172\.(?:1[6-9]|2\d|3[01])|192\.168)$/.test(prefix)) return;
  throw new DevstackError({
    code: StackErrorCode.projectInvalid,
    message: `DEVSTACK_SUBNET_PREFIX is ${JSON.stringify(prefix)}.`,
    hint: 'Use the first two numbers of private addresses, e.g. 172.25 or 10.80.',
    details: { usage: true },
  });
}

function freeId(registry: ProjectRegistry, root: string): string {
  const plain = basename(root)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 16);
  const candidates = ['devstack', ...(plain === '' || plain === 'devstack' ? [] : [`devstack-${plain}`])];
  for (let n = 2; n < 1000; n += 1) candidates.push(`devstack-${String(n)}`);
  return candidates.find((id) => !(id in registry.projects)) ?? 'devstack';
}

function freePortOffset(registry: ProjectRegistry): number {
  const taken = new Set(Object.values(registry.projects).map((record) => record.portOffset));
  for (let block = 0; block <= portBlocks; block += 1) if (!taken.has(block * portStep)) return block * portStep;
  // Beyond that, blocks are far away from every default port.
  let offset = 20_000;
  while (taken.has(offset)) offset += portStep;
  return offset;
}

async function freePrefix(registry: ProjectRegistry, options: ResolveProjectOptions): Promise<string> {
  const recorded = new Set(Object.values(registry.projects).map((record) => record.subnetPrefix));
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((address) => address.address));
  const inUse = [...own, ...((await options.usedSubnets?.()) ?? [])].map(firstOctets);
  const candidates = [...range(20, 31).map((n) => `172.${String(n)}`), ...range(64, 127).map((n) => `10.${String(n)}`)];
  const free = candidates.find((prefix) => !recorded.has(prefix) && !inUse.includes(prefix));
  if (free !== undefined) return free;
  throw new DevstackError({
    code: StackErrorCode.noFreeSubnet,
    message: 'No private subnet prefix is free for this project.',
    hint: 'Remove unused Docker networks (docker network prune), or name one with DEVSTACK_SUBNET_PREFIX.',
  });
}

function firstOctets(address: string): string {
  return address.split('.').slice(0, 2).join('.');
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
