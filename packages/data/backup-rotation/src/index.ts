export { planRotation, type KeptSet, type PlanOptions, type RemovedSet, type RotationPlan } from './plan.ts';
export { recheck, type Recheck } from './recheck.ts';
export { defaultPolicy, keepLastPolicy, type RotationPolicy } from './policy.ts';
export { describeReason, type KeepReason } from './reasons.ts';
export { civilDate, periodsOf, type Periods } from './civil-date.ts';
export type { RotationSet } from './backup-set.ts';
export { BackupRotationErrorCode } from './errors.ts';
