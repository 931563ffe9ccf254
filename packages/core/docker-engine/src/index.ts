export { connectDocker, type DockerEngine } from './engine.ts';
export { resolveEndpoint, type Endpoint, type EndpointOptions } from './endpoint.ts';
export { DockerEngineErrorCode } from './errors.ts';
export { ephemeralLabel, type EphemeralContainer, type LeftoverOptions } from './ephemeral.ts';
export type { EventsOptions } from './events.ts';
export type { ExecOptions } from './exec.ts';
export type { ExecStreamOptions, ProgramEnd, RunningProgram } from './exec-stream.ts';
export type { Forward, ForwardOptions } from './forward.ts';
export type { WriteVolumeFilesOptions } from './files.ts';
export { isProcessOf, processesOnHost, type HostProcessesOptions } from './host-processes.ts';
export type { LogLine } from './frames.ts';
export type { PullOptions, PullProgress } from './images.ts';
export type { FollowLogsOptions, LogsOptions } from './logs.ts';
export type { ListContainersOptions, RemoveContainerOptions, StopOptions } from './containers.ts';
export type { CreateNetworkOptions } from './networks.ts';
export type { EnsureVolumeOptions } from './volumes.ts';
export type {
  ArchiveEntry,
  CommitOptions,
  ContainerDetails,
  ContainerFile,
  ContainerMount,
  ContainerNetwork,
  ContainerPort,
  ContainerProcess,
  ContainerSpec,
  ContainerState,
  ContainerSummary,
  DiskUsage,
  DockerEvent,
  EngineInfo,
  EngineVersion,
  EphemeralSpec,
  ExecDetails,
  HealthLogEntry,
  ImageDetails,
  ImageHistoryEntry,
  ImageSummary,
  LogBytes,
  NetworkDetails,
  ProgramOutput,
  VolumeDetails,
  VolumeFile,
} from './types.ts';
