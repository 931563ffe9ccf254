export { recover, rollBackRecovery, unfinishedRecovery, type RecoverOptions, type RecoveryOptions } from './recover.ts';
export { dryRun, type DryRunReport } from './dry-run.ts';
export { drillRecovery, type DrillOptions, type DrillTarget } from './drill.ts';
export {
  chooseSet,
  type Candidate,
  type Choice,
  type ChooseOptions,
  type RecoverySource,
  type SetVerdict,
  type SkippedSet,
} from './choose.ts';
export { planRecovery, type PlanOptions, type RecoveryPlan } from './plan.ts';
export { storeSource, type StoreSourceOptions } from './store-source.ts';
export type { RecoveryReport } from './report.ts';
export {
  appendHistory,
  estimateSteps,
  readHistory,
  recoveryTrend,
  type RecoveryRecord,
  type RecoveryTrend,
  type StepEstimate,
} from './history.ts';
export { defaultObjectives, recoveryPoint, type Objectives, type RecoveryPoint } from './recovery-point.ts';
export {
  recoveryStepNames,
  type Aside,
  type KeptAside,
  type OnRecoveryEvent,
  type RecoveryEvent,
  type RecoverySet,
  type RecoveryStep,
  type RecoveryStepName,
  type RecoverySteps,
  type ServiceSnapshot,
  type StepContext,
  type StepOutcome,
} from './types.ts';
export type { OnJournalLine } from './run-journal.ts';
export { startDockerEngine, type EngineStart, type EngineStarterOptions, type Machine } from './docker-starter.ts';
export { waysToStart, type DockerdOptions, type EngineSurroundings, type EngineWay } from './docker-ways.ts';
export { DisasterRecoveryErrorCode } from './errors.ts';
export {
  fingerprintVault,
  vaultFingerprintKey,
  type FingerprintVaultOptions,
  type VaultReader,
} from './vault/fingerprint-vault.ts';
export { vaultParsers } from './vault/vault-parsers.ts';
export { vaultRehearser } from './vault/vault-rehearser.ts';
