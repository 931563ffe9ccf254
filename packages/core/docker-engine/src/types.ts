import type { Readable } from 'node:stream';
import type { Secret } from '@devstack-core/redaction';

/** The engine's versions. */
export interface EngineVersion {
  readonly version: string;
  readonly apiVersion: string;
  readonly minApiVersion: string;
  readonly os: string;
  readonly arch: string;
  readonly kernel: string;
}

/** What the engine says of itself and its machine. */
export interface EngineInfo {
  readonly name: string;
  readonly serverVersion: string;
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly dockerRootDir: string;
  /** The engine's clock, RFC 3339. */
  readonly systemTime: string;
  readonly storageDriver: string;
  readonly cgroupDriver: string;
  readonly cgroupVersion: string;
  readonly securityOptions: readonly string[];
  readonly warnings: readonly string[];
  readonly isSwarmActive: boolean;
  readonly raw: unknown;
}

/** A published or exposed port; no `hostPort` means that it is only exposed. */
export interface ContainerPort {
  readonly containerPort: number;
  readonly transport: string;
  readonly hostPort?: number;
  readonly hostAddress?: string;
}

/** A container's leg in a network; no address while it does not run. */
export interface ContainerNetwork {
  readonly ip?: string;
  readonly networkId: string;
  readonly aliases: readonly string[];
}

/** One row of a list of containers. */
export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly imageId: string;
  /** created, running, paused, restarting, removing, exited or dead. */
  readonly state: string;
  /** For people, e.g. `Up 2 minutes (healthy)`. */
  readonly status: string;
  readonly health: 'healthy' | 'unhealthy' | 'starting' | 'none';
  readonly labels: Readonly<Record<string, string>>;
  /** Compose project and service, where compose made it. */
  readonly project?: string;
  readonly service?: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly ports: readonly ContainerPort[];
  readonly networks: Readonly<Record<string, ContainerNetwork>>;
}

export interface HealthLogEntry {
  readonly start: string;
  readonly end: string;
  readonly exitCode: number;
  readonly output: string;
}

export interface ContainerState {
  readonly status: string;
  readonly running: boolean;
  readonly paused: boolean;
  readonly exitCode: number;
  /** RFC 3339; missing for a container that never started (or never ended). */
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly oomKilled: boolean;
  readonly pid: number;
  readonly error: string;
  readonly health?: {
    readonly status: 'healthy' | 'unhealthy' | 'starting' | 'none';
    readonly failingStreak: number;
    readonly log: readonly HealthLogEntry[];
  };
}

