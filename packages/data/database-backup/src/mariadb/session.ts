import { randomBytes } from 'node:crypto';
import { scratchPrefix } from '../credential-file.ts';
import { DatabaseBackupErrorCode } from '../errors.ts';
import { mariadbFailure } from './failure.ts';
import type { MariadbPlace } from './place.ts';
import type { MariadbPrograms } from './programs.ts';

export interface SessionOptions {
  readonly place: MariadbPlace;
  readonly programs: MariadbPrograms;
  /** The option file of `putLogin`. */
  readonly login: string;
  /** What an error of this session is. */
  readonly code: (typeof DatabaseBackupErrorCode)[keyof typeof DatabaseBackupErrorCode];
  readonly signal?: AbortSignal;
}

/** One connection to the server, by its own client in the container: no port is opened and no driver is in between. */
export interface MariadbSession extends AsyncDisposable {
  /** Rows of all statements, each value as text and NULL as `NULL`. An error of the server ends the session. */
  query(sql: string): Promise<readonly (readonly string[])[]>;
  /** The same, one row after another, however many there are. */
  stream(sql: string): AsyncIterable<readonly string[]>;
}

const leaveWithinMs = 5000;

// A program that nobody reads any more waits for its reader and not for its input, with its locks and its transaction. So what it reads
// comes through another program: when that has come to the end, this one has a few seconds to do so too.
// Nothing may be left over: whoever loses its parent goes to the container's first process, which is the server and waits for no child.
const supervised = `umask 077
pipe=$1; shift
mkfifo "$pipe" || exit 1
exec 3<&0
"$@" <"$pipe" 3<&- & program=$!
(
  trap 'kill "$cat"; wait "$cat"; exit' TERM
  cat <&3 >"$pipe" & cat=$!
  wait "$cat"
  tries=0
  while [ "$tries" -lt 250 ] && kill -0 "$program"; do sleep 0.02; tries=$((tries + 1)); done
  kill "$program"
) >/dev/null 2>&1 & watcher=$!
wait "$program"; code=$?
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
rm -f "$pipe"
exit "$code"`;

// Whatever the server's own settings are, the same row gives the same text.
const settings = [
  'SET NAMES utf8mb4',
  "SET SESSION sql_mode=''",
  "SET SESSION time_zone='+00:00'",
  'SET SESSION sql_quote_show_create=1',
  'SET SESSION wait_timeout=86400',
  'SET SESSION net_write_timeout=86400',
  'SET SESSION lock_wait_timeout=60',
  '/*M!100100 SET SESSION max_statement_time=0 */',
  '/*!80000 SET SESSION information_schema_stats_expiry=0 */',
];

/** Logs in. Throws PLACE_UNUSABLE where the server cannot be reached or refuses. */
export async function openSession({ place, programs, login, code, signal }: SessionOptions): Promise<MariadbSession> {
  const input = new TextQueue();
  const cut = new AbortController();
  const running = await place.docker.execStream(
    place.container,
    [
      'sh',
      '-c',
      supervised,
      'sh',
      `${place.scratch}/${scratchPrefix}${randomBytes(6).toString('hex')}`,
      programs.client,
      `--defaults-extra-file=${login}`,
      '--batch',
      '--quick',
      '--unbuffered',
      '--skip-column-names',
      '--default-character-set=utf8mb4',
    ],
    { stdin: input, signal: signal === undefined ? cut.signal : AbortSignal.any([signal, cut.signal]) },
  );
  const lines = linesOf(running.stdout);
  const mark = `end-${randomBytes(12).toString('hex')}`;
  let isSetUp = false;
  let isBusy = false;
  async function* stream(sql: string): AsyncGenerator<readonly string[], void, undefined> {
    isBusy = true;
    input.push(`${sql};\nSELECT '${mark}';\n`);
    for (;;) {
      const { done, value } = await lines.next();
      if (done === true) {
        const { stderr } = await running.ended;
        throw mariadbFailure(
          isSetUp ? code : DatabaseBackupErrorCode.placeUnusable,
          isSetUp ? 'The server ended the session' : 'The server cannot be logged in to',
          stderr,
        );
      }
      if (value === mark) {
        isBusy = false;
        return;
      }
      yield value.split('\t').map(unescape);
    }
  }
  const session: MariadbSession = {
    stream,
    query: (sql) => Array.fromAsync(stream(sql)),
    [Symbol.asyncDispose]: async () => {
      input.end();
      // What it holds is given back when the program has ended; one in the middle of something is cut off instead.
      const timer = setTimeout(
        () => {
          cut.abort();
        },
        isBusy ? 0 : leaveWithinMs,
      );
      await drained(lines);
      clearTimeout(timer);
    },
  };
  try {
    await session.query(settings.join(';\n'));
    isSetUp = true;
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

async function drained(lines: AsyncGenerator<string, void, undefined>): Promise<void> {
  try {
    for (;;) if ((await lines.next()).done === true) return;
  } catch {
    // It was cut off; why is told to whoever waits for its answer.
  }
}

/** Text lines of a stream of bytes. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = [];
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      parts.push(bytes.subarray(from, at));
      yield (parts.length === 1 ? (parts[0] ?? bytes) : Buffer.concat(parts)).toString('utf8');
      parts = [];
      from = at + 1;
    }
    if (from < bytes.length) parts.push(bytes.subarray(from));
  }
  if (parts.length > 0) yield Buffer.concat(parts).toString('utf8');
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', 0: '\0', '\\': '\\' };

// What the client does to values in batch mode, undone.
function unescape(value: string): string {
  return value.includes('\\') ? value.replaceAll(/\\([nt0\\])/g, (_, letter: string) => escapes[letter] ?? '') : value;
}

/** Standard input that is written bit by bit. */
export class TextQueue implements AsyncIterable<Uint8Array> {
  readonly #waiting: Uint8Array[] = [];
  #ended = false;
  #wake: PromiseWithResolvers<undefined> = Promise.withResolvers();

  push(text: string): void {
    this.#waiting.push(Buffer.from(text, 'utf8'));
    this.#wake.resolve(undefined);
  }

  end(): void {
    this.#ended = true;
    this.#wake.resolve(undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) yield next;
      if (this.#ended) return;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }
}
