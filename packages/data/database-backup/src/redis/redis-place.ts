import type { TlsOptions } from '@devstack-core/database-connections';
import type { DockerEngine } from '@devstack-core/docker-engine';
import type { Secret } from '@devstack-core/redaction';

/** One server, and where this machine reaches it. */
export interface RedisNode {
  readonly container: string;
  readonly connect: { readonly host: string; readonly port: number; readonly tls?: TlsOptions };
}

/** All masters of a cluster, or one server that is none. The user needs the rights of an administrator. */
export interface RedisPlace {
  readonly docker: DockerEngine;
  readonly username: string;
  /** Undefined for a server that asks for none: throwaway places only. */
  readonly password: Secret | undefined;
  readonly nodes: readonly RedisNode[];
  /** Nobody else uses it, so that it may be loaded anew for a check. */
  readonly isThrowaway?: boolean;
}
