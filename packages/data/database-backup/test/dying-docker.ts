import type { DockerEngine, ExecStreamOptions } from '@devstack-core/docker-engine';

/** A Docker engine that this process loses after so many steps, as if it were killed there. */
export interface DyingDocker {
  readonly docker: DockerEngine;
  /** Whether that has happened. */
  isDead(): boolean;
  /** Now. */
  die(): void;
  /** What was done, in order, each step by its kind, such as `mariadb: RENAME TABLE`. */
  readonly steps: readonly string[];
}

/** A step is a program that is started in a container, or something that is written to one. */
export function dyingDocker(docker: DockerEngine, afterSteps: number): DyingDocker {
  const death = new AbortController();
  const steps: string[] = [];
  const step = (kind: string): void => {
    steps.push(kind);
    if (steps.length <= afterSteps) return;
    // Programs that are at work meet the end of their input.
    death.abort();
    throw new Error('this process is dead');
  };
  const signal = (own: AbortSignal | undefined): AbortSignal =>
    own === undefined ? death.signal : AbortSignal.any([own, death.signal]);
  async function* counted(
    program: string,
    input: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of input) {
      step(`${program}: ${kindOf(chunk)}`);
      yield chunk;
    }
  }
  const countedInput = (program: string, stdin: ExecStreamOptions['stdin']): Pick<ExecStreamOptions, 'stdin'> => {
    if (stdin === undefined) return {};
    return { stdin: typeof stdin === 'object' && Symbol.asyncIterator in stdin ? counted(program, stdin) : stdin };
  };
  return {
    steps,
    isDead: () => death.signal.aborted,
    die: () => {
      death.abort();
    },
    docker: {
      ...docker,
      exec: async (id, argv, options = {}) => {
        step(programOf(argv));
        return docker.exec(id, argv, { ...options, signal: signal(options.signal) });
      },
      execStream: async (id, argv, options = {}) => {
        step(programOf(argv));
        return docker.execStream(id, argv, {
          ...options,
          ...countedInput(programOf(argv), options.stdin),
          signal: signal(options.signal),
        });
      },
    },
  };
}

/** The program that a shell's script is for, or the shell. */
function programOf(argv: readonly string[]): string {
  const names = argv.map((word) => word.split('/').at(-1) ?? '');
  return names.find((name) => /^(mariadb|mysql|psql|pg_)[a-z-]*$/.test(name)) ?? names[0] ?? '';
}

// The statement that is not a setting, as far as its name goes; rows are rows.
function kindOf(chunk: Uint8Array): string {
  const text = Buffer.from(chunk.subarray(0, 4096)).toString('latin1');
  const statement = text.split(/;\s*/).find((one) => /^(?!SET )[A-Z]{4,} /.test(one));
  return statement === undefined ? 'input' : statement.split(/[ \n]/, 2).join(' ');
}
