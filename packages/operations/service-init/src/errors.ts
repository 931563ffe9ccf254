/** Codes of the errors that this package throws. */
export const ServiceInitErrorCode = {
  /** role-id, secret-id or token is not in the folder. */
  approleFileMissing: 'APPROLE_FILE_MISSING',
  /** role-id, secret-id or token is there, but empty. */
  approleFileEmpty: 'APPROLE_FILE_EMPTY',
  /** role-id, secret-id or token cannot be read by this user, or is not one word. */
  approleFileUnreadable: 'APPROLE_FILE_UNREADABLE',
  /** Vault does not take the credentials: expired, revoked, another service's, or from a wrong network. */
  loginRefused: 'VAULT_LOGIN_REFUSED',
  /** Vault did not answer, or stayed sealed, until the deadline. */
  vaultWaitTimedOut: 'VAULT_WAIT_TIMED_OUT',
  /** Vault has no secret for this role. */
  secretMissing: 'SECRET_MISSING',
  /** The service's secret in Vault lacks a field, or a field cannot be used; the hint says how to write it. */
  secretFieldMissing: 'SECRET_FIELD_MISSING',
  /** An entry of `…/clients` is not what the server expects. */
  clientInvalid: 'CLIENT_INVALID',
  /** The data volume is not writable, belongs to another user, or holds another engine's or version's data. */
  dataUnusable: 'DATA_UNUSABLE',
  /** The first start did not finish; what was half made is removed at the next start. */
  firstStartFailed: 'FIRST_START_FAILED',
  /** A changed password or user could not be applied; the server keeps the old one. */
  applyFailed: 'APPLY_FAILED',
  /** The image lacks the server's program. */
  programMissing: 'PROGRAM_MISSING',
  /** A setting of the container (DEVSTACK_…) cannot be used. */
  settingInvalid: 'SETTING_INVALID',
  /** No engine of that name. */
  engineUnknown: 'ENGINE_UNKNOWN',
} as const;
