import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { run, which, type RunOptions } from '@devstack-core/command-runner';
import { connectDocker, resolveEndpoint } from '@devstack-core/docker-engine';
import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { waysToStart, type EngineWay } from './docker-ways.ts';
import { DisasterRecoveryErrorCode } from './errors.ts';

export interface EngineStarterOptions {
  /** Where the docker client finds its engine: DOCKER_HOST, DOCKER_CONTEXT and the like; also PATH and HOME for what is started. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For the log of a dockerd that is started directly. */
  readonly logFile: string;
  /** For a dockerd that is started directly; its own file, /etc/docker/daemon.json, is the better place. */
  readonly dockerdArguments?: readonly string[];
  /** How long the engine may take until it answers; 120 s unless given. */
  readonly readyWithinMs?: number;
  readonly signal?: AbortSignal;
  /** Told what is being done. */
  readonly onProgress?: (message: string) => void;
  /** For tests: everything that depends on the machine. */
  readonly machine?: Partial<Machine>;
}

/** What the starter asks of the machine. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly isRoot: boolean;
  readonly hasSystemd: boolean;
  readonly exists: (path: string) => boolean;
  /** Rejects with DOCKER_UNREACHABLE while the engine does not answer. */
  readonly ping: () => Promise<void>;
}

/** What it took to have Docker running. */
export interface EngineStart {
  readonly way: 'running' | EngineWay['name'];
  /** One line each, for people. */
  readonly did: readonly string[];
  readonly seconds: number;
}

/**
 * Sees to it that the Docker engine of the context in use runs: by its service, by dockerd itself, by Colima, or by Docker Desktop.
 * Throws `ENGINE_REMOTE`, `ENGINE_NOT_STARTED` with what was tried, `DOCKER_PERMISSION_DENIED`, `DOCKER_CONTEXT_INVALID`, `INTERRUPTED`.
 */
export async function startDockerEngine(options: EngineStarterOptions): Promise<EngineStart> {
  const startedAt = performance.now();
  const machine = { ...thisMachine(options), ...options.machine };
  const endpoint = await resolveEndpoint({ env: options.env });
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  if (await answers(machine)) return { way: 'running', did: ['Docker was running'], seconds: seconds() };
  if (!/^(unix|npipe):/.test(endpoint.address)) throw remote(endpoint.address);
  const path = options.env['PATH'];
  const ways = await waysToStart(
    {
      ...machine,
      address: endpoint.address,
      context: endpoint.context,
      which: (program) => which(program, path === undefined ? {} : { path }),
    },
    { logFile: options.logFile, arguments: options.dockerdArguments ?? [] },
  );
  const tried: string[] = [];
  for (const way of ways) {
    options.onProgress?.(`starting Docker: ${way.argv.join(' ')}`);
    const problem = await attempt(way, machine, options);
    if (problem === undefined) {
      return { way: way.name, did: [...tried, `started Docker by ${described(way)}`], seconds: seconds() };
    }
    tried.push(`${described(way)}: ${problem}`);
  }
  throw notStarted(tried, options.logFile);
}

/** For people: the command, without what only the shell needs. */
function described({ name, argv }: EngineWay): string {
  return name === 'dockerd' ? 'dockerd' : argv.join(' ');
}

async function attempt(
  way: EngineWay,
  machine: Machine,
  { env, signal, readyWithinMs = 120_000 }: EngineStarterOptions,
): Promise<string | undefined> {
  try {
    const runOptions: RunOptions = {
      env: passedOn(env),
      inheritEnv: false,
      timeoutMs: readyWithinMs,
      ...(signal === undefined ? {} : { signal }),
    };
    await run(way.argv, runOptions);
  } catch (error) {
    if (isDevstackError(error, 'INTERRUPTED')) throw error;
    return error instanceof Error ? error.message : String(error);
  }
  const deadline = performance.now() + readyWithinMs;
  while (performance.now() < deadline) {
    const aborted = abortReason(signal, 'Starting Docker');
    if (aborted !== undefined) throw aborted;
    if (await answers(machine)) return undefined;
    await delay(200, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
  return `it did not answer within ${String(readyWithinMs / 1000)} s`;
}

const neededBelow =
  /^(PATH|HOME|USER|LOGNAME|LANG|TMPDIR|DOCKER_.*|XDG_.*|COLIMA_.*|LIMA_.*|DBUS_SESSION_BUS_ADDRESS|https?_proxy|no_proxy)$/i;

// The rest of an environment is nobody's business, and some of it is secret.
function passedOn(env: EngineStarterOptions['env']): EngineStarterOptions['env'] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => neededBelow.test(name)));
}

async function answers({ ping }: Machine): Promise<boolean> {
  try {
    await ping();
    return true;
  } catch (error) {
    // It runs then, and starting it again would not help.
    if (isDevstackError(error, 'DOCKER_PERMISSION_DENIED')) throw error;
    return false;
  }
}

function thisMachine({ env }: EngineStarterOptions): Machine {
  return {
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    hasSystemd: existsSync('/run/systemd/system'),
    exists: existsSync,
    ping: async () => {
      await using _docker = await connectDocker({ env });
    },
  };
}

function remote(address: string): DevstackError {
  return new DevstackError({
    code: DisasterRecoveryErrorCode.engineRemote,
    message: `Docker does not answer at ${address}, which is another machine.`,
    hint: 'Start Docker there, or choose a context of this machine: docker context ls',
    details: { address },
  });
}

function notStarted(tried: readonly string[], logFile: string): DevstackError {
  return new DevstackError({
    code: DisasterRecoveryErrorCode.engineNotStarted,
    message:
      tried.length === 0
        ? 'Docker does not run, and nothing that could start it was found (systemctl, service, dockerd, Colima, Docker Desktop).'
        : `Docker does not run, and it could not be started. ${tried.join('. ')}.`,
    hint: `Install or start Docker yourself, then run this again. The log of a dockerd that was started directly: ${logFile}`,
    details: { tried },
  });
}
