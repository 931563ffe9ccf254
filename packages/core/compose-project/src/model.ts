/** Where something is written, for messages. */
export interface SourceLocation {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

/** A published port. */
export interface PortModel {
  /** Its name in `x-devstack.ports`, otherwise the container's port number. */
  readonly name: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly hostAddress: string;
  readonly transport: 'tcp' | 'udp' | 'sctp';
  /** The variable that changes the host port. */
  readonly variable?: string;
}

/** A Linux capability that a service adds, and why. */
export interface CapabilityModel {
  /** As written in `cap_add`, e.g. `NET_BIND_SERVICE`. */
  readonly name: string;
  readonly reason: string;
}

/** What a service may use; undefined means without limit. */
export interface LimitsModel {
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly pids?: number;
}

/** A service's health check, times in milliseconds (Docker's own defaults where the file says none). */
export interface HealthcheckModel {
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly retries: number;
}

/** One edge of `depends_on`. */
export interface DependencyModel {
  readonly service: string;
  readonly condition: 'service_started' | 'service_healthy' | 'service_completed_successfully';
}

/** One entry of a service's `volumes` (and of its `tmpfs`). */
export interface MountModel {
  readonly type: 'volume' | 'bind' | 'tmpfs' | 'npipe' | 'cluster';
  /** Name of a volume (its key in the compose file) or an absolute path on the host; empty for tmpfs and anonymous volumes. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** One service as the compose files declare it. */
export interface ServiceModel {
  readonly name: string;
  readonly title?: string;
  /** Empty: the service belongs to every profile. */
  readonly profiles: readonly string[];
  readonly image: string;
  /** The variable that changes the image. */
  readonly imageVariable?: string;
  readonly build?: {
    readonly context: string;
    readonly dockerfile: string;
    readonly args: Readonly<Record<string, string>>;
    readonly target?: string;
  };
  readonly containerName?: string;
  /** Vault role. */
  readonly role?: string;
  readonly uid?: number;
  readonly engine?: string;
  readonly protocol?: string;
  readonly user?: string;
  readonly ports: readonly PortModel[];
  /** Every port of `x-devstack.ports`, published or not: name to the container's port. */
  readonly containerPorts: Readonly<Record<string, number>>;
  readonly networks: readonly { readonly name: string; readonly address?: string }[];
  readonly dependsOn: readonly string[];
  readonly dependencies: readonly DependencyModel[];
  readonly mounts: readonly MountModel[];
  /** Environment of the container; undefined stands for a variable that is passed through. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly CapabilityModel[];
  readonly capabilitiesAdded: readonly string[];
  readonly capabilitiesDropped: readonly string[];
  readonly securityOptions: readonly string[];
  readonly readOnlyRoot: boolean;
  readonly privileged: boolean;
  readonly restart: string;
  readonly limits: LimitsModel;
  readonly healthcheck?: HealthcheckModel;
  readonly authentication: 'approle' | 'none';
  /** The whole `x-devstack` mapping, for fields that only one reader knows. */
  readonly extension: Readonly<Record<string, unknown>>;
  readonly source: SourceLocation;
}

/** One network as the compose files declare it. */
export interface NetworkModel {
  /** Its key in the compose files. */
  readonly name: string;
  /** The name on the engine. */
  readonly engineName: string;
  readonly driver: string;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly internal: boolean;
  readonly external: boolean;
  /** True where containers can reach the outside world: not internal, and the bridge masquerades. */
  readonly egress: boolean;
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly source: SourceLocation;
}

/** A variable that the compose files use, in the order of its first use. */
export interface VariableModel {
  readonly name: string;
  readonly default?: string;
  readonly required: boolean;
  readonly source: SourceLocation;
}

/** The stack as data: what the compose files declare with all variables filled in. */
export interface ComposeModel {
  /** Every file read, includes too, absolute. */
  readonly files: readonly string[];
  readonly name: string;
  readonly services: readonly ServiceModel[];
  readonly networks: readonly NetworkModel[];
  /** Keys of the named volumes. */
  readonly volumes: readonly string[];
  readonly profiles: readonly string[];
  readonly variables: readonly VariableModel[];
  /** Throws UNKNOWN_SERVICE, saying which name is near. */
  service(name: string): ServiceModel;
  /** Services that a profile starts, those without a profile included. Throws UNKNOWN_PROFILE. */
  servicesOf(profile: string): readonly ServiceModel[];
  /** The name on the engine of a volume's key: its own `name`, otherwise `<project>_<key>`. */
  volumeName(key: string): string;
  /**
   * Where a path is written, e.g. `['services', 'web', 'cap_add', 0]`: in the last file that has it, otherwise its nearest written parent.
   * What comes through a merge key or an anchor is placed at the service that takes it.
   */
  locate(path: readonly (string | number)[]): SourceLocation;
}
