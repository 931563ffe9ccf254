import type { Secret } from '@devstack-core/redaction';

/** The protocols that a service can be probed by. */
export type Protocol =
  | 'vault'
  | 'postgresql'
  | 'pgbouncer'
  | 'redis'
  | 'redis-cluster'
  | 'mysql'
  | 'mongodb'
  | 'rabbitmq'
  | 'forgejo'
  | 'http'
  | 'tcp';

/** Which service to probe, where, and as whom. */
export interface ProbeOptions {
  /** The name in the result; the protocol's by default. */
  readonly service?: string;
  /** One of `Protocol`; the service's name by default. A plain string, as it usually comes from data. */
  readonly protocol?: string;
  readonly host: string;
  readonly port: number;
  /** More ports of the service by name; carried along for callers. */
  readonly ports?: Readonly<Record<string, number>>;
  /** `username`, `password` and `database` are used where the protocol has them; others are left alone. PgBouncer's database is `devstack` by default. */
  readonly credentials?: Readonly<Record<string, Secret>>;
  /** From the address that a Redis cluster node announces to the one it is reached at from here. */
  readonly natMap?: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  /** MongoDB: the database that the user was made in; `admin` by default. */
  readonly authSource?: string;
  /** HTTP: what is asked for; `/ready` by default. */
  readonly path?: string;
  /** Speaks TLS, verified against this authority or the system's. */
  readonly tls?: { readonly ca?: string; readonly servername?: string } | false;
  /** Limit of the whole probe; 5000 by default. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What a probe found. */
export interface ProbeResult {
  readonly service: string;
  readonly protocol: string;
  readonly healthy: boolean;
  /** What proves health, as the service was asked: `SELECT 1 as devstack`. */
  readonly checked: string;
  readonly latencyMs: number;
  /** Why it is not healthy, in one sentence. */
  readonly reason?: string;
  /** Whom and what was tried: `postgresql as "devstack" at 127.0.0.1:5432`. */
  readonly tried?: string;
  /** What answered, if anything. */
  readonly answered?: string;
  readonly nextStep?: string;
  /** The code of the error that ended the probe. */
  readonly code?: string;
  /** Versions, counts and states that the service told. */
  readonly details: Readonly<Record<string, unknown>>;
}
