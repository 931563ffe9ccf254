export { openBackupStore, type BackupStore, type OpenBackupStoreOptions } from './store.ts';
export type { CreateOptions } from './create.ts';
export type { NewArtifact, SetDraft } from './draft.ts';
export type { SetEntry, SetStatus } from './list.ts';
export {
  needsOf,
  servicesOf,
  type ArtifactRecord,
  type EngineRecord,
  type FileMeasure,
  type Metadata,
  type PartRecord,
  type PlainMeasure,
  type Recipient,
  type SetManifest,
} from './manifest.ts';
export type { ArtifactName } from './open.ts';
export type { ProblemKind, VerifyOptions, VerifyProblem, VerifyReport } from './verify.ts';
export type { RestoreVerdict, SetState, Verdict } from './set-state.ts';
export type { RotateOptions, Rotation } from './rotate.ts';
export type { TrashedSet } from './trash.ts';
export type { Swept } from './sweep.ts';
export type { PassphraseChange } from './change-passphrase.ts';
export type { HistoryRecord, NewHistoryRecord } from './history.ts';
export { monthlySummaries, type MonthlySummary, type Tally } from './monthly-summary.ts';
export type { Catalog, CatalogEntry } from './catalog.ts';
export { checksumsText, recoveryCard } from './recovery-card.ts';
export type { CopyOptions, CopyReport } from './copy.ts';
export type { FetchReport } from './fetch.ts';
export type { OffsiteTarget, StoredMeasure } from './target.ts';
export { directoryTarget } from './directory-target.ts';
export { s3Target, type S3Target, type S3TargetOptions } from './s3-target.ts';
export { storeSteps, type StoreStep } from './context.ts';
export { BackupStoreErrorCode } from './errors.ts';
