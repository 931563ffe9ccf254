import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { DevstackError, abortReason } from '@devstack-core/errors';
import { isSecret, type Secret } from '@devstack-core/redaction';
import type { Connection } from './connection.ts';
import { DockerEngineErrorCode } from './errors.ts';
import { FrameSplitter } from './frames.ts';
import type { ProgramOutput } from './types.ts';

export interface ExecOptions {
  /** The way for secrets. */
  readonly stdin?: string | Uint8Array | Secret;
  readonly user?: string;
  /** Public: `docker inspect` of the exec shows it. */
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Runs a program in a running container to its end. On timeout and abort the connection is cut; the engine offers no way to end the program itself. */
export async function exec(
  connection: Connection,
  id: string,
  argv: readonly [string, ...string[]],
  options: ExecOptions,
): Promise<ProgramOutput> {
  const { signal } = options;
  const early = abortReason(signal, `${argv[0]} in container ${id}`);
  if (early !== undefined) throw early;
  return connection.ask(
    'container',
    id,
    async () => {
      const { program, stream } = await startExec(connection, id, argv, {
        ...options,
        withStdin: options.stdin !== undefined,
      });
      const output = await exchange(stream, {
        stdin: options.stdin,
        signal,
        timeoutMs: options.timeoutMs,
        timedOut: () => timedOut(argv[0], id, options.timeoutMs ?? 0),
        what: `${argv[0]} in container ${id}`,
      });
      return { exitCode: await exitCodeOf(program), ...output };
    },
    signal,
  );
}

/** Makes the exec and attaches to it. */
export async function startExec(
  connection: Connection,
  id: string,
  argv: readonly [string, ...string[]],
  options: Pick<ExecOptions, 'user' | 'workdir' | 'env'> & { readonly withStdin: boolean },
): Promise<{ readonly program: ExecHandle; readonly stream: Duplex }> {
  const program = await connection.docker.getContainer(id).exec({
    Cmd: [...argv],
    AttachStdin: options.withStdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    ...(options.user === undefined ? {} : { User: options.user }),
    ...(options.workdir === undefined ? {} : { WorkingDir: options.workdir }),
    ...(options.env === undefined
      ? {}
      : { Env: Object.entries(options.env).map(([name, value]) => `${name}=${value}`) }),
  });
  return { program, stream: await program.start({ hijack: true, stdin: options.withStdin }) };
}

interface ExecHandle {
  inspect(): Promise<{ Running: boolean; ExitCode: number | null }>;
}

/** What an exchange over an attached stream needs. */
export interface Exchange {
  readonly stdin: string | Uint8Array | Secret | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly timedOut: () => DevstackError;
  readonly what: string;
}

/** Sends the input, closes that half, and collects the output until the other side ends. */
export async function exchange(
  stream: Duplex,
  options: Exchange,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { signal } = options;
  const stopped = Promise.withResolvers<never>();
  // Whoever wins the race leaves this promise alone.
  stopped.promise.catch(() => undefined);
  const stop = (error: DevstackError): void => {
    stopped.reject(error);
    stream.destroy();
  };
  const onAbort = (): void => {
    const reason = abortReason(signal, options.what);
    if (reason !== undefined) stop(reason);
  };
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          stop(options.timedOut());
        }, options.timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  onAbort();
  try {
    const output = collect(stream);
    output.catch(() => undefined);
    if (options.stdin !== undefined) stream.end(bytesOf(options.stdin));
    return await Promise.race([output, stopped.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    stream.destroy();
  }
}

/** The bytes of a text, of bytes, or of a secret. */
export function bytesOf(content: string | Uint8Array | Secret): Buffer {
  const value: unknown = isSecret(content) ? content.reveal() : content;
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value), 'utf8');
}

async function collect(stream: Duplex): Promise<{ stdout: string; stderr: string }> {
  const splitter = new FrameSplitter();
  const parts: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  // The program may end before it has read its input: what then fails is the writing, which does not matter.
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  stream.on('data', (chunk: Buffer) => {
    for (const part of splitter.push(chunk)) parts[part.stream].push(part.bytes);
  });
  stream.once('end', () => {
    resolve(undefined);
  });
  stream.once('close', () => {
    resolve(undefined);
  });
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') resolve(undefined);
    else reject(error);
  });
  await promise;
  return { stdout: Buffer.concat(parts.stdout).toString('utf8'), stderr: Buffer.concat(parts.stderr).toString('utf8') };
}

/** The engine ends the output a moment before it notes the exit code. */
export async function exitCodeOf(program: ExecHandle): Promise<number> {
  for (let attempt = 0; ; attempt += 1) {
    const state = await program.inspect();
    if (!state.Running && state.ExitCode !== null) return state.ExitCode;
    if (attempt >= 100) throw new Error('the engine still lists the program as running 5 s after its output ended');
    await delay(Math.min(5 * (attempt + 1), 50));
  }
}

function timedOut(program: string, id: string, timeoutMs: number): DevstackError {
  return new DevstackError({
    code: DockerEngineErrorCode.execTimedOut,
    message: `${program} in container ${id} did not end within ${String(timeoutMs)} ms.`,
    hint: 'It may still run there; look with `docker top`, or allow it more time.',
    details: { container: id, program, timeoutMs },
  });
}
