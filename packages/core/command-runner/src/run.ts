import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { type Readable } from 'node:stream';
import { abortReason, DevstackError } from '@devstack-core/errors';
import { isSecret, type Secret, type SecretRegistry } from '@devstack-core/redaction';
import { execa, type Options, type ResultPromise } from 'execa';
import { displayCommand } from './display-command.ts';
import { childEnvironment, defaultInheritedEnv, type InheritEnv } from './environment.ts';
import { CommandRunnerErrorCode } from './errors.ts';
import { endWithThisProcess } from './live-children.ts';
import { LineSplitter, OutputBuffer, readChunks, type OutputLine } from './output.ts';
import { killTree } from './process-tree.ts';

/** A program and its arguments. Never a secret: every user of the machine can read the arguments of a process. */
export type Argv = readonly [program: string, ...args: string[]];

/** How to run a program. */
export interface RunOptions {
  readonly cwd?: string;
  /** Added to what is inherited; undefined takes a variable away. Never a secret. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Which variables of this process the child gets; `defaultInheritedEnv` unless given. */
  readonly inheritEnv?: InheritEnv;
  /** The way for secrets. Without it the program reads an empty input. */
  readonly stdin?: string | Uint8Array | Secret | Readable;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Per stream; 64 MiB unless given. */
  readonly maxOutputBytes?: number;
  /** What happens beyond `maxOutputBytes`: the program is ended with `COMMAND_OUTPUT_TOO_LARGE` (the default), or only the tail is kept. */
  readonly overflow?: 'fail' | 'keep-tail';
  /** Called for each line as it comes, masked. */
  readonly onLine?: (line: OutputLine) => void;
  /** Whether an exit code other than 0 throws `COMMAND_FAILED`; true unless given. */
  readonly check?: boolean;
  /** Known secrets: masked in lines, stderr, `command` and errors. `stdout` is data and stays as it is. */
  readonly redact?: SecretRegistry;
  /** Between SIGTERM and SIGKILL; 5 s unless given. */
  readonly killGraceMs?: number;
}

/** What became of a program. */
export interface RunResult {
  /** 128 + the number of the signal for a program that a signal ended. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** True when `overflow: 'keep-tail'` cut something off. */
  readonly truncated: boolean;
  readonly durationMs: number;
  /** The command line for people, masked. */
  readonly command: string;
}

/**
 * Runs a program to its end. It gets a process group of its own; timeout, abort and the end of this process end the whole tree.
 * Throws `COMMAND_FAILED`, `COMMAND_NOT_FOUND`, `COMMAND_NOT_STARTED`, `COMMAND_TIMED_OUT`, `COMMAND_OUTPUT_TOO_LARGE`, and the reason
 * of the signal or `INTERRUPTED`.
 */
export async function run(argv: Argv, options: RunOptions = {}): Promise<RunResult> {
  const program = argv[0];
  const early = abortReason(options.signal, program);
  if (early !== undefined) throw early;
  // A foreign error would quote the argument.
  if (argv.some((word) => word.includes('\0'))) throw notStarted(program, 'an argument holds a NUL byte', options);
  const startedAt = performance.now();
  const child = start(argv, options);
  using _ending = child.pid === undefined ? undefined : endWithThisProcess(child.pid);
  using stopper = new Stopper(child, program, options);
  const output = collectOutput(child, options, () => {
    stopper.stop(tooLarge(program, options));
  });
  const [ended] = await Promise.all([child, output.finished]);
  await stopper.finished();
  if (ended.exitCode === undefined && ended.signal === undefined) throw notStarted(program, ended.code, options);
  const result: RunResult = {
    exitCode: ended.exitCode ?? 128 + constants.signals[ended.signal ?? 'SIGKILL'],
    signal: ended.signal,
    stdout: output.stdout.text(),
    stderr: output.stderr.text(),
    truncated: output.stdout.isTruncated || output.stderr.isTruncated,
    durationMs: performance.now() - startedAt,
    command: displayCommand(argv, options.redact),
  };
  if (result.exitCode !== 0 && options.check !== false) throw failed(program, result, options);
  return result;
}

const runnerOptions = {
  reject: false,
  buffer: false,
  extendEnv: false,
  stripFinalNewline: false,
  detached: true,
  cleanup: false,
  encoding: 'buffer',
  stdout: 'pipe',
  stderr: 'pipe',
} as const satisfies Options;

type Child = ResultPromise<typeof runnerOptions>;

function start([program, ...args]: Argv, options: RunOptions): Child {
  const { stdin } = options;
  const input = isSecret(stdin) ? stdin.reveal() : stdin;
  return execa(program, args, {
    ...runnerOptions,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: childEnvironment(options.inheritEnv ?? defaultInheritedEnv, options.env ?? {}),
    ...(input === undefined ? { stdin: 'ignore' } : { input: input }),
  }) as Child;
}

interface Output {
  readonly stdout: OutputBuffer;
  readonly stderr: OutputBuffer;
  readonly finished: Promise<unknown>;
}

