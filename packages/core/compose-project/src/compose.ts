import { run, runInteractive, type OutputLine, type RunOptions, type RunResult } from '@devstack-core/command-runner';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { composeFailure } from './compose-failure.ts';
import { isRecord } from './cursor.ts';
import { ComposeProjectErrorCode } from './errors.ts';

/** Runs a program: `run` of command-runner, or a stand-in for tests. */
export type Runner = (argv: readonly [string, ...string[]], options?: RunOptions) => Promise<RunResult>;
/** Runs a program on the terminal: `runInteractive` of command-runner, or a stand-in for tests. */
export type InteractiveRunner = typeof runInteractive;

/** Which project, and how to call compose. */
export interface ComposeOptions {
  readonly files: readonly string[];
  readonly projectName: string;
  readonly projectDirectory: string;
  /** Values of the files' variables. Never a secret. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly envFile?: string;
  readonly run?: Runner;
  readonly runInteractive?: InteractiveRunner;
}

/** What most calls take. */
export interface ComposeCallOptions {
  readonly onLine?: (line: OutputLine) => void;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** For calls that concern some services; none named means all. */
export interface ComposeServicesOptions extends ComposeCallOptions {
  readonly services?: readonly string[];
}

export interface ComposeUpOptions extends ComposeServicesOptions {
  readonly profiles?: readonly string[];
  /** Until every service is healthy. */
  readonly wait?: boolean;
  readonly waitTimeoutSeconds?: number;
  readonly noRecreate?: boolean;
  readonly forceRecreate?: boolean;
  /** Without starting what the named services depend on. */
  readonly noDeps?: boolean;
  /** Compose builds missing images unless this is false. */
  readonly build?: boolean;
  readonly removeOrphans?: boolean;
}

export interface ComposeCreateOptions extends ComposeServicesOptions {
  readonly profiles?: readonly string[];
  readonly noRecreate?: boolean;
  readonly forceRecreate?: boolean;
  readonly build?: boolean;
}

export interface ComposeStopOptions extends ComposeServicesOptions {
  readonly timeoutSeconds?: number;
}

export interface ComposeDownOptions extends ComposeStopOptions {
  /** Named volumes too: the data. */
  readonly volumes?: boolean;
  readonly removeOrphans?: boolean;
}

export interface ComposeBuildOptions extends ComposeServicesOptions {
  readonly noCache?: boolean;
  readonly pull?: boolean;
  /** Public values; a secret goes by `secrets` of the compose file. */
  readonly args?: Readonly<Record<string, string>>;
}

export interface ComposeLogsOptions extends ComposeServicesOptions {
  readonly follow?: boolean;
  readonly tail?: number | 'all';
  readonly since?: string;
  readonly timestamps?: boolean;
  readonly noLogPrefix?: boolean;
}

export interface ComposeExecOptions {
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  /** False for input that is no terminal. */
  readonly tty?: boolean;
}

/** A container of the project, as `docker compose ps` tells. */
export interface ComposeContainer {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  readonly image: string;
  readonly state: string;
  /** Empty for a service without a health check. */
  readonly health: string;
  readonly exitCode: number;
  readonly status: string;
}

const everyProfile = ['*'];

/** The door to `docker compose`: one instance per project. Errors are those of `composeFailure`. */
export class Compose {
  readonly #options: ComposeOptions;
  readonly #run: Runner;
  readonly #runInteractive: InteractiveRunner;

  constructor(options: ComposeOptions) {
    this.#options = options;
    this.#run = options.run ?? run;
    this.#runInteractive = options.runInteractive ?? runInteractive;
  }

