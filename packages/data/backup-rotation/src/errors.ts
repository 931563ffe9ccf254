/** The codes of the errors that this package throws. */
export const BackupRotationErrorCode = {
  /** A rule of the policy cannot be used as it is written, or the policy would keep nothing. */
  policyInvalid: 'ROTATION_POLICY_INVALID',
  /** The time zone is none that this machine knows. */
  timeZoneInvalid: 'ROTATION_TIME_ZONE_INVALID',
  /** Two sets have one id: it cannot be said which of them a plan means. */
  setsAmbiguous: 'ROTATION_SETS_AMBIGUOUS',
} as const;
