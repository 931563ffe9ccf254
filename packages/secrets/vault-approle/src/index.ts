export type { BootstrapOptions, Consumer, RoleDefinition } from './definitions.ts';
export { loadPolicies, type PolicyFile } from './policies.ts';
export { bootstrapVault, validateBootstrap, type BootstrapProblem, type BootstrapReport } from './bootstrap.ts';
export type { BootstrapEvent } from './apply.ts';
export type { IssueMoment } from './issue.ts';
export { rollbackBootstrap, type RollbackReport } from './rollback.ts';
export { loginWithFiles, type LoginOptions, type RenewalEvent, type RenewalOptions, type VaultSession } from './session.ts';
export { VaultAppRoleErrorCode } from './errors.ts';
