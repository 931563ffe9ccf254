/** The codes of the errors that this package throws. */
export const StackBackupErrorCode = {
  /** A service that is to be backed up or restored does not run. */
  serviceNotRunning: 'SERVICE_NOT_RUNNING',
  /** Nothing is left to back up with these names. */
  nothingSelected: 'NOTHING_SELECTED',
  /** A timer could not be installed. */
  scheduleFailed: 'SCHEDULE_FAILED',
} as const;
