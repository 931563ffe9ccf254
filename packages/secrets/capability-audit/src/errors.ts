/** The codes of the errors that this package throws. */
export const CapabilityAuditErrorCode = {
  /** The allowlist cannot be used as it is written; `file:line` is in the message. */
  allowlistInvalid: 'ALLOWLIST_INVALID',
  /** The probe fails with every candidate granted, so nothing can be learnt from it. */
  adviceImpossible: 'ADVICE_IMPOSSIBLE',
  /** A candidate for advice that is no capability. */
  capabilityUnknown: 'CAPABILITY_UNKNOWN',
} as const;