export interface ContainerMount {
  readonly type: string;
  /** Volume name; missing for binds. */
  readonly name?: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** Everything about one container. `raw` is the engine's own answer, environment included. */
export interface ContainerDetails {
  readonly id: string;
  readonly name: string;
  /** The image as the container was created with. */
  readonly image: string;
  /** The same, for readers that want to be explicit. */
  readonly imageName: string;
  readonly imageId: string;
  readonly createdAt: string;
  readonly state: ContainerState;
  readonly restartCount: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly project?: string;
  readonly service?: string;
  readonly user: string;
  readonly networks: Readonly<Record<string, ContainerNetwork>>;
  readonly mounts: readonly ContainerMount[];
  readonly ports: readonly ContainerPort[];
  readonly raw: unknown;
}

export interface ImageSummary {
  readonly id: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly sizeBytes: number;
  readonly createdAt: string;
}

export interface ImageHistoryEntry {
  readonly createdAt: string;
  readonly createdBy: string;
  readonly sizeBytes: number;
  readonly comment: string;
}

export interface ImageDetails extends ImageSummary {
  readonly architecture: string;
  readonly os: string;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly history: readonly ImageHistoryEntry[];
  readonly raw: unknown;
}

export interface VolumeDetails {
  readonly name: string;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mountpoint: string;
  readonly createdAt?: string;
}

export interface NetworkDetails {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly scope: string;
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly subnets: readonly string[];
  readonly gateways: readonly string[];
  /** Running containers in it; lists leave them out. */
  readonly containers: readonly { readonly id: string; readonly name: string; readonly address: string }[];
}

/** A file to put into a container or a volume. */
export interface ContainerFile {
  /** Absolute in a container. */
  readonly path: string;
  readonly content: string | Uint8Array | Secret;
  /** Permission bits, e.g. 0o600. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A file to put into a volume. */
export interface VolumeFile extends ContainerFile {
  readonly volume: string;
  /** Relative to the volume's root. */
  readonly path: string;
}

export interface ProgramOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DockerEvent {
  /** container, image, volume, network, daemon … */
  readonly type: string;
  /** E.g. start, die, health_status: healthy. */
  readonly action: string;
  readonly id: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeMs: number;
}

/** How to make an image of a container. */
export interface CommitOptions {
  readonly repository: string;
  readonly tag: string;
  readonly comment?: string;
  /** Instructions of a Dockerfile, e.g. `ENV A=b`. */
  readonly changes?: readonly string[];
}

/** One process of a container. The id is that of the engine's machine. */
export interface ContainerProcess {
  readonly pid: number;
  /** Its arguments, joined with spaces. */
  readonly command: string;
}

/** A program that was started in a container. `raw` is the engine's own answer, arguments included. */
export interface ExecDetails {
  readonly id: string;
  readonly containerId: string;
  readonly running: boolean;
  readonly raw: unknown;
}

/** A piece of a container's log. */
export interface LogBytes {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

/** A file or folder in an archive. */
export interface ArchiveEntry {
  /** As the archive names it: the last part of the path that was asked for comes first. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'other';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly content: Readable;
}

export interface DiskUsage {
  readonly imagesBytes: number;
  readonly containersBytes: number;
  readonly volumesBytes: number;
  readonly buildCacheBytes: number;
}

/** How to make a container. Environment is public (`docker inspect` shows it): never a secret. */
export interface ContainerSpec {
  readonly name?: string;
  readonly image: string;
  /** Program and arguments; the image's own command where missing. */
  readonly argv?: readonly string[];
  /** The image's entry point where missing; empty takes it away. */
  readonly entrypoint?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
  /** `source:target[:ro]`, as in `docker run --volume`. */
  readonly binds?: readonly string[];
  readonly tmpfs?: Readonly<Record<string, string>>;
  /** One network's name, `none`, `host`, or `container:<id>`; an engine of 20.10 takes one only. */
  readonly network?: string;
  readonly networkAliases?: readonly string[];
  readonly address?: string;
  readonly ports?: readonly {
    readonly containerPort: number;
    readonly hostPort?: number;
    readonly hostAddress?: string;
  }[];
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly securityOptions?: readonly string[];
  readonly privileged?: boolean;
  readonly readOnlyRoot?: boolean;
  readonly memoryBytes?: number;
  readonly cpus?: number;
  readonly pids?: number;
  readonly restart?: 'no' | 'always' | 'unless-stopped' | 'on-failure';
  /** Keep the standard input open for one attached client. */
  readonly stdin?: boolean;
  readonly autoRemove?: boolean;
  /** Runs `argv` in the container again and again; the image's own check where missing. */
  readonly healthcheck?: {
    readonly argv: readonly [string, ...string[]];
    readonly intervalMs: number;
    readonly timeoutMs?: number;
    readonly retries?: number;
  };
}

/** A container that runs one program and is gone. No network, no capability and no new privileges unless asked for. */
export interface EphemeralSpec {
  readonly image: string;
  readonly argv: readonly [string, ...string[]];
  readonly binds?: readonly string[];
  readonly tmpfs?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** `none` unless given. */
  readonly network?: string;
  readonly user?: string;
  readonly workdir?: string;
  readonly stdin?: string | Uint8Array | Secret;
  /** `['ALL']` unless given. */
  readonly capDrop?: readonly string[];
  readonly capAdd?: readonly string[];
  readonly readOnlyRoot?: boolean;
  readonly memoryBytes?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}