  /** The same project with one more file laid over its own, e.g. for a trial: `up` of the project itself goes back. */
  withOverlay(file: string): Compose {
    return new Compose({ ...this.#options, files: [...this.#options.files, file] });
  }

  /** Creates and starts; with services named, their profiles do not matter. */
  async up(options: ComposeUpOptions = {}): Promise<void> {
    const flags = [
      '--detach',
      ...flag('--wait', options.wait),
      ...value('--wait-timeout', options.waitTimeoutSeconds),
      ...creation(options),
    ];
    const more = [...flag('--no-deps', options.noDeps), ...flag('--remove-orphans', options.removeOrphans)];
    await this.#call('up', [...flags, ...more], options, profilesFor(options));
  }

  /** Creates containers without starting them. */
  async create(options: ComposeCreateOptions = {}): Promise<void> {
    await this.#call('create', creation(options), options, profilesFor(options));
  }

  async start(options: ComposeServicesOptions = {}): Promise<void> {
    await this.#call('start', [], options);
  }

  async stop(options: ComposeStopOptions = {}): Promise<void> {
    await this.#call('stop', value('--timeout', options.timeoutSeconds), options);
  }

  async restart(options: ComposeStopOptions & { readonly noDeps?: boolean } = {}): Promise<void> {
    await this.#call(
      'restart',
      [...value('--timeout', options.timeoutSeconds), ...flag('--no-deps', options.noDeps)],
      options,
    );
  }

  /** Removes containers and networks of every profile; the data only with `volumes`. */
  async down(options: ComposeDownOptions = {}): Promise<void> {
    const flags = [
      ...flag('--volumes', options.volumes),
      ...flag('--remove-orphans', options.removeOrphans),
      ...value('--timeout', options.timeoutSeconds),
    ];
    await this.#call('down', flags, options);
  }

  /** Removes stopped containers of these services. */
  async remove(options: ComposeServicesOptions & { readonly stop?: boolean } = {}): Promise<void> {
    await this.#call('rm', ['--force', ...flag('--stop', options.stop)], options);
  }

  async build(options: ComposeBuildOptions = {}): Promise<void> {
    const args = Object.entries(options.args ?? {}).flatMap(([name, text]) => ['--build-arg', `${name}=${text}`]);
    await this.#call(
      'build',
      [...flag('--no-cache', options.noCache), ...flag('--pull', options.pull), ...args],
      options,
    );
  }

  /** Every container of the project, running or not. */
  async ps(options: ComposeServicesOptions = {}): Promise<readonly ComposeContainer[]> {
    const result = await this.#call('ps', ['--all', '--format', 'json'], options);
    return parsePs(result.stdout);
  }

  /** The project as compose itself resolves it. Values may hold what the environment holds. */
  async config(
    options: ComposeCallOptions & { readonly profiles?: readonly string[] } = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    const result = await this.#call('config', ['--format', 'json'], options, options.profiles ?? everyProfile);
    const parsed: unknown = JSON.parse(result.stdout);
    return isRecord(parsed) ? parsed : {};
  }

  /** Compose's own version, e.g. `2.26.1`. */
  async version(): Promise<string> {
    const result = await this.#call('version', ['--short'], {});
    return result.stdout.trim();
  }

  /** The hash per service that compose puts on containers as label `com.docker.compose.config-hash`: equal means that `up` keeps it. */
  async configHashes(options: ComposeCallOptions = {}): Promise<ReadonlyMap<string, string>> {
    const result = await this.#call('config', ['--hash', '*'], options);
    const lines = result.stdout.split('\n').map((line) => line.trim().split(/\s+/));
    return new Map(
      lines.flatMap(([service, hash]) =>
        service === undefined || hash === undefined ? [] : [[service, hash] as const],
      ),
    );
  }

  /** Logs, line by line through `onLine`; with `follow`, until the signal. */
  async logs(options: ComposeLogsOptions = {}): Promise<void> {
    const { onLine } = options;
    // Compose erases the terminal's line before some lines, terminal or not.
    const plain =
      onLine &&
      ((line: OutputLine): void => {
        onLine({ ...line, text: line.text.replaceAll('\u001B[2K', '') });
      });
    await this.#call('logs', logsFlags(options), { ...options, ...(plain === undefined ? {} : { onLine: plain }) });
  }

  /** The argv of `logs`, for a caller that hands its terminal over. */
  logsArgv(options: ComposeLogsOptions = {}): readonly [string, ...string[]] {
    return this.#argv('logs', [...logsFlags(options), ...(options.services ?? [])], everyProfile);
  }

