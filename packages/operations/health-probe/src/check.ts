import type { TlsOptions } from '@devstack-core/database-connections';
import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { HealthProbeErrorCode } from './errors.ts';
import type { ProbeOptions } from './options.ts';

/** How one protocol is checked. */
export interface Check {
  /** What the check does, for a result: also when it could not be done. */
  describe(context: CheckContext): string;
  /** Resolves with what the healthy service told of itself; throws `Unhealthy` or a `DevstackError`. */
  run(context: CheckContext): Promise<Readonly<Record<string, unknown>>>;
}

/** What a check works with. */
export interface CheckContext extends ProbeOptions {
  readonly timeoutMs: number;
  /** Aborted when the probe's time is up or the caller gives up. */
  readonly signal: AbortSignal;
}

/** A service that answered, but does not serve. */
export class Unhealthy extends Error {
  readonly finding: {
    readonly reason: string;
    readonly answered?: string;
    readonly nextStep: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };

  constructor(finding: Unhealthy['finding']) {
    super(finding.reason);
    this.finding = finding;
  }
}

/** The user of a probe; a probe that has none throws `PROBE_CREDENTIAL_MISSING`. */
export function usernameOf({ credentials }: ProbeOptions, fallback?: string): string {
  const username = credentials?.['username']?.reveal() ?? fallback;
  if (username === undefined) throw credentialMissing('username');
  return username;
}

/** The connection options that all database checks share. */
export function connectionOptions(
  context: CheckContext,
  fallbackUsername?: string,
): {
  host: string;
  port: number;
  username: string;
  password: Secret;
  database?: string;
  tls: TlsOptions | false;
  connectTimeoutMs: number;
  signal: AbortSignal;
} {
  const { host, port, credentials, tls = false, timeoutMs, signal } = context;
  const password = credentials?.['password'];
  if (password === undefined) throw credentialMissing('password');
  const database = credentials?.['database']?.reveal();
  return {
    host,
    port,
    username: usernameOf(context, fallbackUsername),
    password,
    ...(database === undefined ? {} : { database }),
    tls,
    connectTimeoutMs: timeoutMs,
    signal,
  };
}

function credentialMissing(field: string): DevstackError {
  return new DevstackError({
    code: HealthProbeErrorCode.credentialMissing,
    message: `The probe needs the credential "${field}".`,
    hint: `Hand it in as credentials.${field}.`,
    details: { field },
  });
}
