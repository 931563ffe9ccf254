/** The codes that this package throws; the README says what to do about each. */
export const CredentialAuditErrorCode = {
  /** An option that contradicts itself: the message names it. */
  auditInputInvalid: 'AUDIT_INPUT_INVALID',
  /** The kernel's events name processes that /proc does not: told as the reason for sampling, never thrown. */
  traceUnusable: 'TRACE_UNUSABLE',
  /** Neither the kernel's events nor /proc can be had: not Linux, or no rights. */
  watchImpossible: 'WATCH_IMPOSSIBLE',
  /** The self-test's container did not show what it was to show. */
  selfTestNotPlanted: 'SELF_TEST_NOT_PLANTED',
  /** The self-test could not take away everything that it had planted; the message names what is left. */
  selfTestNotRemoved: 'SELF_TEST_NOT_REMOVED',
} as const;
