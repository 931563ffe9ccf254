import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { isSecret, SecretRegistry, type Secret } from '@devstack-core/redaction';
import { DatabaseConnectionsErrorCode as Code } from './errors.ts';

/** Whom an error is about. */
export interface Target {
  /** As people write it: `PostgreSQL`. */
  readonly engine: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: Secret;
}

/** What an engine's own knowledge makes of a driver's error. */
export interface Failure {
  readonly kind: keyof typeof Code;
  readonly serverCode?: string;
  readonly text?: string;
}

/** Tells what a driver's error means, or nothing where it is not the engine's own. */
export type Classify = (error: ForeignError) => Failure | undefined;

/** The fields of drivers' errors that are looked at. */
export interface ForeignError {
  readonly name: string;
  readonly message: string;
  readonly code?: unknown;
  readonly errno?: unknown;
}

/**
 * A driver's error as ours. Nothing of the driver's object survives (ioredis keeps AUTH's arguments in it): only the server's text
 * does, with the password and the given secrets masked, in case the server repeats what it was sent.
 */
export function connectionError(
  target: Target,
  error: unknown,
  classify: Classify,
  secrets: readonly unknown[] = [],
): DevstackError {
  if (isDevstackError(error)) return error;
  const foreign = asForeign(error);
  const { kind, serverCode, text } = classify(foreign) ??
    classifyCommon(foreign) ?? { kind: 'database' as const, text: foreign.message };
  const shown = text === undefined ? undefined : mask(text, [target.password, ...secrets]);
  return failure(target, kind, shown, serverCode);
}

const phrases: Readonly<Record<keyof typeof Code, readonly [phrase: string, hint: string]>> = {
  refused: ['cannot be reached', 'Check that the server runs and listens on this port.'],
  hostUnknown: ['cannot be found: the host name has no address', 'Check the host name and the name server.'],
  authenticationFailed: [
    'refused the login',
    'Check the username and the password, and whether the password was changed on one side only.',
  ],
  timedOut: [
    'did not answer in time',
    'Check whether the server is overloaded, still starting, or another program on this port.',
  ],
  lost: ['closed the connection', "Look into the server's log, then try again."],
  protocolMismatch: ['does not speak this protocol', 'Check the port: another service seems to answer there.'],
  tlsFailed: [
    'could not agree on TLS',
    'Check that the server offers TLS, the certificate authority (`ca`) and the name in its certificate.',
  ],
  database: ['answered with an error', "Look up the server's code."],
};

/** The error for a kind of failure: names engine, address and user. */
export function failure(target: Target, kind: keyof typeof Code, text?: string, serverCode?: string): DevstackError {
  const { engine, host, port, username } = target;
  const [phrase, hint] = phrases[kind];
  return new DevstackError({
    code: Code[kind],
    message: `${engine} at ${host}:${String(port)} ${phrase} (user "${username}")${text === undefined || text === '' ? '' : `: ${text}`}${text?.endsWith('.') === true ? '' : '.'}`,
    hint,
    details: { engine, host, port, username, ...(serverCode === undefined ? {} : { serverCode }) },
  });
}

const reachCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'ENETDOWN',
  'EACCES',
  'EPERM',
]);
const lostCodes = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
  'ERR_SOCKET_CLOSED',
]);
const tlsCode =
  /^(?:ERR_(?:TLS|SSL)_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_)/;

/** What the operating system's and Node's own error codes mean, for every engine. */
export function classifyCommon({ code, message }: ForeignError): Failure | undefined {
  if (typeof code !== 'string') return undefined;
  if (reachCodes.has(code)) return { kind: 'refused', text: code };
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EAI_FAIL') return { kind: 'hostUnknown', text: code };
  if (code === 'ETIMEDOUT' || code === 'ESOCKETTIMEDOUT') return { kind: 'timedOut', text: code };
  if (lostCodes.has(code)) return { kind: 'lost', text: code };
  if (tlsCode.test(code)) return { kind: 'tlsFailed', text: `${message.split('\n')[0] ?? ''} (${code})` };
  return undefined;
}

function asForeign(error: unknown): ForeignError {
  // Node tries each address of a name and reports all failures as one.
  if (error instanceof AggregateError && error.errors.length > 0) return asForeign(error.errors[0]);
  if (error instanceof Error) return error;
  return { name: 'Error', message: String(error) };
}

/** A server's text without the secrets; where one is too short to be found safely, without the text. */
function mask(text: string, secrets: readonly unknown[]): string | undefined {
  const registry = new SecretRegistry();
  let masked = text;
  for (const secret of secrets) {
    const value = isSecret(secret) ? secret.reveal() : undefined;
    if (typeof value !== 'string' || value === '') continue;
    if (value.length < 4 && text.includes(value)) return undefined;
    registry.add(value);
    masked = masked.replaceAll(value, '[secret]');
  }
  return registry.redact(masked);
}
