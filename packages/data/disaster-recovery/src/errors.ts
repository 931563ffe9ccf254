/** The codes of the errors that this package throws. */
export const DisasterRecoveryErrorCode = {
  /** No set could be restored. */
  noRestorableSet: 'NO_RESTORABLE_BACKUP',
} as const;