function collectOutput(child: Child, options: RunOptions, onOverflow: () => void): Output {
  const limit = options.maxOutputBytes ?? 64 * 1024 * 1024;
  const stdout = new OutputBuffer(limit);
  const stderr = new OutputBuffer(limit);
  const keep = (buffer: OutputBuffer) => (chunk: Buffer) => {
    buffer.add(chunk);
    if (buffer.isTruncated && options.overflow !== 'keep-tail') onOverflow();
  };
  const pending = [
    readChunks(child.stdout, undefined, keep(stdout)),
    readChunks(child.stderr, options.redact, keep(stderr)),
    ...lines(child.stdout, 'stdout', options),
    ...lines(child.stderr, 'stderr', options),
  ];
  return { stdout, stderr, finished: Promise.all(pending) };
}

function lines(source: Readable, stream: OutputLine['stream'], { onLine, redact }: RunOptions): Promise<void>[] {
  if (onLine === undefined) return [];
  const splitter = new LineSplitter((text) => {
    onLine({ stream, text });
  });
  const read = readChunks(source, redact, (chunk) => {
    splitter.add(chunk);
  });
  return [
    read.then(() => {
      splitter.end();
    }),
  ];
}

/** Ends the tree at most once, for the first reason, and gives the reason out as the error of the run. */
class Stopper implements Disposable {
  readonly #child: Child;
  readonly #graceMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  #reason: DevstackError | undefined;
  #killed: Promise<void> | undefined;

  constructor(child: Child, program: string, options: RunOptions) {
    this.#child = child;
    this.#graceMs = options.killGraceMs ?? 5000;
    this.#signal = options.signal;
    this.#onAbort = (): void => {
      this.stop(abortReason(options.signal, program));
    };
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.timeoutMs !== undefined)
      this.#timer = setTimeout(() => {
        this.stop(timedOut(program, options));
      }, options.timeoutMs);
  }

  stop(reason: DevstackError | undefined): void {
    if (this.#killed !== undefined || this.#child.pid === undefined) return;
    this.#reason = reason;
    this.#killed = killTree(this.#child.pid, this.#graceMs);
  }

  async finished(): Promise<void> {
    await this.#killed;
    if (this.#reason !== undefined) throw this.#reason;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

function failed(program: string, result: RunResult, options: RunOptions): DevstackError {
  const tail = lastLines(result.stderr, 20);
  const how =
    result.signal === undefined ? `exited with code ${String(result.exitCode)}` : `was ended by ${result.signal}`;
  const said = tail.length === 0 ? '.' : `: ${tail.slice(-5).join('\n')}`;
  return new DevstackError({
    code: CommandRunnerErrorCode.commandFailed,
    message: redacted(`${program} ${how}${said}`, options),
    details: {
      program,
      exitCode: result.exitCode,
      signal: result.signal ?? null,
      stderr: tail,
      durationMs: Math.round(result.durationMs),
    },
  });
}

function timedOut(program: string, { timeoutMs = 0 }: RunOptions): DevstackError {
  return new DevstackError({
    code: CommandRunnerErrorCode.commandTimedOut,
    message: `${program} did not finish within ${String(timeoutMs)} ms and was ended, together with everything it had started.`,
    hint: 'Look at what the program waits for, or give it more time.',
    details: { program, timeoutMs },
  });
}

function tooLarge(program: string, { maxOutputBytes = 64 * 1024 * 1024 }: RunOptions): DevstackError {
  return new DevstackError({
    code: CommandRunnerErrorCode.commandOutputTooLarge,
    message: `${program} wrote more than ${String(maxOutputBytes)} bytes and was ended.`,
    hint: 'Raise maxOutputBytes, or keep only the tail with overflow: "keep-tail".',
    details: { program, maxOutputBytes },
  });
}

function notStarted(program: string, code: string | undefined, { cwd }: RunOptions): DevstackError {
  if (cwd !== undefined && !existsSync(cwd)) {
    return new DevstackError({
      code: CommandRunnerErrorCode.commandNotStarted,
      message: `${program} cannot be started in ${cwd}: there is no such folder.`,
      details: { program, cwd },
    });
  }
  if (code === 'ENOENT') {
    return new DevstackError({
      code: CommandRunnerErrorCode.commandNotFound,
      message: `The program ${program} was not found.`,
      hint: program.includes('/') ? 'Check the path.' : `Install ${program}, or add its folder to PATH.`,
      details: { program },
    });
  }
  return new DevstackError({
    code: CommandRunnerErrorCode.commandNotStarted,
    message: `${program} could not be started (${code ?? 'unknown reason'}).`,
    hint: code === 'EACCES' ? `Make it executable: chmod +x ${program}` : 'Check the program and its arguments.',
    details: { program, reason: code ?? null },
  });
}

function lastLines(text: string, count: number): string[] {
  return text
    .split(/\r\n|\n|\r/)
    .filter((line) => line.trim() !== '')
    .slice(-count);
}

function redacted(text: string, { redact }: RunOptions): string {
  return redact?.redact(text) ?? text;
}
