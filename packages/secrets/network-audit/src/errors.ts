/** The codes of the errors that this package throws. */
export const NetworkAuditErrorCode = {
  /** The declared paths cannot be used as they are written, or name what there is not; `file:line` is in the message. */
  pathsInvalid: 'NETWORK_PATHS_INVALID',
} as const;
