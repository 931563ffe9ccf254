export { auditNetwork, type AuditNetworkOptions, type NetworkAudit } from './audit.ts';
export {
  parseNetworkPaths,
  type DeclaredPath,
  type DeclaredPaths,
  type EgressRule,
  type NetworkRule,
} from './paths.ts';
export { membersOf, type DeclaredNetworks, type Member } from './members.ts';
export { renderMatrix, type MatrixCell, type RenderedMatrix } from './matrix.ts';
export { networkRules, type NetworkRuleId, type NetworkRuleText } from './findings.ts';
export type { EgressTarget } from './outside.ts';
export type { ProbeMethod } from './probe.ts';
export { NetworkAuditErrorCode } from './errors.ts';
