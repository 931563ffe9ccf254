/** The codes of the errors that this package throws; the README says what each means. */
export const VaultErrorCode = {
  unreachable: 'VAULT_UNREACHABLE',
  sealed: 'VAULT_SEALED',
  uninitialized: 'VAULT_UNINITIALIZED',
  alreadyInitialized: 'VAULT_ALREADY_INITIALIZED',
  permissionDenied: 'VAULT_PERMISSION_DENIED',
  notFound: 'VAULT_NOT_FOUND',
  badCredentials: 'VAULT_BAD_CREDENTIALS',
  casMismatch: 'VAULT_CAS_MISMATCH',
  requestFailed: 'VAULT_REQUEST_FAILED',
  badAddress: 'VAULT_BAD_ADDRESS',
  badPath: 'VAULT_BAD_PATH',
} as const;

/** One of the codes in `VaultErrorCode`. */
export type VaultErrorCode = (typeof VaultErrorCode)[keyof typeof VaultErrorCode];
