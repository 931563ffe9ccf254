import { readArchive } from './archives.ts';
import { openConnection, type Connection } from './connection.ts';
import * as containers from './containers.ts';
import { resolveEndpoint, type EndpointOptions } from './endpoint.ts';
import {
  ephemeralContainer,
  removeEphemeralLeftovers,
  runEphemeral,
  type EphemeralContainer,
  type LeftoverOptions,
} from './ephemeral.ts';
import { events, type EventsOptions } from './events.ts';
import { exec, type ExecOptions } from './exec.ts';
import { execStream, type ExecStreamOptions, type RunningProgram } from './exec-stream.ts';
import { forward, type Forward, type ForwardOptions } from './forward.ts';
import { putFiles, writeVolumeFiles, type WriteVolumeFilesOptions } from './files.ts';
import type { LogLine } from './frames.ts';
import * as images from './images.ts';
import { followLogs, logBytes, logs, type FollowLogsOptions, type LogsOptions } from './logs.ts';
import * as networks from './networks.ts';
import { containerProcesses, inspectExec } from './processes.ts';
import * as system from './system.ts';
import type * as types from './types.ts';
import * as volumes from './volumes.ts';

type LabelOptions = Pick<containers.ListContainersOptions, 'project' | 'labels'>;

/** A Docker engine. Containers are named by id or name; every call can throw DOCKER_UNREACHABLE and DOCKER_PERMISSION_DENIED. */
export interface DockerEngine extends AsyncDisposable {
  /** Where it is, e.g. `unix:///var/run/docker.sock`. */
  readonly endpoint: string;
  /** The docker context that names it. */
  readonly context: string | undefined;
  ping(): Promise<void>;
  version(): Promise<types.EngineVersion>;
  info(): Promise<types.EngineInfo>;
  diskUsage(): Promise<types.DiskUsage>;
  events(options?: EventsOptions): AsyncIterable<types.DockerEvent>;

  listContainers(options?: containers.ListContainersOptions): Promise<readonly types.ContainerSummary[]>;
  /** Throws CONTAINER_NOT_FOUND. */
  inspectContainer(id: string): Promise<types.ContainerDetails>;
  /** Gives the id. Throws IMAGE_NOT_FOUND, DOCKER_CONFLICT (name). */
  createContainer(spec: types.ContainerSpec): Promise<string>;
  /** Throws PORT_IN_USE. One that runs is fine. */
  startContainer(id: string): Promise<void>;
  stopContainer(id: string, options?: containers.StopOptions): Promise<void>;
  restartContainer(id: string, options?: containers.StopOptions): Promise<void>;
  killContainer(id: string, signal?: string): Promise<void>;
  pauseContainer(id: string): Promise<void>;
  unpauseContainer(id: string): Promise<void>;
  /** One that is gone is fine. */
  removeContainer(id: string, options?: containers.RemoveContainerOptions): Promise<void>;
  /** Throws EXEC_TIMED_OUT. */
  exec(id: string, argv: readonly [string, ...string[]], options?: ExecOptions): Promise<types.ProgramOutput>;
  /** The same with input and output as streams. Throws CONTAINER_NOT_FOUND. */
  execStream(id: string, argv: readonly [string, ...string[]], options?: ExecStreamOptions): Promise<RunningProgram>;
  /** A loopback port of this machine that leads to a port of the container's loopback, network or not. */
  forward(id: string, port: number, options?: ForwardOptions): Promise<Forward>;
  logs(id: string, options?: LogsOptions): Promise<string>;
  followLogs(id: string, options?: FollowLogsOptions): AsyncIterable<LogLine>;
  /** The log so far, as bytes and as they come. */
  logBytes(id: string, options?: FollowLogsOptions): AsyncIterable<types.LogBytes>;
  /** Of a running container, exec sessions included; needs `ps` on the engine's machine. */
  containerProcesses(id: string): Promise<readonly types.ContainerProcess[]>;
  /** Throws CONTAINER_NOT_FOUND for an exec that the engine has forgotten. */
  inspectExec(id: string): Promise<types.ExecDetails>;
  /** Files under a path of a container, running or not. */
  readArchive(id: string, path: string): AsyncIterable<types.ArchiveEntry>;
  putFiles(id: string, files: readonly types.ContainerFile[]): Promise<void>;
  /** Throws CONTAINER_TIMED_OUT. */
  runEphemeral(spec: types.EphemeralSpec): Promise<types.ProgramOutput>;
  /** For `await using`: removed at the end of the scope. */
  ephemeralContainer(spec: types.ContainerSpec): Promise<EphemeralContainer>;
  /** Removes what a killed process left behind, and gives the names. */
  removeEphemeralLeftovers(options?: LeftoverOptions): Promise<readonly string[]>;

