import type { RunningProgram } from '@devstack-core/docker-engine';
import type { Place } from './types.ts';

// Every process is waited for before the shell ends: an orphan would go to the container's first process, and PostgreSQL there takes the end of
// a child that it does not know, by a signal, for the crash of a backend, and starts all over.
// The program's own input is empty. The supervisor reads the connection instead: its end means that nobody is there any more.
const script = `exec 3<&0
"$@" </dev/null 3<&- & program=$!
( while read -r _ <&3; do :; done; kill "$program" ) 2>/dev/null & watcher=$!
wait "$program"; code=$?
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
exit "$code"`;

export interface SupervisedOptions {
  readonly signal?: AbortSignal | undefined;
  /** Public: never a secret. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs a program that reads nothing and writes much. It is ended when its reader leaves, when the signal says so, and when this process
 * dies: the engine alone would leave it in the container, waiting forever to be read, with its transaction and its locks.
 */
export async function execSupervised(
  { docker, container }: Pick<Place, 'docker' | 'container'>,
  argv: readonly [string, ...string[]],
  { signal, env }: SupervisedOptions = {},
): Promise<RunningProgram> {
  const over = Promise.withResolvers<undefined>();
  const program = await docker.execStream(container, ['sh', '-c', script, 'sh', ...argv], {
    stdin: nothingUntil(over.promise),
    ...(signal === undefined ? {} : { signal }),
    ...(env === undefined ? {} : { env }),
  });
  async function* stdout(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* program.stdout;
    } finally {
      over.resolve(undefined);
    }
  }
  return { stdout: stdout(), ended: program.ended };
}

async function* nothingUntil(over: Promise<undefined>): AsyncGenerator<Uint8Array, void, undefined> {
  await over;
  yield* [];
}
