import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { isDevstackError } from '@devstack-core/errors';
import { health } from './health.ts';
import { imageStates } from './images.ts';
import { networkReport, networkWarning } from './networks.ts';
import { freeDiskBytes, takenPorts } from './preflight.ts';
import type { Stack } from './stack.ts';

/** One check: what was looked at, what was found, and what to do where it is not right. */
export interface DoctorCheck {
  readonly check: string;
  readonly status: 'pass' | 'warn' | 'fail';
  readonly finding: string;
  readonly fix: string | null;
  readonly durationMs: number;
}

/** Every check, in the order in which they should be mended. */
export interface DoctorReport {
  readonly healthy: boolean;
  readonly checks: readonly DoctorCheck[];
}

type Finding = Pick<DoctorCheck, 'status' | 'finding'> & { readonly fix?: string };

interface DoctorContext {
  /** Undefined when the stack itself could not be opened. */
  readonly stack: Stack | undefined;
  readonly openError: unknown;
  readonly now: () => Date;
}

const gib = 1024 ** 3;
const neededDiskBytes = 10 * gib;
const neededMemoryBytes = 4 * gib;

/**
 * Looks at everything that `up` depends on and, where the stack is up, does one real round trip through every service.
 * Checks never throw: what could not be looked at is a failed check.
 */
export async function doctor(
  open: () => Promise<Stack>,
  options: { readonly now?: () => Date; readonly onCheck?: (check: DoctorCheck) => void } = {},
): Promise<DoctorReport> {
  let stack: Stack | undefined;
  let openError: unknown;
  try {
    stack = await open();
  } catch (error) {
    openError = error;
  }
  const context: DoctorContext = { stack, openError, now: options.now ?? ((): Date => new Date()) };
  const checks: DoctorCheck[] = [];
  for (const [name, look] of doctorChecks) {
    const started = performance.now();
    const finding = await look(context).catch((error: unknown): Finding => failed(error));
    const check: DoctorCheck = {
      check: name,
      status: finding.status,
      finding: finding.finding,
      fix: finding.fix ?? null,
      durationMs: performance.now() - started,
    };
    checks.push(check);
    options.onCheck?.(check);
  }
  return { healthy: checks.every((check) => check.status !== 'fail'), checks };
}

const doctorChecks: readonly (readonly [string, (context: DoctorContext) => Promise<Finding>])[] = [
  ['Node', async () => checkNode()],
  [
    'Compose files',
    async ({ stack, openError }) =>
      stack === undefined
        ? failed(openError)
        : pass(`${String(stack.model.services.length)} services, project ${stack.project.id}`),
  ],
  ['Docker', checkDocker],
  ['Compose', checkCompose],
  ['Disk', checkDisk],
  ['Memory', async () => checkMemory()],
  ['Ports', checkPorts],
  ['Networks', checkNetworks],
  ['Images', checkImages],
  ['File modes', checkFileModes],
  ['Leftovers', checkLeftovers],
  ['Clock', checkClock],
  ['Vault', checkVault],
  ['Round trip', checkRoundTrip],
];

function checkNode(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  return major >= 24
    ? pass(`Node ${process.versions.node}`)
    : {
        status: 'fail',
        finding: `Node ${process.versions.node}`,
        fix: 'Node 24 or later is needed: run ./scripts/setup',
      };
}

async function checkDocker({ stack }: DoctorContext): Promise<Finding> {
  const engine = await withStack(stack).engine();
  const version = await engine.version();
  return pass(`engine ${version.version}, API ${version.apiVersion}, at ${engine.endpoint}`);
}

async function checkCompose({ stack }: DoctorContext): Promise<Finding> {
  return pass(`compose ${await withStack(stack).compose.version()}`);
}

async function checkDisk({ stack }: DoctorContext): Promise<Finding> {
  const { dockerRootDir } = await (await withStack(stack).engine()).info();
  const place = existsSync(dockerRootDir) ? dockerRootDir : withStack(stack).project.root;
  const free = await freeDiskBytes(place);
  const finding = `${(free / gib).toFixed(1)} GiB free in ${place}`;
  return free >= neededDiskBytes
    ? pass(finding)
    : { status: 'fail', finding, fix: '10 GiB are needed: docker system prune, or make room' };
}

function checkMemory(): Finding {
  const finding = `${(totalmem() / gib).toFixed(1)} GiB`;
  return totalmem() >= neededMemoryBytes
    ? pass(finding)
    : { status: 'warn', finding, fix: 'The standard profile wants 4 GiB: try devstack up --profile minimal' };
}

async function checkPorts({ stack }: DoctorContext): Promise<Finding> {
  const open = withStack(stack);
  const taken = await takenPorts(open, open.model.services, await (await open.engine()).listContainers({ all: false }));
  if (taken.length === 0)
    return pass(`${String(open.model.services.flatMap((service) => service.ports).length)} ports free or ours`);
  return {
    status: 'fail',
    finding: taken.map((port) => `${String(port.port)} (${port.service}) held by ${port.holder}`).join('; '),
    fix: `Stop the holder, or set ${taken.map((port) => port.variable ?? '').join(', ')} in .env`,
  };
}

