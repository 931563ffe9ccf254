/** The codes of the errors that this package throws. */
export const BackupVerificationErrorCode = {
  /** The verification itself could not be done. */
  inconclusive: 'VERIFICATION_INCONCLUSIVE',
} as const;
