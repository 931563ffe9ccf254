import { DevstackError } from '@devstack-core/errors';
import { ReferenceApiErrorCode } from './errors.ts';

/** Where a server is. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Everything that is configured. No secret is among it: those come from Vault. */
export interface Settings {
  readonly listen: Endpoint;
  readonly logLevel: LogLevel;
  readonly vault: {
    readonly address: string;
    /** Holds `role-id` and `secret-id`, or `token`. */
    readonly directory: string;
    readonly method: 'approle' | 'token';
    readonly role: string;
  };
  readonly postgres: Endpoint;
  readonly mysql: Endpoint;
  readonly mongodb: Endpoint;
  readonly rabbitmq: Endpoint;
  readonly redis: { readonly nodes: readonly [Endpoint, ...Endpoint[]]; readonly cluster: boolean };
  /** How long requests are still taken after SIGTERM, so that whoever routes them sees `/ready` first. */
  readonly drainDelayMs: number;
  /** How long requests in flight may take after that. */
  readonly drainTimeoutMs: number;
}

/** The levels of pino. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

const logLevels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the settings. Throws `SETTING_INVALID`, which names the variable and its value. */
export function readSettings(environment: Environment): Settings {
  return {
    listen: { host: text(environment, 'LISTEN_HOST', '0.0.0.0'), port: port(environment, 'LISTEN_PORT', 8080) },
    logLevel: oneOf(environment, 'LOG_LEVEL', logLevels, 'info'),
    vault: {
      address: text(environment, 'VAULT_ADDR', 'http://vault:8200'),
      directory: text(environment, 'VAULT_APPROLE_PATH', '/run/approle'),
      method: flag(environment, 'VAULT_USE_ROOT_TOKEN', false) ? 'token' : 'approle',
      role: text(environment, 'DEVSTACK_ROLE', 'reference-api'),
    },
    postgres: endpoint(environment, 'POSTGRES', 'pgbouncer', 6432),
    mysql: endpoint(environment, 'MYSQL', 'mysql', 3306),
    mongodb: endpoint(environment, 'MONGODB', 'mongodb', 27017),
    rabbitmq: endpoint(environment, 'RABBITMQ', 'rabbitmq', 5672),
    redis: {
      nodes: nodes(environment, 'REDIS_NODES', 'redis-1:6379,redis-2:6379,redis-3:6379'),
      cluster: flag(environment, 'REDIS_CLUSTER', true),
    },
    drainDelayMs: count(environment, 'DRAIN_DELAY_MS', 2000),
    drainTimeoutMs: count(environment, 'DRAIN_TIMEOUT_MS', 15_000),
  };
}

function text(environment: Environment, name: string, fallback: string): string {
  const value = environment[name];
  return value === undefined || value === '' ? fallback : value;
}

function endpoint(environment: Environment, prefix: string, host: string, defaultPort: number): Endpoint {
  return { host: text(environment, `${prefix}_HOST`, host), port: port(environment, `${prefix}_PORT`, defaultPort) };
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
