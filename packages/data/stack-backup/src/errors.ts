/** The codes of the errors that this package throws. */
export const StackBackupErrorCode = {
  /** A service that is to be backed up or restored does not run. */
  serviceNotRunning: 'SERVICE_NOT_RUNNING',
  /** Nothing is left to back up with these names. */
  nothingSelected: 'NOTHING_SELECTED',
  /** No such thing is in a backup. */
  unknownService: 'UNKNOWN_SERVICE',
  /** Vault does not have what a service is logged in to with. */
  noCredentials: 'NO_CREDENTIALS',
  /** A set names something that it does not have. */
  incompleteSet: 'BACKUP_INCOMPLETE',
  /** A volume could not be copied. */
  copyFailed: 'COPY_FAILED',
  /** Something outside of the stack uses one of its volumes. */
  volumeInUse: 'VOLUME_IN_USE',
  /** A file that would be written is there already. */
  targetExists: 'TARGET_EXISTS',
  /** The data of a Vault was being replaced, and that did not come to its end. */
  vaultUnfinished: 'VAULT_RESTORE_UNFINISHED',
  /** The backup's Vault has another number of keys than new ones are made with. */
  otherShares: 'VAULT_OTHER_SHARES',
  /** What was recovered is not what the set says. */
  notProven: 'RECOVERY_NOT_PROVEN',
  /** No subnet or ports are free for a drill. */
  noAddresses: 'NO_ADDRESSES',
  /** A set holds dumps of PostgreSQL where a physical backup is needed. */
  notPhysical: 'NOT_PHYSICAL',
  /** A moment lies before a backup, or beyond the log. */
  outOfReach: 'TARGET_OUT_OF_REACH',
  /** A timer could not be installed. */
  scheduleFailed: 'SCHEDULE_FAILED',
} as const;
