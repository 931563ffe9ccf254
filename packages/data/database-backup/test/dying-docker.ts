import type { DockerEngine, ExecStreamOptions } from '@devstack-core/docker-engine';

/** A Docker engine that this process loses after so many steps, as if it were killed there. */
export interface DyingDocker {
  readonly docker: DockerEngine;
  /** Whether that has happened. */
  isDead(): boolean;
  /** Now. */
  die(): void;
}

/** A step is a program that is started in a container, or something that is written to one. */
export function dyingDocker(docker: DockerEngine, afterSteps: number): DyingDocker {
  const death = new AbortController();
  let steps = 0;
  const step = (): void => {
    steps += 1;
    if (steps <= afterSteps) return;
    // Programs that are at work meet the end of their input.
    death.abort();
    throw new Error('this process is dead');
  };
  const signal = (own: AbortSignal | undefined): AbortSignal =>
    own === undefined ? death.signal : AbortSignal.any([own, death.signal]);
  async function* counted(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of input) {
      step();
      yield chunk;
    }
  }
  const countedInput = (stdin: ExecStreamOptions['stdin']): Pick<ExecStreamOptions, 'stdin'> => {
    if (stdin === undefined) return {};
    return { stdin: typeof stdin === 'object' && Symbol.asyncIterator in stdin ? counted(stdin) : stdin };
  };
  return {
    isDead: () => death.signal.aborted,
    die: () => {
      death.abort();
    },
    docker: {
      ...docker,
      exec: async (id, argv, options = {}) => {
        step();
        return docker.exec(id, argv, { ...options, signal: signal(options.signal) });
      },
      execStream: async (id, argv, options = {}) => {
        step();
        return docker.execStream(id, argv, {
          ...options,
          ...countedInput(options.stdin),
          signal: signal(options.signal),
        });
      },
    },
  };
}
