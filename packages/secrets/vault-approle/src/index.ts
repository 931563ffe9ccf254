export type { BootstrapOptions, Consumer, RoleDefinition } from './definitions.ts';
export { loadPolicies, type PolicyFile } from './policies.ts';
export { bootstrapVault, validateBootstrap, type BootstrapProblem, type BootstrapReport } from './bootstrap.ts';
export type { BootstrapEvent } from './apply.ts';
export type { IssueMoment } from './issue.ts';
export { rollbackBootstrap, type RollbackReport } from './rollback.ts';
export {
  loginWithFiles,
  type LoginOptions,
  type RenewalEvent,
  type RenewalOptions,
  type VaultSession,
} from './session.ts';
export { VaultAppRoleErrorCode } from './errors.ts';
export { rotateSecretIds, type RotateSecretIdsOptions, type RotatedSecretId, type RotationEvent } from './rotation.ts';
export {
  approleStatus,
  approleStatusRows,
  type AppRoleStatus,
  type AppRoleStatusRow,
  type RoleIdState,
  type SecretIdState,
} from './status.ts';
export {
  leastPrivilegeMatrix,
  matrixRows,
  type LeastPrivilegeMatrix,
  type MatrixCell,
  type MatrixOptions,
  type MatrixRow,
} from './matrix.ts';
export { leastPrivilegeExceptions, type LeastPrivilegeException } from './matrix-exceptions.ts';
export type { Trial } from './matrix-trials.ts';
