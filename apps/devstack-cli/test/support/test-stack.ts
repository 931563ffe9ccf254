import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { describeResult, devstack, requireBuild, type CliOptions, type CliResult } from './cli.ts';
import { dockerLines } from './programs.ts';
import { publishedProblem } from './published-schema.ts';

/** A stack of its own beside whatever else runs here: name, ports, subnets and folders. */
export interface TestStack {
  readonly project: string;
  readonly configHome: string;
  /** `<configHome>/<project>`. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Every finished command, for the search for leaks. */
  readonly history: CliResult[];
  port(standard: number): number;
  /** First two octets of its networks, once it was opened. */
  subnetPrefix(): string;
  run(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** As `run`; any other exit code fails the test. */
  expectRun(exitCode: number, args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** Runs with `--json` and returns the document, which must be as the published schema says. */
  json<T = Record<string, unknown>>(
    args: readonly string[],
    options?: CliOptions & { readonly exitCode?: number },
  ): Promise<T>;
  /** What Docker still has of it, in words. */
  leftovers(): Promise<readonly string[]>;
  /** `devstack reset --yes --no-backup`, and then proof that nothing is left. */
  remove(): Promise<void>;
}

const plainPorts = [2222, 3000, 3306, 5432, 5672, 6379, 6380, 6381, 6432, 8080, 8200, 15_672, 27_017];
const tlsPorts = [3443, 5671, 6390, 6391, 6392, 8210, 8443, 15_671, 27_018];
const standardPorts = [...plainPorts, ...tlsPorts];

/** Makes the folder and finds ports; starts nothing. A watcher removes the stack if this process dies, however it does. */
export async function createTestStack(extra: Readonly<Record<string, string>> = {}): Promise<TestStack> {
  requireBuild();
  const project = extra['DEVSTACK_PROJECT'] ?? `e2e-${randomBytes(4).toString('hex')}`;
  const given = extra['DEVSTACK_CONFIG_HOME'];
  const configHome = given ?? (await mkdtemp(join(tmpdir(), 'devstack-e2e-')));
  const offset = await freePortOffset();
  const env = {
    DEVSTACK_CONFIG_HOME: configHome,
    DEVSTACK_PROJECT: project,
    DEVSTACK_PORT_OFFSET: String(offset),
    // A checkout that is given chooses by itself.
    ...(extra['DEVSTACK_ROOT'] === undefined ? { DEVSTACK_SUBNET_PREFIX: freePrefix() } : {}),
    NO_COLOR: '1',
    ...extra,
  };
  // A folder that was given belongs to whoever gave it.
  const endWatch = watch(project, given === undefined ? configHome : '');
  const history: CliResult[] = [];
  const run: TestStack['run'] = async (args, options = {}) => {
    const result = await devstack(args, { ...options, env: { ...env, ...options.env } });
    history.push(result);
    return result;
  };
  const leftovers: TestStack['leftovers'] = async () => {
    const label = `label=com.docker.compose.project=${project}`;
    const found = await Promise.all([
      dockerLines('ps', '--all', '--filter', label, '--format', 'container {{.Names}} ({{.Status}})'),
      dockerLines('volume', 'ls', '--filter', label, '--format', 'volume {{.Name}}'),
      dockerLines('network', 'ls', '--filter', label, '--format', 'network {{.Name}}'),
    ]);
    return found.flat();
  };
  const expectRun: TestStack['expectRun'] = async (exitCode, args, options) => {
    const result = await run(args, options);
    expect(result.exitCode, describeResult(result)).toBe(exitCode);
    return result;
  };
  return {
    project,
    configHome,
    folder: join(configHome, project),
    env,
    history,
    port: (standard) => standard + offset,
    subnetPrefix: () => {
      const { projects } = JSON.parse(readFileSync(join(configHome, 'projects.json'), 'utf8')) as {
        projects: Record<string, { subnetPrefix: string } | undefined>;
      };
      return projects[project]?.subnetPrefix ?? '';
    },
    run,
    expectRun,
    json: async <T>(
      args: readonly string[],
      { exitCode = 0, ...options }: CliOptions & { readonly exitCode?: number } = {},
    ) => {
      const result = await expectRun(exitCode, [...args, '--json'], options);
      const document: unknown = JSON.parse(result.stdout);
      expect(publishedProblem(document), result.command).toBeUndefined();
      return document as T;
    },
    leftovers,
    remove: async () => {
      const result = await run(['reset', '--yes', '--no-backup']);
      const left = await leftovers();
      await endWatch();
      expect(result.exitCode, describeResult(result)).toBe(0);
      expect(left).toEqual([]);
      if (given === undefined) await rm(configHome, { recursive: true, force: true });
    },
  };
}

// Test files run beside each other: every worker has blocks of its own, so that none chooses what another is about to take. No two ports of
// a stack are three apart, whole hundreds aside.
const worker = Number(process.env['VITEST_POOL_ID'] ?? '0') % 4;

/**
 * An offset that puts every port of a stack on a free one, beyond the blocks that checkouts get by themselves, and below the ports that the
 * kernel lends to whoever connects to somewhere: of those, one may be gone when a stack is started again.
 */
export async function freePortOffset(first = 1000 + worker * 3): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const offset = first + randomInt(0, 45) * 100;
    const free = await Promise.all(standardPorts.map((port) => isFree(port + offset)));
    if (free.every(Boolean)) return offset;
  }
  throw new Error('No free block of ports was found in 50 tries.');
}

/** Beyond the prefixes that checkouts get by themselves. */
function freePrefix(): string {
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  for (;;) {
    const prefix = `10.${String(128 + randomInt(0, 31) * 4 + worker)}`;
    if (!own.some((address) => address.startsWith(`${prefix}.`))) return prefix;
  }
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => {
    resolve(false);
  });
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
    server.close(() => {
      resolve(true);
    });
  });
  return promise;
}

/**
 * Starts a process of its own session that holds the other end of a pipe. When the pipe closes without a word, this process was
 * killed or interrupted, and the watcher removes what it left. Returns how to send it home.
 */
function watch(project: string, configHome: string): () => Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('watcher.ts', import.meta.url)), project, configHome], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  return async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    child.once('close', () => {
      resolve(undefined);
    });
    child.stdin.end('removed');
    await promise;
  };
}
