export {
  openStack,
  hostPort,
  selectServices,
  type OpenStackOptions,
  type Stack,
  type StackDirectories,
} from './stack.ts';
export { resolveProject, listProjects, forgetProject, type Project, type ResolveProjectOptions } from './project.ts';
export { bringUp, up, type UpOptions, type UpResult } from './up.ts';
export { withStackLease } from './stack-lease.ts';
export {
  bringDown,
  down,
  planReset,
  reset,
  restart,
  volumeCopyLabel,
  type DownOptions,
  type DownResult,
  type ResetPlan,
  type RestartOptions,
} from './stop.ts';
export { status, type ServiceStatus, type StatusReport } from './status.ts';
export { networkMode, networkWarning, type NetworkMode, type NetworkReport } from './networks.ts';
export { endpointOf, portsInUse, requireEndpoint, tlsModeOf, usesTls, type Endpoint, type TlsMode } from './tls.ts';
export { stackRoot } from './certificates.ts';
export { health, probesFor, redisNatMap, type HealthReport } from './health.ts';
export { doctor, type DoctorCheck, type DoctorReport } from './doctor.ts';
export { ensureImages, imageStates, type ImageState } from './images.ts';
export { rotateLogins, rotatePassword } from './rotate.ts';
export { provePrivileges, type PrivilegeReport } from './privileges.ts';
export { bootstrap, openVault, operatorSession, startVault } from './vault-steps.ts';
export { deliverLogins, usesRootToken } from './deliver.ts';
export { consumersOf, roleDefinitions } from './consumers.ts';
export { ensureRedisCluster, type RedisClusterOptions, type RedisClusterOutcome } from './redis-cluster.ts';
export type { RedisNode } from './redis-migration.ts';
export { findPortHolders, type PortHolder } from './port-holders.ts';
export { takenPorts, type TakenPort } from './preflight.ts';
export type { OnEvent, PlannedService, StackEvent } from './events.ts';
export { StackErrorCode } from './errors.ts';
export { certificates, type CertificatesReport, type ServedCertificate } from './served-certificates.ts';
export {
  renewCertificates,
  watchCertificates,
  type RenewCertificatesOptions,
  type RenewedCertificate,
  type WatchCertificatesOptions,
} from './renew-certificates.ts';
export { exchangeRoot, retireRoots, type RootExchange } from './exchange-root.ts';
