export { StackBackupErrorCode } from './errors.ts';
export {
  cronLines,
  scheduledJobs,
  systemdUnits,
  withCronLines,
  type Schedule,
  type ScheduledJob,
  type UnitFile,
} from './schedule.ts';
