export {
  auditCredentials,
  type ContainerSelection,
  type CredentialAuditEvent,
  type CredentialAuditOptions,
  type CredentialAuditReport,
  type GoneContainer,
} from './audit.ts';
export type { AuditLimits } from './collect/context.ts';
export type { HostFile } from './collect/host-files.ts';
export { expandNeedles, type CredentialNeedle, type ExpandedNeedle, type ExpandedNeedles } from './needles.ts';
export type { UnsearchableNeedle } from './searchable.ts';
export { createSearcher, type NeedleHit, type NeedleStream, type Searcher } from './searcher.ts';
export { defaultPatterns, type PatternRule } from './patterns.ts';
export type { IgnoreEntry, IgnoredFinding } from './ignore.ts';
export { surfaceRules, surfaces, type Surface, type SurfaceRule } from './surfaces.ts';
export { selfTest, type SelfTestOptions, type SelfTestResult, type SelfTestSurface } from './self-test.ts';
export { watchProcesses, type WatchOptions, type WatchResult } from './watch.ts';
export { CredentialAuditErrorCode } from './errors.ts';
