export { writeFileDurable, type FileContent, type WriteFileDurableOptions, type WriteStep } from './write-file.ts';
export {
  ensurePrivateDirectory,
  readPrivateFile,
  removeDurable,
  type ReadPrivateFileOptions,
} from './private-files.ts';
export { replaceLinkDurable } from './replace-link.ts';
export { acquireLease, currentLeaseHolder, type AcquireLeaseOptions, type Lease, type LeaseHolder } from './lease.ts';
export { openJournal, type Journal, type StepRecord } from './journal.ts';
export { isGone, ownIdentity, type ProcessIdentity } from './process-identity.ts';
export { DurableFilesErrorCode } from './errors.ts';
