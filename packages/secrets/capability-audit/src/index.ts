export {
  auditCapabilities,
  auditDeclaredCapabilities,
  type AuditCapabilitiesOptions,
  type CapabilityAudit,
  type DeclarationOptions,
} from './audit.ts';
export {
  emptyAllowlist,
  parseAllowlist,
  type Allowlist,
  type AllowlistEntry,
  type HardeningException,
} from './allowlist.ts';
export { adviseByTrial, type Advice, type AdviseByTrialOptions } from './advise-by-trial.ts';
export { adviseCapabilities, type AdviseOptions } from './advise.ts';
export { renderCapabilityGuide, type GuideOptions } from './guide.ts';
export { capabilities, type Capability, type RiskLevel } from './capabilities.ts';
export { hardeningRules } from './rules.ts';
export type { Breach, HardeningRule } from './rule.ts';
export { compareScores, type Score, type ScoreChange, type ScorePart } from './score.ts';
export { CapabilityAuditErrorCode } from './errors.ts';
export type { Configuration, HostBind } from './configuration.ts';
export type { ContainerAudit, ProcessAudit } from './container-audit.ts';
export type { AcceptedBreach } from './hardening-findings.ts';
export type { ContainerSelection } from './select.ts';
export type { Mount, ProcessPrivileges } from './proc.ts';
export type { Observation } from './observe.ts';
export type { RiskCondition } from './risk.ts';
export type { CapabilityVerdict, DeclaredServices, DriftKind } from './verdicts.ts';
