import type { DockerEngine, ExecStreamOptions } from '@devstack-core/docker-engine';

/** A Docker engine that tells of each step: a program that is started in a container, or something that is written to one. */
export function tickingDocker(docker: DockerEngine, tick: (step: string) => void): DockerEngine {
  async function* told(program: string, input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of input) {
      tick(`${program}: ${kindOf(chunk)}`);
      yield chunk;
    }
  }
  const toldInput = (program: string, stdin: ExecStreamOptions['stdin']): Pick<ExecStreamOptions, 'stdin'> => {
    if (stdin === undefined) return {};
    return { stdin: typeof stdin === 'object' && Symbol.asyncIterator in stdin ? told(program, stdin) : stdin };
  };
  return {
    ...docker,
    exec: async (id, argv, options = {}) => {
      tick(`${nameOf(argv)} begins`);
      return docker.exec(id, argv, options);
    },
    execStream: async (id, argv, options = {}) => {
      tick(`${nameOf(argv)} begins`);
      return docker.execStream(id, argv, { ...options, ...toldInput(nameOf(argv), options.stdin) });
    },
  };
}

function nameOf(argv: readonly string[]): string {
  return argv[0]?.split('/').at(-1) ?? '';
}

// The first statement that is not a setting, as far as its name goes; bytes of a dump are bytes.
function kindOf(chunk: Uint8Array): string {
  const text = Buffer.from(chunk.subarray(0, 4096)).toString('latin1');
  const statement = text.split(/;\s*|FROM \(/).find((one) => /^(?!SET )[A-Z]{4,}( |$)/.test(one.trim()));
  return statement === undefined ? 'bytes' : statement.trim().split(/[ \n]/, 2).join(' ');
}
