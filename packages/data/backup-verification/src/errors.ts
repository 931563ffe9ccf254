/** The codes of the errors that this package throws, and of what it reports. */
export const BackupVerificationErrorCode = {
  /** The content of an artifact is authentic, and its structure is not whole. */
  malformed: 'ARTIFACT_MALFORMED',
  /** A trial took longer than it may. */
  timedOut: 'VERIFICATION_TIMED_OUT',
  /** A level that needs Docker and engines was asked for without them. */
  optionsInvalid: 'VERIFICATION_OPTIONS_INVALID',
} as const;
