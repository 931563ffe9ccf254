import type { Readable } from 'node:stream';
import type { Connection } from './connection.ts';
import { FrameSplitter, LineJoiner, type LogLine } from './frames.ts';
import { getStream } from './raw-stream.ts';
import { asReadable } from './streams.ts';
import type { LogBytes } from './types.ts';

export interface LogsOptions {
  /** How many of the last lines; all unless given. */
  readonly tail?: number;
  readonly since?: Date | number;
  readonly timestamps?: boolean;
}

export interface FollowLogsOptions extends LogsOptions {
  readonly signal?: AbortSignal;
}

/** Both streams of a container's log in the order of writing. */
export async function logs(connection: Connection, id: string, options: LogsOptions): Promise<string> {
  return connection.ask('container', id, async () => {
    const container = connection.docker.getContainer(id);
    const { Config } = await container.inspect();
    const bytes = await container.logs({ ...query(options), follow: false });
    const chunks = new FrameSplitter(Config.Tty).push(bytes);
    return Buffer.concat(chunks.map((chunk) => chunk.bytes)).toString('utf8');
  });
}

/** A container's log line by line as it is written, until the container ends, the reader stops or the signal aborts (which is no error). */
export async function* followLogs(
  connection: Connection,
  id: string,
  options: FollowLogsOptions,
): AsyncGenerator<LogLine, void, undefined> {
  const { signal } = options;
  if (signal?.aborted === true) return;
  const { stream, isTty } = await connection.ask('container', id, async () => {
    const container = connection.docker.getContainer(id);
    const { Config } = await container.inspect();
    return { stream: asReadable(await container.logs({ ...query(options), follow: true })), isTty: Config.Tty };
  });
  const splitter = new FrameSplitter(isTty);
  const joiner = new LineJoiner();
  for await (const chunk of until(stream, signal)) for (const part of splitter.push(chunk)) yield* joiner.push(part);
  yield* joiner.end();
}

/** A container's log so far, as bytes and as they come: any length in bounded memory. */
export async function* logBytes(
  connection: Connection,
  id: string,
  options: FollowLogsOptions,
): AsyncGenerator<LogBytes, void, undefined> {
  const { signal } = options;
  if (signal?.aborted === true) return;
  const { stream, isTty } = await connection.ask('container', id, async () => {
    const { Config } = await connection.docker.getContainer(id).inspect();
    const { timestamps, ...rest } = query(options);
    const request = { ...rest, stdout: 1, stderr: 1, timestamps: timestamps ? 1 : 0, follow: 0 };
    return {
      stream: await getStream(connection, `/containers/${encodeURIComponent(id)}/logs`, request),
      isTty: Config.Tty,
    };
  });
  const splitter = new FrameSplitter(isTty);
  for await (const chunk of until(stream, signal)) yield* splitter.push(chunk);
}

/** The chunks of a stream until it ends or the signal aborts; the stream is destroyed in every case. */
export async function* until(
  stream: Readable,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const stop = (): void => {
    stream.destroy();
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    if (signal?.aborted === true) return;
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    stream.destroy();
  }
}

function query(options: LogsOptions): {
  stdout: true;
  stderr: true;
  timestamps: boolean;
  tail?: number;
  since?: number;
} {
  const { since, tail } = options;
  const seconds = since instanceof Date ? since.getTime() / 1000 : since;
  return {
    stdout: true,
    stderr: true,
    timestamps: options.timestamps ?? false,
    ...(tail === undefined ? {} : { tail }),
    ...(seconds === undefined ? {} : { since: seconds }),
  };
}
