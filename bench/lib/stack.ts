import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { output, quietly } from './measure.ts';

const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
const cli = join(root, 'apps/devstack-cli/bin.js');
const defaultPorts = [
  ...[8200, 5432, 6432, 6379, 6380, 6381, 3306, 27_017, 5672, 15_672, 3000, 2222, 8080],
  ...[8210, 6390, 6391, 6392, 27_018, 5671, 15_671, 3443, 8443],
];

/**
 * A stack of its own for a bench: own name, ports, networks and folder, nothing of the user's. It is reset at the end, after a failure and
 * when the bench is interrupted.
 */
export class BenchStack implements AsyncDisposable {
  readonly project: string;
  readonly configHome: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #onSignal = (): void => {
    void this[Symbol.asyncDispose]().finally(() => process.exit(130));
  };
  #gone: Promise<void> | undefined;

  private constructor(project: string, configHome: string, portOffset: number, subnetPrefix: string) {
    this.project = project;
    this.configHome = configHome;
    this.env = {
      ...ownEnvironment(),
      DEVSTACK_CONFIG_HOME: configHome,
      DEVSTACK_PROJECT: project,
      DEVSTACK_PORT_OFFSET: String(portOffset),
      DEVSTACK_SUBNET_PREFIX: subnetPrefix,
    };
    process.once('SIGINT', this.#onSignal);
    process.once('SIGTERM', this.#onSignal);
  }

  static async create(): Promise<BenchStack> {
    const configHome = await mkdtemp(join(tmpdir(), 'devstack-bench-'));
    const project = `bench-${randomBytes(3).toString('hex')}`;
    return new BenchStack(project, configHome, await freePortOffset(), await freeSubnetPrefix());
  }

  /** The command line of this checkout, on this stack; rejects with what it said when it fails. */
  async devstack(...args: readonly string[]): Promise<void> {
    await quietly(process.execPath, [cli, ...args], { cwd: root, env: this.env });
  }

  /** What it prints. */
  async devstackOutput(...args: readonly string[]): Promise<string> {
    return output(process.execPath, [cli, ...args], { cwd: root, env: this.env });
  }

  get envFile(): string {
    return join(this.configHome, this.project, 'compose.env');
  }

  /** Plain docker compose on the same project. */
  async compose(...args: readonly string[]): Promise<void> {
    const files = ['--env-file', this.envFile, '-f', 'infrastructure/compose/compose.yaml', '-p', this.project];
    await quietly('docker', ['compose', ...files, ...args], { cwd: root });
  }

  /** Ids and start times of all containers of the project: equal before and after means that none was touched. */
  async containers(): Promise<string> {
    return containersOf(this.project);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#gone ??= this.#remove());
  }

  async #remove(): Promise<void> {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
    await this.devstack('reset', '--yes', '--no-backup').catch(async (error: unknown) => {
      process.stderr.write(
        `The bench's stack ${this.project} could not be reset, so docker removes it: ${String(error)}\n`,
      );
      await removeByLabel(this.project);
    });
    await rm(this.configHome, { recursive: true, force: true });
  }
}

/**
 * The peer of `up` from stopped: the same services of the same compose file with the same images, limits, networks and published ports, but
 * with static credentials and the server as entry point (bench/peers/minimal.yaml). It takes the images from a stack's own env file.
 */
export class PeerStack implements AsyncDisposable {
  readonly project = `bench-peer-${randomBytes(3).toString('hex')}`;
  readonly #args: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #gone: Promise<void> | undefined;
  readonly #onSignal = (): void => {
    void this[Symbol.asyncDispose]().finally(() => process.exit(130));
  };

  private constructor(envFile: string, env: Readonly<Record<string, string>>) {
    const files = ['-f', 'infrastructure/compose/minimal.yaml', '-f', 'bench/peers/minimal.yaml'];
    this.#args = ['compose', '--env-file', envFile, ...files, '-p', this.project, '--profile', 'minimal'];
    this.#env = env;
    process.once('SIGINT', this.#onSignal);
    process.once('SIGTERM', this.#onSignal);
  }

  /** `interval`: between two health checks of a container, which is all that compose has to wait by. */
  static async create(stack: BenchStack, interval: string): Promise<PeerStack> {
    const settings = parseEnv(await readFile(stack.envFile, 'utf8'));
    const ports = Object.entries(settings).filter(([name]) => /^DEVSTACK_[A-Z0-9_]+_PORT$/.test(name));
    const shift = (await freePortOffset()) - Number(stack.env['DEVSTACK_PORT_OFFSET']);
    return new PeerStack(stack.envFile, {
      ...ownEnvironment(),
      ...Object.fromEntries(ports.map(([name, port]) => [name, String(Number(port) + shift)])),
      DEVSTACK_PROJECT: '',
      DEVSTACK_SUBNET_PREFIX: await freeSubnetPrefix(),
      PEER_INTERVAL: interval,
    });
  }

  async compose(...args: readonly string[]): Promise<void> {
    await quietly('docker', [...this.#args, ...args], { cwd: root, env: this.#env });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#gone ??= this.#remove());
  }

  async #remove(): Promise<void> {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
    await this.compose('down', '--volumes', '--timeout', '5').catch((error: unknown) => {
      process.stderr.write(`The peer ${this.project} could not be removed: ${String(error)}\n`);
    });
  }
}

async function containersOf(project: string): Promise<string> {
  const label = `label=com.docker.compose.project=${project}`;
  const ids = (await output('docker', ['ps', '-aq', '--no-trunc', '--filter', label])).trim().split('\n').toSorted();
  return output('docker', ['inspect', '--format', '{{.Name}} {{.Id}} {{.State.StartedAt}}', ...ids]);
}

// Where the command line itself is broken (or being built), what it started still goes away.
async function removeByLabel(project: string): Promise<void> {
  const script = [
    'label="label=com.docker.compose.project=$0"',
    'docker ps -aq --filter "$label" | xargs -r docker rm -f -v',
    'docker volume ls -q --filter "$label" | xargs -r docker volume rm -f',
    'docker network ls -q --filter "$label" | xargs -r docker network rm',
  ];
  await quietly('sh', ['-c', script.join('\n'), project]).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
  });
}

// The user's own settings would move the bench's stack.
function ownEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(DEVSTACK_|VAULT_)|_VAULT_USE_ROOT_TOKEN$/.test(name));
  return Object.fromEntries(kept.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

async function freePortOffset(): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    // Below the range that the kernel gives to outgoing connections as far as the highest default port allows.
    const offset = 10_100 + 100 * Math.floor(Math.random() * 200);
    const ports = defaultPorts.map((port) => port + offset);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return offset;
  }
  throw new Error('No block of free ports was found for the bench.');
}

async function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => {
    resolve(false);
  });
  server.listen(port, '127.0.0.1', () => {
    server.close(() => {
      resolve(true);
    });
  });
  return promise;
}

async function freeSubnetPrefix(): Promise<string> {
  const ids = (await output('docker', ['network', 'ls', '-q'])).trim().split('\n');
  const used = await output('docker', [
    'network',
    'inspect',
    '--format',
    '{{range .IPAM.Config}}{{.Subnet}} {{end}}',
    ...ids,
  ]);
  for (let tries = 0; tries < 200; tries += 1) {
    const prefix = `10.${String(130 + Math.floor(Math.random() * 100))}`;
    if (!used.includes(`${prefix}.`)) return prefix;
  }
  throw new Error('No free subnet was found for the peer.');
}
