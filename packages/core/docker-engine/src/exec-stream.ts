import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { abortReason, interrupted } from '@devstack-core/errors';
import { isSecret, type Secret } from '@devstack-core/redaction';
import type { Connection } from './connection.ts';
import { bytesOf, exitCodeOf, startExec, type ExecOptions } from './exec.ts';
import { FrameSplitter } from './frames.ts';

export interface ExecStreamOptions extends Omit<ExecOptions, 'stdin' | 'timeoutMs'> {
  /**
   * Written as fast as the program reads. Should the source fail, or this process die, the program meets the end of its input as if that
   * had been all: whoever must not take half for the whole needs an end mark of its own.
   */
  readonly stdin?: AsyncIterable<Uint8Array> | string | Uint8Array | Secret;
}

/** A program at work in a container. */
export interface RunningProgram {
  /**
   * What it writes, as it comes and never ahead of the reader. Leaving the loop cuts the connection: the program meets the end of its input.
   * One that only writes meets nothing, and may stay in the container until somebody ends it, waiting to be read.
   */
  readonly stdout: AsyncIterable<Uint8Array>;
  /** Settles after `stdout` was read to its end. Rejects with what the source of its input threw, and on abort. */
  readonly ended: Promise<ProgramEnd>;
}

/** How a streamed program ended. */
export interface ProgramEnd {
  readonly exitCode: number;
  /** The last 64 KiB. */
  readonly stderr: string;
}

const stderrBytes = 64 * 1024;

/** Runs a program in a running container with its input and output as streams, in constant memory. Throws CONTAINER_NOT_FOUND. */
export async function execStream(
  connection: Connection,
  id: string,
  argv: readonly [string, ...string[]],
  options: ExecStreamOptions,
): Promise<RunningProgram> {
  const what = `${argv[0]} in container ${id}`;
  const early = abortReason(options.signal, what);
  if (early !== undefined) throw early;
  const { program, stream } = await connection.ask('container', id, () =>
    startExec(connection, id, argv, { ...options, withStdin: options.stdin !== undefined }),
  );
  const ended = Promise.withResolvers<ProgramEnd>();
  // Who only reads the output, and fails there, leaves it alone.
  ended.promise.catch(() => undefined);
  // What failed first is what is told: the connection that is cut because of it fails in its own words.
  let failure: Error | undefined;
  const fail = (error: unknown): void => {
    failure ??= error instanceof Error ? error : new Error('the input failed', { cause: error });
    ended.reject(failure);
    stream.destroy();
  };
  const onAbort = (): void => {
    const reason = abortReason(options.signal, what);
    if (reason !== undefined) fail(reason);
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  onAbort();
  if (options.stdin !== undefined) write(stream, options.stdin).catch(fail);
  const stderr = new Tail();
  async function* stdout(): AsyncGenerator<Uint8Array, void, undefined> {
    const splitter = new FrameSplitter();
    try {
      for await (const chunk of withoutPipeErrors(stream)) {
        for (const part of splitter.push(chunk)) {
          if (part.stream === 'stdout') yield part.bytes;
          else stderr.push(part.bytes);
        }
      }
      const exitCode = await connection.ask('container', id, () => exitCodeOf(program), options.signal);
      ended.resolve({ exitCode, stderr: stderr.text() });
    } catch (error) {
      fail(error);
      throw failure ?? error;
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
      stream.destroy();
      // Settled by now, unless the reader left the loop.
      ended.reject(interrupted(what));
    }
    // A cut connection ends the output without an error; that must not look like a program that wrote all it had.
    await ended.promise;
  }
  return { stdout: stdout(), ended: ended.promise };
}

async function write(stream: Duplex, input: AsyncIterable<Uint8Array> | string | Uint8Array | Secret): Promise<void> {
  if (typeof input === 'string' || input instanceof Uint8Array || isSecret(input)) {
    stream.end(bytesOf(input));
    return;
  }
  for await (const chunk of input) {
    // The program may end before it has read its input; its exit code tells.
    if (stream.destroyed || !stream.writable) return;
    if (!stream.write(chunk)) await drained(stream);
  }
  stream.end();
}

/** Resolves when a stream takes more, or is gone. */
export async function drained(stream: Duplex): Promise<void> {
  // Listeners of the event that did not come would gather with every call.
  const settled = new AbortController();
  const { signal } = settled;
  await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })]).catch(() => undefined);
  settled.abort();
}

async function* withoutPipeErrors(stream: Duplex): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'EPIPE' && code !== 'ERR_STREAM_DESTROYED' && code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}

class Tail {
  #bytes = Buffer.alloc(0);

  push(chunk: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(-stderrBytes);
  }

  text(): string {
    return this.#bytes.toString('utf8');
  }
}
