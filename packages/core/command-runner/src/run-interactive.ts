import { constants } from 'node:os';
import process from 'node:process';
import { DevstackError } from '@devstack-core/errors';
import { isSecret, type Secret } from '@devstack-core/redaction';
import { execa } from 'execa';
import { childEnvironment, defaultInheritedEnv, type InheritEnv } from './environment.ts';
import { CommandRunnerErrorCode } from './errors.ts';
import type { Argv } from './run.ts';

/** How to run a program that talks to the person at the terminal. */
export interface RunInteractiveOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly inheritEnv?: InheritEnv;
  /** Instead of the terminal's input. */
  readonly stdin?: string | Secret;
}

/**
 * Runs a program on this process's own terminal and gives its exit code (128 + the signal's number where one ended it).
 * Ctrl-C is the program's: meanwhile it does not end this process. Throws `COMMAND_NOT_FOUND`, `COMMAND_NOT_STARTED`.
 */
export async function runInteractive([program, ...args]: Argv, options: RunInteractiveOptions = {}): Promise<number> {
  const ignore = (): void => undefined;
  process.on('SIGINT', ignore);
  process.on('SIGQUIT', ignore);
  try {
    const input = isSecret(options.stdin) ? options.stdin.reveal() : options.stdin;
    const ended = await execa(program, args, {
      reject: false,
      buffer: false,
      extendEnv: false,
      stdout: 'inherit',
      stderr: 'inherit',
      ...(input === undefined ? { stdin: 'inherit' } : { input }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: childEnvironment(options.inheritEnv ?? defaultInheritedEnv, options.env ?? {}),
    });
    if (ended.exitCode !== undefined) return ended.exitCode;
    if (ended.signal !== undefined) return 128 + constants.signals[ended.signal];
    throw new DevstackError({
      code: ended.code === 'ENOENT' ? CommandRunnerErrorCode.commandNotFound : CommandRunnerErrorCode.commandNotStarted,
      message: `The program ${program} could not be started (${ended.code ?? 'unknown reason'}).`,
      hint: `Install ${program}, or add its folder to PATH.`,
      details: { program },
    });
  } finally {
    process.off('SIGINT', ignore);
    process.off('SIGQUIT', ignore);
  }
}
