/** The codes of the errors that this package throws; the README says what each means. */
export const VaultLifecycleErrorCode = {
  keysLost: 'VAULT_KEYS_LOST',
  keysNeverSaved: 'VAULT_KEYS_NEVER_SAVED',
  keysDamaged: 'VAULT_KEYS_DAMAGED',
  keysForeign: 'VAULT_KEYS_FOREIGN',
  initIncomplete: 'VAULT_INIT_INCOMPLETE',
  badShares: 'VAULT_BAD_SHARES',
  auditFailed: 'VAULT_AUDIT_FAILED',
  snapshotForeign: 'VAULT_SNAPSHOT_FOREIGN',
  snapshotDamaged: 'VAULT_SNAPSHOT_DAMAGED',
  notActive: 'VAULT_NOT_ACTIVE',
} as const;

/** One of the codes in `VaultLifecycleErrorCode`. */
export type VaultLifecycleErrorCode = (typeof VaultLifecycleErrorCode)[keyof typeof VaultLifecycleErrorCode];
