/** The codes of the errors that this package throws. */
export const ServiceSecretsErrorCode = {
  /** No such role, or one that has no secret of its own. */
  roleUnknown: 'SECRET_ROLE_UNKNOWN',
  /** The role has no such field, or not one that can be rotated. */
  fieldUnknown: 'SECRET_FIELD_UNKNOWN',
  /** Nothing to rotate: the secret was never made. */
  missing: 'SERVICE_SECRET_MISSING',
  /** A password that the server could not hold (empty, or with a NUL). */
  passwordUnusable: 'PASSWORD_UNUSABLE',
  /** Somebody else kept writing the same secret. */
  contended: 'SERVICE_SECRET_CONTENDED',
} as const;
