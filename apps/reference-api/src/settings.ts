import { join } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { ReferenceApiErrorCode } from './errors.ts';

/** Where a server is. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** A server that this service is a client of. With TLS, chain and name are verified; the name is `host`. */
export interface Server extends Endpoint {
  readonly tls: boolean;
}

/** `false`: HTTP alone. `true`: HTTPS beside it. `required`: HTTPS, and HTTP on 127.0.0.1 alone, for the container's own health check. */
export type TlsMode = 'false' | 'true' | 'required';

/** Everything that is configured. No secret is among it: those come from Vault. */
export interface Settings {
  /** HTTP. */
  readonly listen: Endpoint;
  /** HTTPS. */
  readonly tls: {
    readonly mode: TlsMode;
    readonly listen: Endpoint;
    /** In its certificate, beside `localhost`. */
    readonly service: string;
    /** How long a certificate lives; the Vault role's own lifetime unless given. */
    readonly certificateTtlS?: number;
  };
  /** PEM file with the roots that every server's certificate is verified against. Read again for each connection: roots are exchanged. */
  readonly rootsFile: string;
  readonly logLevel: LogLevel;
  readonly vault: {
    readonly address: string;
    /** Holds `role-id` and `secret-id`, or `token`. */
    readonly directory: string;
    readonly method: 'approle' | 'token';
    readonly role: string;
  };
  readonly postgres: Server;
  readonly mysql: Server;
  readonly mongodb: Server;
  readonly rabbitmq: Server;
  readonly redis: {
    readonly nodes: readonly [Endpoint, ...Endpoint[]];
    readonly cluster: boolean;
    readonly tls: boolean;
  };
  /** How long requests are still taken after SIGTERM, so that whoever routes them sees `/ready` first. */
  readonly drainDelayMs: number;
  /** How long requests in flight may take after that. */
  readonly drainTimeoutMs: number;
}

/** The levels of pino. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

const tlsModes: readonly TlsMode[] = ['false', 'true', 'required'];
const logLevels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the settings. Throws `SETTING_INVALID`, which names the variable and its value. */
export function readSettings(environment: Environment): Settings {
  const host = text(environment, 'LISTEN_HOST', '0.0.0.0');
  const mode = oneOf(environment, 'DEVSTACK_TLS', tlsModes, 'false');
  const directory = text(environment, 'VAULT_APPROLE_PATH', '/run/approle');
  const role = text(environment, 'DEVSTACK_ROLE', 'reference-api');
  const redisTls = usesTls(environment, 'REDIS');
  const redisPort = redisTls ? 6390 : 6379;
  const certificateTtlS = count(environment, 'DEVSTACK_CERTIFICATE_TTL_SECONDS', 0);
  return {
    listen: { host: mode === 'required' ? '127.0.0.1' : host, port: port(environment, 'LISTEN_PORT', 8080) },
    tls: {
      mode,
      listen: { host, port: port(environment, 'LISTEN_TLS_PORT', 8443) },
      service: text(environment, 'DEVSTACK_SERVICE', 'reference-api'),
      ...(certificateTtlS === 0 ? {} : { certificateTtlS }),
    },
    rootsFile: join(directory, 'ca.pem'),
    logLevel: oneOf(environment, 'LOG_LEVEL', logLevels, 'info'),
    vault: {
      address: text(environment, 'VAULT_ADDR', 'http://vault:8200'),
      directory,
      method: flag(environment, 'VAULT_USE_ROOT_TOKEN', false) ? 'token' : 'approle',
      role,
    },
    postgres: server(environment, 'POSTGRES', 'pgbouncer', { plain: 6432, tls: 6432 }),
    mysql: server(environment, 'MYSQL', 'mysql', { plain: 3306, tls: 3306 }),
    mongodb: server(environment, 'MONGODB', 'mongodb', { plain: 27017, tls: 27018 }),
    rabbitmq: server(environment, 'RABBITMQ', 'rabbitmq', { plain: 5672, tls: 5671 }),
    redis: {
      nodes: nodes(
        environment,
        'REDIS_NODES',
        ['redis-1', 'redis-2', 'redis-3'].map((node) => `${node}:${String(redisPort)}`).join(','),
      ),
      cluster: flag(environment, 'REDIS_CLUSTER', true),
      tls: redisTls,
    },
    drainDelayMs: count(environment, 'DRAIN_DELAY_MS', 2000),
    drainTimeoutMs: count(environment, 'DRAIN_TIMEOUT_MS', 15_000),
  };
}

function text(environment: Environment, name: string, fallback: string): string {
  const value = environment[name];
  return value === undefined || value === '' ? fallback : value;
}

function server(
  environment: Environment,
  prefix: string,
  host: string,
  ports: { readonly plain: number; readonly tls: number },
): Server {
  const tls = usesTls(environment, prefix);
  return {
    host: text(environment, `${prefix}_HOST`, host),
    port: port(environment, `${prefix}_PORT`, tls ? ports.tls : ports.plain),
    tls,
  };
}

// What a server says of itself: as soon as it offers TLS, it is used.
function usesTls(environment: Environment, prefix: string): boolean {
  return oneOf(environment, `${prefix}_TLS`, tlsModes, 'false') !== 'false';
}

function nodes(environment: Environment, name: string, fallback: string): readonly [Endpoint, ...Endpoint[]] {
  const value = text(environment, name, fallback);
  const [first, ...others] = value.split(',').map((word) => {
    const [, host, digits] = /^(.+):(\d{1,5})$/.exec(word.trim()) ?? [];
    if (host === undefined || Number(digits) > 65_535) throw invalid(name, value, 'host:port,host:port');
    return { host, port: Number(digits) };
  });
  if (first === undefined) throw invalid(name, value, 'host:port,host:port');
  return [first, ...others];
}

function port(environment: Environment, name: string, fallback: number): number {
  const value = count(environment, name, fallback);
  if (value > 65_535) throw invalid(name, String(value), 'a port');
  return value;
}

function count(environment: Environment, name: string, fallback: number): number {
  const value = text(environment, name, String(fallback));
  if (!/^\d{1,9}$/.test(value)) throw invalid(name, value, 'a whole number');
  return Number(value);
}

function flag(environment: Environment, name: string, fallback: boolean): boolean {
  return oneOf(environment, name, ['true', 'false'], fallback ? 'true' : 'false') === 'true';
}

function oneOf<T extends string>(environment: Environment, name: string, values: readonly T[], fallback: T): T {
  const value = text(environment, name, fallback);
  const found = values.find((candidate) => candidate === value);
  if (found === undefined) throw invalid(name, value, values.join(', '));
  return found;
}

function invalid(name: string, value: string, expected: string): DevstackError {
  return new DevstackError({
    code: ReferenceApiErrorCode.settingInvalid,
    message: `${name} is "${value}", expected ${expected}.`,
    hint: `Set ${name} in the environment of the service, or leave it out.`,
    details: { name, value, usage: true },
  });
}
