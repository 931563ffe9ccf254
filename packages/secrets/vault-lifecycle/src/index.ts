export { initializeVault, type InitializeVaultOptions, type InitializeVaultResult } from './initialize.ts';
export { sealState, unsealVault, type UnsealVaultOptions, type VaultSealState } from './unseal.ts';
export { keyFilePaths, readKeys, readRootToken, type KeyFilePaths, type VaultKeys } from './key-files.ts';
export { ensureAuditDevice, type EnsureAuditDeviceOptions } from './audit-device.ts';
export {
  checkSnapshot,
  restoreVault,
  snapshotVault,
  type RestoreVaultOptions,
  type SnapshotVaultOptions,
  type VaultSnapshot,
} from './snapshot.ts';
export { VaultLifecycleErrorCode } from './errors.ts';
export type { OnVaultLifecycleEvent, VaultLifecycleEvent } from './events.ts';