async function checkNetworks({ stack }: DoctorContext): Promise<Finding> {
  const open = withStack(stack);
  const containers = await (await open.engine()).listContainers({ project: open.project.id, all: true });
  const warning = networkWarning(networkReport(open, containers));
  if (warning !== undefined) return { status: 'warn', finding: warning.text, fix: warning.hint };
  return pass(`separate: ${open.model.networks.map((network) => network.name).join(', ')}`);
}

async function checkImages({ stack }: DoctorContext): Promise<Finding> {
  const open = withStack(stack);
  const states = await imageStates(open, open.model.services);
  const missing = states.filter((state) => !state.present).map((state) => state.service);
  return missing.length === 0
    ? pass(`${String(states.length)} present`)
    : {
        status: 'warn',
        finding: `not made yet: ${missing.join(', ')}`,
        fix: 'devstack up makes them, or: devstack images build',
      };
}

async function checkFileModes({ stack }: DoctorContext): Promise<Finding> {
  const root = withStack(stack).project.configDirectory;
  if (!existsSync(root)) return pass('nothing written yet');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const open: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    // A certificate is for everybody to see; its key is not.
    if ((mode & 0o077) !== 0 && !entry.name.endsWith('.crt')) open.push(path);
  }
  return open.length === 0
    ? pass(`${String(entries.length)} private files and folders`)
    : { status: 'fail', finding: `readable by others: ${open.slice(0, 5).join(', ')}`, fix: `chmod -R go= ${root}` };
}

async function checkLeftovers({ stack }: DoctorContext): Promise<Finding> {
  const open = withStack(stack);
  const containers = await (await open.engine()).listContainers({ project: open.project.id, all: true });
  const odd = containers.filter(
    (container) =>
      container.state === 'created' ||
      container.state === 'dead' ||
      !open.model.services.some((service) => service.name === container.service),
  );
  const interrupted =
    existsSync(join(open.directories.state, 'up.journal')) &&
    (await stat(join(open.directories.state, 'up.journal'))).size > 0;
  if (odd.length === 0 && !interrupted) return pass('none');
  const parts = [
    ...odd.map((container) => `${container.name} (${container.state})`),
    ...(interrupted ? ['an up that did not finish'] : []),
  ];
  return { status: 'warn', finding: parts.join(', '), fix: 'devstack up finishes or replaces them' };
}

async function checkClock({ stack, now }: DoctorContext): Promise<Finding> {
  const { systemTime } = await (await withStack(stack).engine()).info();
  const skewS = Math.abs(Date.parse(systemTime) - now().getTime()) / 1000;
  return skewS < 30
    ? pass(`within ${skewS.toFixed(0)} s of the Docker host`)
    : {
        status: 'fail',
        finding: `${skewS.toFixed(0)} s apart from the Docker host`,
        fix: 'Tokens expire by the clock: synchronise it (timedatectl set-ntp true)',
      };
}

async function checkVault({ stack }: DoctorContext): Promise<Finding> {
  try {
    const state = await withStack(stack).vault().health({ deadlineMs: 0 });
    if (!state.initialized) return { status: 'warn', finding: 'not initialised', fix: 'devstack up' };
    return state.sealed
      ? { status: 'fail', finding: 'sealed', fix: 'devstack vault unseal' }
      : pass(`unsealed, version ${state.version}`);
  } catch (error) {
    if (isDevstackError(error, 'VAULT_UNREACHABLE'))
      return { status: 'warn', finding: 'not running', fix: 'devstack up' };
    throw error;
  }
}

async function checkRoundTrip({ stack }: DoctorContext): Promise<Finding> {
  const open = withStack(stack);
  const running = (await (await open.engine()).listContainers({ project: open.project.id })).filter(
    (container) => container.state === 'running',
  );
  const services = open.model.services.filter((service) =>
    running.some((container) => container.service === service.name),
  );
  if (services.length === 0) return { status: 'warn', finding: 'nothing is running', fix: 'devstack up' };
  const report = await health(open, services);
  const bad = report.services.filter((service) => !service.healthy);
  if (bad.length === 0) return pass(`${String(services.length)} services answered by protocol`);
  return {
    status: 'fail',
    finding: bad.map((service) => `${service.service}: ${service.reason ?? 'no answer'}`).join('; '),
    fix: bad[0]?.nextStep ?? 'devstack logs',
  };
}

function withStack(stack: Stack | undefined): Stack {
  if (stack === undefined) throw new Error('not looked at: the compose files could not be read');
  return stack;
}

function pass(finding: string): Finding {
  return { status: 'pass', finding };
}

function failed(error: unknown): Finding {
  if (isDevstackError(error))
    return { status: 'fail', finding: error.message, ...(error.hint === undefined ? {} : { fix: error.hint }) };
  return { status: 'fail', finding: error instanceof Error ? error.message : String(error) };
}
