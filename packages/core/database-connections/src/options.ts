import { readPrivateFile } from '@devstack-core/durable-files';
import { isSecret, Secret } from '@devstack-core/redaction';

/** TLS with verification: against `ca` (PEM) or the system's roots, of `servername` or the host's name. */
export interface TlsOptions {
  readonly ca?: string;
  readonly servername?: string;
}

/** A password, or the file that holds it: closed to others, its last line end not counted. */
export type Password = Secret | { readonly file: string };

/** What every `connect…` function takes. */
export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** A file is read at the login; `FILE_TOO_OPEN`, `FILE_MISSING` and the like are errors of `@devstack-core/durable-files`. */
  readonly password: Password;
  readonly database?: string;
  /** No TLS by default. */
  readonly tls?: TlsOptions | false;
  /** Limit of everything up to and including the login; 5000 by default. */
  readonly connectTimeoutMs?: number;
  /** Limit of each command; none by default. A command that exceeds it ends the connection. */
  readonly commandTimeoutMs?: number;
  /** Aborting it ends the attempt, or the connection and what runs on it. */
  readonly signal?: AbortSignal;
}

/** What every connection has. Closing never throws, never takes longer than a second, and may be done twice. */
export interface Connection extends AsyncDisposable {
  close(): Promise<void>;
}

/** A parameter of a query or command; a `Secret` is revealed to the driver alone, and masked in errors. */
export type Parameter = string | number | bigint | boolean | null | Date | Uint8Array | Secret;

/** The `tls.connect` options; drivers pass them on. */
export function tlsOptions({
  host,
  tls,
}: {
  host: string;
  tls?: TlsOptions | false;
}): { ca?: string; servername?: string; rejectUnauthorized: true } | undefined {
  if (tls === undefined || tls === false) return undefined;
  // SNI does not take addresses (RFC 6066), but Node still verifies the certificate against the host.
  const servername = tls.servername ?? (/^[\d.]+$|:/.test(host) ? undefined : host);
  return {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(servername === undefined ? {} : { servername }),
    rejectUnauthorized: true,
  };
}

/** The password itself. */
export async function passwordOf(password: Password): Promise<Secret> {
  if (isSecret(password)) return password;
  return new Secret((await readPrivateFile(password.file)).reveal().replace(/\r?\n$/, ''));
}
