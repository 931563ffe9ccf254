/** The codes of the errors that this package throws. */
export const DisasterRecoveryErrorCode = {
  /** No set could be restored; `details.skipped` says why each was left out. */
  noRestorableSet: 'NO_RESTORABLE_BACKUP',
  /** An earlier run has not come to its end: it has to be resumed or rolled back first. */
  unfinished: 'RECOVERY_UNFINISHED',
  /** There is no run to resume. */
  nothingToResume: 'RECOVERY_NOTHING_TO_RESUME',
  /** The run that is to be resumed restores another set, or the set has changed since. */
  otherSet: 'RECOVERY_OTHER_SET',
  /** The user did not confirm the plan. */
  declined: 'RECOVERY_DECLINED',
  /** A step failed; everything is as it was before. */
  rolledBack: 'RECOVERY_ROLLED_BACK',
  /** A step failed, and putting back what was kept aside failed, too. */
  rollbackFailed: 'RECOVERY_ROLLBACK_FAILED',
  /** A step reported success without saying what it did. */
  stepEmpty: 'RECOVERY_STEP_EMPTY',
  /** Docker does not run, and none of the ways to start it worked. */
  engineNotStarted: 'ENGINE_NOT_STARTED',
  /** Docker is on another machine, where nothing can be started from here. */
  engineRemote: 'ENGINE_REMOTE',
  /** The Vault part of a set cannot be restored. */
  vaultUnusable: 'VAULT_BACKUP_UNUSABLE',
} as const;
