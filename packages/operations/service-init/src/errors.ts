/** Codes of the errors that this package throws. */
export const ServiceInitErrorCode = {
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
  /** No engine of that name. */
  engineUnknown: 'ENGINE_UNKNOWN',
} as const;
