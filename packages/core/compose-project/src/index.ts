export { loadComposeProject, type LoadComposeProjectOptions } from './load-compose-project.ts';
export type {
  CapabilityModel,
  ComposeModel,
  DependencyModel,
  HealthcheckModel,
  LimitsModel,
  MountModel,
  NetworkModel,
  PortModel,
  ServiceModel,
  SourceLocation,
  VariableModel,
} from './model.ts';
export {
  Compose,
  createCompose,
  type ComposeBuildOptions,
  type ComposeCallOptions,
  type ComposeContainer,
  type ComposeCreateOptions,
  type ComposeDownOptions,
  type ComposeExecOptions,
  type ComposeLogsOptions,
  type ComposeOptions,
  type ComposeServicesOptions,
  type ComposeStopOptions,
  type ComposeUpOptions,
  type InteractiveRunner,
  type Runner,
} from './compose.ts';
export { nearest, suggestion } from './did-you-mean.ts';
export { interpolate, InterpolationFailure, type VariableUse } from './interpolate.ts';
export { ComposeProjectErrorCode } from './errors.ts';
