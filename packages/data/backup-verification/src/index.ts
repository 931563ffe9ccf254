export { BackupVerificationErrorCode } from './errors.ts';
