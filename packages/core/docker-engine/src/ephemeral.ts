import type { Duplex, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { DevstackError, abortReason } from '@devstack-core/errors';
import type { Connection } from './connection.ts';
import { createContainer, listContainers, removeContainer, startContainer } from './containers.ts';
import { DockerEngineErrorCode } from './errors.ts';
import { exchange } from './exec.ts';
import { asDuplex, asReadable } from './streams.ts';
import type { ContainerSpec, EphemeralSpec, ProgramOutput } from './types.ts';

/** Marks containers that nobody should miss. */
export const ephemeralLabel = 'io.devstack.ephemeral';

/** A container that is removed, killed if need be, when it goes out of scope. */
export interface EphemeralContainer extends AsyncDisposable {
  readonly id: string;
  remove(): Promise<void>;
}

/** Makes a container for `await using`. It is not started. */
export async function ephemeralContainer(
  connection: Connection,
  spec: ContainerSpec,
  signal?: AbortSignal,
): Promise<EphemeralContainer> {
  const id = await createContainer(
    connection,
    { ...spec, labels: { ...spec.labels, [ephemeralLabel]: 'true' } },
    signal,
  );
  const remove = (): Promise<void> => removeContainer(connection, id, { force: true, volumes: true });
  return { id, remove, [Symbol.asyncDispose]: remove };
}

export interface LeftoverOptions {
  /** Younger ones may belong to a process that is at work; ten minutes unless given. */
  readonly olderThanMs?: number;
  /** Only those with these labels. */
  readonly labels?: Readonly<Record<string, string | true>>;
}

/** Removes ephemeral containers that do not run and that a killed process left behind. Gives their names. */
export async function removeEphemeralLeftovers(
  connection: Connection,
  options: LeftoverOptions,
): Promise<readonly string[]> {
  const latest = Date.now() - (options.olderThanMs ?? 600_000);
  const rows = await listContainers(connection, { all: true, labels: { ...options.labels, [ephemeralLabel]: true } });
  const isOver = new Set(['created', 'exited', 'dead']);
  const leftovers = rows.filter((row) => isOver.has(row.state) && Date.parse(row.createdAt) <= latest);
  await Promise.all(leftovers.map((row) => removeContainer(connection, row.id, { force: true, volumes: true })));
  return leftovers.map((row) => row.name);
}

/** Runs one program in a container of its own; the container is gone afterwards, on success, error, timeout and abort. */
export async function runEphemeral(connection: Connection, spec: EphemeralSpec): Promise<ProgramOutput> {
  const { signal } = spec;
  const what = `${spec.argv[0]} in a container of ${spec.image}`;
  const early = abortReason(signal, what);
  if (early !== undefined) throw early;
  // No abort while it is being made: a container that the engine made for nobody would stay.
  await using container = await ephemeralContainer(connection, toContainer(spec));
  const { id } = container;
  const [stream, exit] = await connection.ask('container', id, () =>
    Promise.all([attach(connection, id, spec.stdin !== undefined), awaitExit(connection, id)]),
  );
  await startContainer(connection, id);
  const output = await connection.ask(
    'container',
    id,
    () =>
      exchange(stream, { stdin: spec.stdin, signal, timeoutMs: spec.timeoutMs, what, timedOut: () => timedOut(spec) }),
    signal,
  );
  return { exitCode: await exit.code, ...output };
}

function toContainer(spec: EphemeralSpec): ContainerSpec {
  const [program, ...rest] = spec.argv;
  return {
    image: spec.image,
    entrypoint: [program],
    argv: rest,
    network: spec.network ?? 'none',
    capDrop: spec.capDrop ?? ['ALL'],
    securityOptions: ['no-new-privileges'],
    // The engine removes it even if this process is killed.
    autoRemove: true,
    stdin: spec.stdin !== undefined,
    ...(spec.capAdd === undefined ? {} : { capAdd: spec.capAdd }),
    ...(spec.binds === undefined ? {} : { binds: spec.binds }),
    ...(spec.tmpfs === undefined ? {} : { tmpfs: spec.tmpfs }),
    ...(spec.env === undefined ? {} : { env: spec.env }),
    ...(spec.labels === undefined ? {} : { labels: spec.labels }),
    ...(spec.user === undefined ? {} : { user: spec.user }),
    ...(spec.workdir === undefined ? {} : { workdir: spec.workdir }),
    ...(spec.readOnlyRoot === undefined ? {} : { readOnlyRoot: spec.readOnlyRoot }),
    ...(spec.memoryBytes === undefined ? {} : { memoryBytes: spec.memoryBytes }),
  };
}

async function attach(connection: Connection, id: string, withStdin: boolean): Promise<Duplex> {
  const stream = await connection.docker
    .getContainer(id)
    .attach({ stream: true, stdin: withStdin, stdout: true, stderr: true, hijack: true });
  return asDuplex(stream);
}

// The engine answers with headers when it waits and with the code when the container ended, so no fast program is missed,
// even one that the engine has removed by then. dockerode's own wait resolves at the end only.
async function awaitExit(connection: Connection, id: string): Promise<{ readonly code: Promise<number> }> {
  const { promise, resolve, reject } = Promise.withResolvers<Readable>();
  const request = {
    path: `/containers/${id}/wait?`,
    method: 'POST',
    isStream: true,
    statusCodes: { 200: true, 404: 'no such container', 500: 'server error' },
    options: { _query: { condition: 'next-exit' }, _body: {} },
  };
  dialer(connection.docker.modem).dial(request, (error, stream) => {
    if (error === null || error === undefined) resolve(asReadable(stream));
    else reject(error);
  });
  const stream = await promise;
  const code = text(stream).then((body) => (JSON.parse(body) as { StatusCode: number }).StatusCode);
  code.catch(() => undefined);
  return { code };
}

interface Modem {
  dial(request: unknown, callback: (error: unknown, stream: unknown) => void): void;
}

function dialer(modem: unknown): Modem {
  return modem as Modem;
}

function timedOut(spec: EphemeralSpec): DevstackError {
  return new DevstackError({
    code: DockerEngineErrorCode.containerTimedOut,
    message: `${spec.argv[0]} in a container of ${spec.image} did not end within ${String(spec.timeoutMs)} ms; the container is removed.`,
    hint: 'Allow it more time, or look why it hangs.',
    details: { image: spec.image, program: spec.argv[0], timeoutMs: spec.timeoutMs },
  });
}