  /** Hands the terminal to a program inside a service's container and gives its exit code. Secrets never go into argv. */
  async execInteractive(
    service: string,
    argv: readonly [string, ...string[]],
    options: ComposeExecOptions = {},
  ): Promise<number> {
    const env = Object.entries(options.env ?? {}).flatMap(([name, text]) => ['--env', `${name}=${text}`]);
    const flags = [
      ...flag('--no-TTY', options.tty === false),
      ...value('--user', options.user),
      ...value('--workdir', options.workdir),
      ...env,
    ];
    return this.#runInteractive(this.#argv('exec', [...flags, service, ...argv], everyProfile), {
      cwd: this.#options.projectDirectory,
      env: this.#options.env ?? {},
    });
  }

  async #call(
    command: string,
    flags: readonly string[],
    options: ComposeServicesOptions,
    profiles: readonly string[] = everyProfile,
  ): Promise<RunResult> {
    const argv = this.#argv(command, [...flags, ...(options.services ?? [])], profiles);
    const result = await this.#invoke(argv, options);
    if (result.exitCode !== 0) throw composeFailure(command, result.exitCode, result.stderr);
    return result;
  }

  async #invoke(argv: readonly [string, ...string[]], options: ComposeCallOptions): Promise<RunResult> {
    try {
      return await this.#run(argv, {
        cwd: this.#options.projectDirectory,
        env: this.#options.env ?? {},
        check: false,
        ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      });
    } catch (error) {
      if (isDevstackError(error, 'COMMAND_NOT_FOUND')) throw noClient();
      throw error;
    }
  }

  #argv(command: string, args: readonly string[], profiles: readonly string[]): readonly [string, ...string[]] {
    const { files, projectName, projectDirectory, envFile } = this.#options;
    return [
      'docker',
      'compose',
      '--project-name',
      projectName,
      '--project-directory',
      projectDirectory,
      ...files.flatMap((file) => ['--file', file]),
      ...value('--env-file', envFile),
      '--ansi=never',
      '--progress=plain',
      ...profiles.flatMap((profile) => ['--profile', profile]),
      command,
      ...args,
    ];
  }
}

/** A `Compose` for one project. */
export function createCompose(options: ComposeOptions): Compose {
  return new Compose(options);
}

function creation(options: ComposeCreateOptions): string[] {
  const build = options.build === undefined ? [] : [options.build ? '--build' : '--no-build'];
  return [...flag('--no-recreate', options.noRecreate), ...flag('--force-recreate', options.forceRecreate), ...build];
}

// Compose refuses a named service whose dependencies are in a profile that is off, so a named one switches all on.
function profilesFor(options: ComposeUpOptions): readonly string[] {
  return options.profiles ?? ((options.services ?? []).length > 0 ? everyProfile : []);
}

function logsFlags(options: ComposeLogsOptions): string[] {
  return [
    '--no-color',
    ...flag('--follow', options.follow),
    ...value('--tail', options.tail),
    ...value('--since', options.since),
    ...flag('--timestamps', options.timestamps),
    ...flag('--no-log-prefix', options.noLogPrefix),
  ];
}

function flag(name: string, isOn: boolean | undefined): string[] {
  return isOn === true ? [name] : [];
}

function value(name: string, text: string | number | undefined): string[] {
  return text === undefined ? [] : [name, String(text)];
}

// Compose before 2.21 prints one array, later ones an object per line.
function parsePs(stdout: string): readonly ComposeContainer[] {
  const text = stdout.trim();
  const rows: unknown[] = text.startsWith('[')
    ? (JSON.parse(text) as unknown[])
    : text
        .split('\n')
        .filter((line) => line !== '')
        .map((line): unknown => JSON.parse(line));
  return rows.filter(isRecord).map((row) => ({
    id: textOf(row['ID']),
    name: textOf(row['Name']),
    service: textOf(row['Service']),
    image: textOf(row['Image']),
    state: textOf(row['State']),
    health: textOf(row['Health']),
    exitCode: typeof row['ExitCode'] === 'number' ? row['ExitCode'] : 0,
    status: textOf(row['Status']),
  }));
}

function textOf(field: unknown): string {
  return typeof field === 'string' ? field : '';
}

function noClient(): DevstackError {
  return new DevstackError({
    code: ComposeProjectErrorCode.composeMissing,
    message: 'There is no docker client on PATH.',
    hint: 'Install Docker (Debian: apt install docker.io) and Docker Compose v2.',
  });
}
