export { changeWalArchiving, walArchiving } from './wal-archiving.ts';
export { physicalSetBefore, type RecoveryTarget } from './physical-moment.ts';
export type { KeptAt } from './physical-restore.ts';
export { physicalOf, physicalSets, type PhysicalSet } from './physical-set.ts';
export { backUpStack, restoreStack, type BackUpStackOptions, type RestoreStackOptions } from './stack-backup.ts';
export { decryptBackup, type DecryptBackupOptions } from './decrypt.ts';
export { bytesText, createBackup, type CreateBackupOptions, type CreatedBackup } from './create.ts';
export { compareWithBackup, restoreBackup, type RestoreBackupOptions, type RestoredPart } from './restore.ts';
export { backupServices, type BackupService } from './services.ts';
export { atPlace, type ServiceBackup, type ServiceRestore } from './service-backup.ts';
export {
  cronLines,
  scheduledJobs,
  systemdUnits,
  withCronLines,
  type Schedule,
  type ScheduledJob,
  type UnitFile,
} from './schedule.ts';
export { StackBackupErrorCode } from './errors.ts';
export { drillStack, dryRunStack, recoverStack, type RecoverStackOptions } from './recover-stack.ts';
export { stackRecoverySteps, type StackRecoveryOptions } from './recovery-steps.ts';
export { recoverySource, verifyBackup } from './recovery-source.ts';
export {
  installSchedule,
  removeSchedule,
  scheduleMeans,
  showSchedule,
  type InstallScheduleOptions,
  type ScheduleMeans,
} from './install-schedule.ts';
export { createSnapshot, restoreSnapshot, type SnapshotOptions } from './snapshot.ts';
export { restoreVaultAlone } from './vault-restore.ts';
