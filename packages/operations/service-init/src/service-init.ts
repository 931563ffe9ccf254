import type { Secret } from '@devstack-core/redaction';
import type { ServiceTls } from './tls.ts';

/** One version of one KV v2 secret. The creation time tells two Vaults apart whose version numbers happen to agree. */
export interface SecretVersion {
  /** KV v2 version number; 0 when the secret does not exist. */
  readonly version: number;
  /** RFC 3339, as Vault says it; empty when the secret does not exist. */
  readonly createdTime: string;
}

/** A user of this server that belongs to another service: the server holds a verifier of its password where the engine takes one. */
export interface ServiceClient {
  readonly username: string;
  /** What the server stores instead of the password: SCRAM verifier, `*HEX`, SHA-256 hex, RabbitMQ hash. */
  readonly verifier?: Secret;
  /** Only where the engine takes no verifier (MongoDB protocol). */
  readonly password?: Secret;
  /** The Vault role of the service that logs in as this user. */
  readonly role: string;
  /** What the user may do here; each engine knows its own kinds. */
  readonly grants: string;
}

/** Everything an engine needs to get its server ready. Nothing here is read from the process: container-init gathers it. */
export interface ServiceInitContext {
  /** Compose service, for example `redis-2`. */
  readonly service: string;
  /** Vault role, for example `redis`. */
  readonly role: string;
  /** Fields of `secret/services/<role>`. Use `secretField` to read one that must be there. */
  readonly secrets: Readonly<Record<string, Secret>>;
  /** Entries of `secret/services/<role>/clients`, sorted by username. */
  readonly clients: readonly ServiceClient[];
  readonly versions: { readonly secrets: SecretVersion; readonly clients: SecretVersion };
  /** Private tmpfs of the container (0700, the service's user): the only place for rendered credentials. */
  readonly credentialsDirectory: string;
  /** Root of the service's data volume. */
  readonly dataDirectory: string;
  /** Read-only folder with the engine's own configuration (`configs/<engine>`). */
  readonly configDirectory: string;
  /** Folder with the container's login and `ca.pem`. */
  readonly approleDirectory: string;
  /** The server's certificate, where it is to speak TLS. */
  readonly tls?: ServiceTls | undefined;
  /** The container's environment: no secrets, only settings such as `DEVSTACK_REDIS_SLOTS`. */
  readonly settings: Readonly<Record<string, string | undefined>>;
  /** Arguments of the container (`command:`), for the server. */
  readonly arguments: readonly string[];
  /** One line for the people who read the container's log; never a secret. */
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** The program that the container becomes. */
export interface PreparedService {
  /** Absolute path of the server's program, and its arguments: no secret in them. */
  readonly argv: readonly [string, ...string[]];
  /** Added to the container's environment; no secret in it. */
  readonly env: Readonly<Record<string, string>>;
  /** Files that nothing needs any more; container-init removes them just before it becomes the server. */
  readonly unlink?: readonly string[];
}

/** What container-init runs for one engine. */
export interface ServiceInit {
  readonly engine: string;
  /**
   * Renders the credential files, does the first start or applies a changed password, and says what to become.
   * Safe to be killed at any moment and started again; does no work on the data when the versions are those of the last start.
   */
  prepare(context: ServiceInitContext): Promise<PreparedService>;
}

/** A `ServiceInit` whose code (and drivers) is loaded when it is needed, so that the start of every other engine stays fast. */
export function lazyServiceInit(engine: string, load: () => Promise<ServiceInit>): ServiceInit {
  return {
    engine,
    async prepare(context) {
      return (await load()).prepare(context);
    },
  };
}
