export {
  auditReport,
  severities,
  verdictOf,
  type AuditReport,
  type AuditReportInput,
  type Finding,
  type FindingLocation,
  type NotChecked,
  type Severity,
  type Verdict,
} from './report.ts';
export { findingId } from './finding-id.ts';
export { auditReportSchema, toJson, type AuditReportJson } from './json.ts';
export { toSarif, type SarifLog, type SarifOptions } from './sarif.ts';
export { toolOf, type AuditTool } from './tool-of.ts';
export { toTableRows, type AuditTableRow } from './table.ts';
