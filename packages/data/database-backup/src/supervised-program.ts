import { randomBytes } from 'node:crypto';
import type { RunningProgram } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from './errors.ts';
import { untilMark } from './output-end.ts';
import type { Place } from './types.ts';

// Every process is waited for before the shell ends: an orphan would go to the container's first process, and PostgreSQL there takes the end of
// a child that it does not know, by a signal, for the crash of a backend, and starts all over.
// The program's own input is empty. The supervisor reads the connection instead: its end means that nobody is there any more.
// It stays until then, and says with a mark where the output ends: two seconds after a program has ended the engine throws away what was not
// read of its output, and a reader may well pause for longer.
const script = `mark=$1 waits=$2; shift 2
[ -z "$waits" ] || read -r _ || exit 1
exec 3<&0
"$@" </dev/null 3<&- & program=$!
( while read -r _ <&3; do :; done; kill "$program" ) 2>/dev/null & watcher=$!
wait "$program"; code=$?
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
printf '\\000%s' "$mark" 3<&- & end=$!
while read -r _ <&3; do :; done
kill "$end" 2>/dev/null
wait "$end" 2>/dev/null
exit "$code"`;

export interface SupervisedOptions {
  readonly signal?: AbortSignal | undefined;
  /** Holds the program back until it resolves; its supervisor is there at once. */
  readonly begin?: Promise<undefined> | undefined;
  /** Public: never a secret. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs a program that reads nothing and writes much. It is ended when its reader leaves, when the signal says so, and when this process
 * dies: the engine alone would leave it in the container, waiting forever to be read, with its transaction and its locks. `stdout` throws
 * DUMP_FAILED where the program ended well and not all that it wrote has arrived.
 */
export async function execSupervised(
  { docker, container }: Pick<Place, 'docker' | 'container'>,
  argv: readonly [string, ...string[]],
  { signal, env, begin }: SupervisedOptions = {},
): Promise<RunningProgram> {
  const over = Promise.withResolvers<undefined>();
  const mark = randomBytes(16).toString('hex');
  const waits = begin === undefined ? '' : 'waits';
  const program = await docker.execStream(container, ['sh', '-c', script, 'sh', mark, waits, ...argv], {
    stdin: goUntil(begin, over.promise),
    ...(signal === undefined ? {} : { signal }),
    ...(env === undefined ? {} : { env }),
  });
  async function* stdout(): AsyncGenerator<Uint8Array, void, undefined> {
    const seen = { end: false };
    try {
      yield* untilMark(program.stdout, Buffer.from(`\0${mark}`), () => {
        seen.end = true;
        over.resolve(undefined);
      });
      const { exitCode } = await program.ended;
      if (exitCode === 0 && !seen.end)
        throw new DevstackError({
          code: DatabaseBackupErrorCode.dumpFailed,
          message: `${argv[0]} ended well, but the end of what it wrote did not arrive.`,
          hint: 'Run it again; is the Docker engine healthy?',
        });
    } finally {
      over.resolve(undefined);
    }
  }
  return { stdout: stdout(), ended: program.ended };
}

async function* goUntil(
  begin: Promise<undefined> | undefined,
  over: Promise<undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (begin !== undefined) {
    await begin;
    yield Buffer.from('go\n');
  }
  await over;
}
