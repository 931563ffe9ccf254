/** The codes of the errors that this package throws. */
export const DatabaseBackupErrorCode = {
  /** A dump did not end as it should; nothing of it may be kept. */
  dumpFailed: 'DUMP_FAILED',
  /** The engine refused what was restored, or did not take all of it. */
  restoreFailed: 'RESTORE_FAILED',
  /** The dump is of another engine, or of a version that this one cannot read. */
  engineMismatch: 'ENGINE_MISMATCH',
  /** The container does not run, lacks a program, or refuses the login. */
  placeUnusable: 'PLACE_UNUSABLE',
} as const;
