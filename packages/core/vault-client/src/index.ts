export { createVaultClient, type VaultClient, type VaultClientOptions } from './vault-client.ts';
export { VaultErrorCode } from './errors.ts';
export type { RetryEvent } from './exchange.ts';
export type { InitResult, Patience, SealState, SealStatus, SysCalls } from './calls/sys.ts';
export type { KvCalls, KvMetadata, KvOptions, KvSecret } from './calls/kv.ts';
export type { CreateTokenOptions, IssuedToken, TokenCalls, TokenInfo } from './calls/tokens.ts';
export type {
  AppRoleCalls,
  AppRoleOptions,
  CreateSecretIdOptions,
  IssuedSecretId,
  RoleSettings,
  SecretIdInfo,
} from './calls/approle.ts';
export type { MountCalls, MountInfo, MountOptions } from './calls/mounts.ts';
export type {
  MountOption,
  PkiAutoTidy,
  PkiCalls,
  PkiIssuer,
  PkiIssuerEntry,
  PkiKeyEntry,
  PkiRoleSettings,
  SignedCertificate,
  SignOptions,
} from './calls/pki.ts';
