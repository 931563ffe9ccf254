import { DevstackError, abortReason, interrupted, isDevstackError } from '@devstack-core/errors';
import { DockerEngineErrorCode as Code } from './errors.ts';

/** What a call was about, to name it in its error. */
export interface Subject {
  readonly kind: 'container' | 'image' | 'volume' | 'network' | 'engine';
  readonly name: string;
  readonly endpoint: string;
  readonly signal?: AbortSignal | undefined;
}

const notFound = {
  container: Code.containerNotFound,
  image: Code.imageNotFound,
  volume: Code.volumeNotFound,
  network: Code.networkNotFound,
  engine: Code.dockerRequestFailed,
} as const;
const deadCodes = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ECONNRESET',
  'EPIPE',
  'ENOTDIR',
]);

/** Runs an engine call and gives its failure a code, a sentence and a next step. Foreign errors stay behind: they may quote a request. */
export async function asking<T>(subject: Subject, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toDockerError(error, subject);
  }
}

/** The `DevstackError` for what dockerode throws: errors and plain objects with `statusCode`, system errors, aborts. */
export function toDockerError(error: unknown, subject: Subject): DevstackError {
  if (isDevstackError(error)) return error;
  const about = `${subject.kind} ${subject.name}`;
  const aborted = abortReason(subject.signal, about);
  if (aborted !== undefined) return aborted;
  const systemCode = field(error, 'code');
  if (systemCode === 'ABORT_ERR') return interrupted(about);
  if (systemCode === 'EACCES' || systemCode === 'EPERM') return permissionDenied(subject.endpoint);
  if (typeof systemCode === 'string' && deadCodes.has(systemCode)) return unreachable(subject.endpoint, systemCode);
  const statusCode = field(error, 'statusCode');
  const said = engineMessage(error);
  if (typeof statusCode !== 'number' && /ssh/i.test(subject.endpoint)) return unreachable(subject.endpoint, said);
  return fromStatus(typeof statusCode === 'number' ? statusCode : undefined, said, subject);
}

/** The HTTP status in an engine's answer, if that is what failed. */
export function statusOf(error: unknown): number | undefined {
  const status = field(error, 'statusCode');
  return typeof status === 'number' ? status : undefined;
}

/** The engine does not answer at this address. */
export function unreachable(endpoint: string, reason: string): DevstackError {
  const isLocal = endpoint.startsWith('unix:') || endpoint.startsWith('npipe:');
  return new DevstackError({
    code: Code.dockerUnreachable,
    message: `The Docker engine at ${endpoint} does not answer (${reason}).`,
    hint: isLocal
      ? 'Start it: `sudo systemctl start docker`, `sudo dockerd` where there is no systemd, or Docker Desktop. If it runs elsewhere, set DOCKER_HOST or choose a context (`docker context ls`).'
      : 'Check the address (DOCKER_HOST, or `docker context ls`) and that the engine runs on that machine.',
    details: { endpoint, reason },
  });
}

function permissionDenied(endpoint: string): DevstackError {
  return new DevstackError({
    code: Code.dockerPermissionDenied,
    message: `This user may not use the Docker engine at ${endpoint}.`,
    hint: 'Run `sudo usermod -aG docker "$USER"` and log in again, or run the command with sudo.',
    details: { endpoint },
  });
}

function fromStatus(status: number | undefined, said: string, subject: Subject): DevstackError {
  const details = { endpoint: subject.endpoint, [subject.kind]: subject.name, status: status ?? null };
  const port =
    /(?:Bind for |listen \w+ )(\[[^\]]*\]|[\d.]*):(\d+)[ :].*(?:already allocated|address already in use)/.exec(said);
  if (port !== null) return portInUse(Number(port[2]), port[1] ?? '', details);
  const missingImage = /no such image:? *([^\s,]*)/i.exec(said);
  if (status === 404 && (subject.kind === 'image' || missingImage !== null))
    return imageMissing(subject.kind === 'image' ? subject.name : (missingImage?.[1] ?? ''), details);
  if (status === 404 && subject.kind !== 'engine') {
    return new DevstackError({
      code: notFound[subject.kind],
      message: `There is no ${subject.kind} ${subject.name}.`,
      hint: `See \`docker ${subject.kind} ls${subject.kind === 'container' ? ' --all' : ''}\`.`,
      details,
    });
  }
  // For an exec the engine says 409, or 500 where the container ended between its making and its start.
  const isDown = (status === 409 || status === 500) && /\bnot running\b/.test(said);
  const isConflict = status === 409 || isDown;
  const held = isDown
    ? 'It has ended; its log says why (`docker logs`).'
    : 'Something else uses or holds it; stop or remove that first.';
  return new DevstackError({
    code: isConflict ? Code.dockerConflict : Code.dockerRequestFailed,
    message: `The Docker engine refused a request about ${subject.kind} ${subject.name}${status === undefined ? '' : ` (HTTP ${String(status)})`}: ${said}`,
    hint: isConflict ? held : 'The engine log has more (`journalctl -u docker`).',
    details,
  });
}

function portInUse(port: number, address: string, details: Readonly<Record<string, unknown>>): DevstackError {
  return new DevstackError({
    code: Code.portInUse,
    message: `Port ${String(port)}${address === '' ? '' : ` on ${address}`} is in use already.`,
    hint: `Find its holder with \`ss -ltnp 'sport = :${String(port)}'\`, stop it, or publish another port.`,
    details: { ...details, port, address },
  });
}

function imageMissing(image: string, details: Readonly<Record<string, unknown>>): DevstackError {
  return new DevstackError({
    code: Code.imageNotFound,
    message: `There is no image ${image} on this engine.`,
    hint: `Build it, or pull it: docker pull ${image}`,
    details: { ...details, image },
  });
}

function engineMessage(error: unknown): string {
  const json = field(error, 'json');
  const fromJson = field(json, 'message');
  if (typeof fromJson === 'string') return fromJson.trim();
  if (Buffer.isBuffer(json)) return json.toString('utf8').trim();
  const message = field(error, 'message');
  if (typeof message === 'string') return message.trim();
  return typeof error === 'string' ? error.trim() : 'unknown error';
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && key in value
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