  inspectImage(ref: string): Promise<types.ImageDetails | undefined>;
  listImages(options?: Pick<LabelOptions, 'labels'>): Promise<readonly types.ImageSummary[]>;
  imageHistory(ref: string): Promise<readonly types.ImageHistoryEntry[]>;
  /** Throws PULL_FAILED, for a failure inside the engine's stream too. */
  pullImage(ref: string, options?: images.PullOptions): Promise<void>;
  /** Makes an image of a container; gives its id. */
  commitContainer(id: string, options: types.CommitOptions): Promise<string>;
  removeImage(ref: string, options?: { readonly force?: boolean }): Promise<void>;

  ensureVolume(options: volumes.EnsureVolumeOptions): Promise<{ readonly created: boolean }>;
  inspectVolume(name: string): Promise<types.VolumeDetails | undefined>;
  listVolumes(options?: LabelOptions): Promise<readonly types.VolumeDetails[]>;
  /** One that is gone is fine. Throws DOCKER_CONFLICT while it is in use. */
  removeVolume(name: string): Promise<void>;
  /** Files for volumes, through one container that is never started. */
  writeVolumeFiles(options: WriteVolumeFilesOptions): Promise<void>;

  listNetworks(options?: LabelOptions): Promise<readonly types.NetworkDetails[]>;
  inspectNetwork(name: string): Promise<types.NetworkDetails | undefined>;
  createNetwork(options: networks.CreateNetworkOptions): Promise<string>;
  removeNetwork(name: string): Promise<void>;

  /** Ends connections that are kept open (ssh). */
  close(): void;
}

/**
 * Connects to the Docker engine that the docker client would use and asks it once whether it is there.
 * Throws DOCKER_UNREACHABLE, DOCKER_PERMISSION_DENIED, DOCKER_CONTEXT_INVALID.
 */
export async function connectDocker(options: EndpointOptions = {}): Promise<DockerEngine> {
  const connection = await openConnection(await resolveEndpoint(options));
  try {
    await system.ping(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
  return toEngine(connection);
}

function toEngine(connection: Connection): DockerEngine {
  return {
    endpoint: connection.endpoint.address,
    context: connection.endpoint.context,
    ping: () => system.ping(connection),
    version: () => system.version(connection),
    info: () => system.info(connection),
    diskUsage: () => system.diskUsage(connection),
    events: (options = {}) => events(connection, options),

    listContainers: (options = {}) => containers.listContainers(connection, options),
    inspectContainer: (id) => containers.inspectContainer(connection, id),
    createContainer: (spec) => containers.createContainer(connection, spec),
    startContainer: (id) => containers.startContainer(connection, id),
    stopContainer: (id, options = {}) => containers.stopContainer(connection, id, options),
    restartContainer: (id, options = {}) => containers.restartContainer(connection, id, options),
    killContainer: (id, signal) => containers.killContainer(connection, id, signal),
    pauseContainer: (id) => containers.pauseContainer(connection, id),
    unpauseContainer: (id) => containers.unpauseContainer(connection, id),
    removeContainer: (id, options = {}) => containers.removeContainer(connection, id, options),
    exec: (id, argv, options = {}) => exec(connection, id, argv, options),
    execStream: (id, argv, options = {}) => execStream(connection, id, argv, options),
    forward: (id, port, options = {}) => forward(connection, id, port, options),
    logs: (id, options = {}) => logs(connection, id, options),
    followLogs: (id, options = {}) => followLogs(connection, id, options),
    logBytes: (id, options = {}) => logBytes(connection, id, options),
    containerProcesses: (id) => containerProcesses(connection, id),
    inspectExec: (id) => inspectExec(connection, id),
    readArchive: (id, path) => readArchive(connection, id, path),
    putFiles: (id, files) => putFiles(connection, id, files),
    runEphemeral: (spec) => runEphemeral(connection, spec),
    ephemeralContainer: (spec) => ephemeralContainer(connection, spec),
    removeEphemeralLeftovers: (options = {}) => removeEphemeralLeftovers(connection, options),

    inspectImage: (ref) => images.inspectImage(connection, ref),
    listImages: (options = {}) => images.listImages(connection, options),
    imageHistory: (ref) => images.imageHistory(connection, ref),
    pullImage: (ref, options = {}) => images.pullImage(connection, ref, options),
    commitContainer: (id, options) => images.commitContainer(connection, id, options),
    removeImage: (ref, options = {}) => images.removeImage(connection, ref, options),

    ensureVolume: (options) => volumes.ensureVolume(connection, options),
    inspectVolume: (name) => volumes.inspectVolume(connection, name),
    listVolumes: (options = {}) => volumes.listVolumes(connection, options),
    removeVolume: (name) => volumes.removeVolume(connection, name),
    writeVolumeFiles: (options) => writeVolumeFiles(connection, options),

    listNetworks: (options = {}) => networks.listNetworks(connection, options),
    inspectNetwork: (name) => networks.inspectNetwork(connection, name),
    createNetwork: (options) => networks.createNetwork(connection, options),
    removeNetwork: (name) => networks.removeNetwork(connection, name),

    close: () => {
      connection.close();
    },
    [Symbol.asyncDispose]: () => {
      connection.close();
      return Promise.resolve();
    },
  };
}
