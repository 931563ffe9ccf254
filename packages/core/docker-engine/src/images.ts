import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { DevstackError } from '@devstack-core/errors';
import type { Connection } from './connection.ts';
import { definite, labelFilters, statusCode, type ListContainersOptions } from './containers.ts';
import { toDockerError } from './docker-error.ts';
import { DockerEngineErrorCode } from './errors.ts';
import { asReadable } from './streams.ts';
import type { CommitOptions, ImageDetails, ImageHistoryEntry, ImageSummary } from './types.ts';

/** One message of a pull. */
export interface PullProgress {
  /** E.g. `Downloading`. */
  readonly status: string;
  /** Layer, where the message is about one. */
  readonly layer?: string;
  readonly currentBytes?: number;
  readonly totalBytes?: number;
}

export interface PullOptions {
  readonly onProgress?: (progress: PullProgress) => void;
  readonly signal?: AbortSignal;
}

/** Undefined where the engine has no such image. */
export async function inspectImage(connection: Connection, ref: string): Promise<ImageDetails | undefined> {
  return connection.ask('image', ref, async () => {
    try {
      const image = connection.docker.getImage(ref);
      const [raw, history] = await Promise.all([image.inspect(), image.history() as Promise<RawHistory[]>]);
      // The engine leaves the configuration out of images that have none.
      const config = raw.Config as typeof raw.Config | null;
      return {
        id: raw.Id,
        tags: listed(raw.RepoTags),
        digests: listed(raw.RepoDigests),
        labels: definite(config?.Labels),
        sizeBytes: raw.Size,
        createdAt: raw.Created,
        architecture: raw.Architecture,
        os: raw.Os,
        user: config?.User ?? '',
        entrypoint: words(config?.Entrypoint),
        command: words(config?.Cmd),
        history: history.map(toHistory),
        raw,
      };
    } catch (error) {
      if (statusCode(error) === 404) return undefined;
      throw error;
    }
  });
}

export async function listImages(
  connection: Connection,
  options: Pick<ListContainersOptions, 'labels'>,
): Promise<readonly ImageSummary[]> {
  const filters = { label: labelFilters(options) };
  const rows = await connection.ask('engine', 'images', () => connection.docker.listImages({ filters }));
  return rows.map((row) => ({
    id: row.Id,
    tags: listed(row.RepoTags).filter((tag) => tag !== '<none>:<none>'),
    digests: listed(row.RepoDigests).filter((digest) => digest !== '<none>@<none>'),
    labels: definite(row.Labels),
    sizeBytes: row.Size,
    createdAt: new Date(row.Created * 1000).toISOString(),
  }));
}

export async function imageHistory(connection: Connection, ref: string): Promise<readonly ImageHistoryEntry[]> {
  const rows = (await connection.ask('image', ref, () => connection.docker.getImage(ref).history())) as RawHistory[];
  return rows.map(toHistory);
}

export async function removeImage(
  connection: Connection,
  ref: string,
  options: { readonly force?: boolean },
): Promise<void> {
  await connection.ask('image', ref, () => connection.docker.getImage(ref).remove({ force: options.force ?? false }));
}

/** Makes an image of a container, running or not; gives its id. */
export async function commitContainer(connection: Connection, id: string, options: CommitOptions): Promise<string> {
  const { repository, tag, comment = '', changes = [] } = options;
  const answer = (await connection.ask('container', id, () =>
    connection.docker.getContainer(id).commit({ repo: repository, tag, comment, pause: false, changes: [...changes] }),
  )) as { readonly Id: string };
  return answer.Id;
}

/** Pulls an image and resolves when it is there. An engine tells most failures inside a stream that began with success. */
export async function pullImage(connection: Connection, ref: string, options: PullOptions): Promise<void> {
  const { signal } = options;
  // A reference without tag or digest would pull every tag.
  const full = /(?::[^/]+|@[^/]+)$/.test(ref) ? ref : `${ref}:latest`;
  const request = { fromImage: full, ...(signal === undefined ? {} : { abortSignal: signal }) };
  let stream: Readable;
  try {
    stream = asReadable(await connection.docker.createImage(request));
  } catch (error) {
    const mapped = toDockerError(error, connection.subject('engine', 'pull', signal));
    throw mapped.code === DockerEngineErrorCode.dockerRequestFailed ? pullFailed(ref, mapped.message) : mapped;
  }
  const failure = await readPull(stream, options).catch((error: unknown) => {
    const mapped = toDockerError(error, connection.subject('engine', 'pull', signal));
    throw mapped.code === 'INTERRUPTED' || signal?.aborted === true ? mapped : pullFailed(ref, 'the connection broke');
  });
  if (failure !== undefined) throw pullFailed(ref, failure);
  if ((await inspectImage(connection, full)) === undefined)
    throw pullFailed(ref, 'the engine ended the pull without the image');
}

async function readPull(stream: Readable, { onProgress, signal }: PullOptions): Promise<string | undefined> {
  const stop = (): void => {
    stream.destroy(new Error('aborted'));
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    let failure: string | undefined;
    // readline does not tell errors of its input, so they are raised beside it.
    const broken = Promise.withResolvers<never>();
    stream.once('error', broken.reject);
    const reading = (async () => {
      for await (const line of createInterface({ input: stream })) {
        const message = parsePull(line);
        if (message?.error !== undefined) failure = message.error;
        if (message?.progress !== undefined) onProgress?.(message.progress);
      }
    })();
    await Promise.race([reading, broken.promise]);
    return failure;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function parsePull(line: string): { readonly error?: string; readonly progress?: PullProgress } | undefined {
  if (line.trim() === '') return undefined;
  let row: RawPull;
  try {
    row = JSON.parse(line) as RawPull;
  } catch {
    return { error: 'the engine sent what is no progress message' };
  }
  const error = row.errorDetail?.message ?? row.error;
  if (error !== undefined) return { error };
  const { current, total } = row.progressDetail ?? {};
  return {
    progress: {
      status: row.status ?? '',
      ...(row.id === undefined ? {} : { layer: row.id }),
      ...(current === undefined ? {} : { currentBytes: current }),
      ...(total === undefined ? {} : { totalBytes: total }),
    },
  };
}

interface RawPull {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

interface RawHistory {
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Size: number;
  readonly Comment: string;
}

function toHistory(row: RawHistory): ImageHistoryEntry {
  return {
    createdAt: new Date(row.Created * 1000).toISOString(),
    createdBy: row.CreatedBy,
    sizeBytes: row.Size,
    comment: row.Comment,
  };
}

// The engine writes null for an empty list.
function listed(list: readonly string[] | null | undefined): readonly string[] {
  return list ?? [];
}

function words(value: string | readonly string[] | null | undefined): readonly string[] {
  return value === null || value === undefined ? [] : typeof value === 'string' ? [value] : value;
}

function pullFailed(ref: string, reason: string): DevstackError {
  return new DevstackError({
    code: DockerEngineErrorCode.pullFailed,
    message: `The image ${ref} could not be pulled: ${reason}`,
    hint: 'Check the name, the tag and the way to the registry (`docker pull` shows the same); a private one needs `docker login`.',
    details: { image: ref, reason },
  });
}
