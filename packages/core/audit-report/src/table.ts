import type { AuditReport, Finding } from './report.ts';

/** One line of the report for a person. */
export interface AuditTableRow {
  readonly severity: string;
  readonly rule: string;
  readonly subject: string;
  readonly message: string;
  /** `file:line`, or empty. */
  readonly where: string;
  readonly remediation: string;
}

/** The findings, then what was not checked, as rows for a table. Nothing is coloured or cut to a width. */
export function toTableRows(report: AuditReport): readonly AuditTableRow[] {
  const found = report.findings.map((finding) => ({
    severity: finding.severity,
    rule: finding.ruleId,
    subject: finding.subject,
    message: finding.message,
    where: where(finding),
    remediation: finding.remediation,
  }));
  const left = report.notChecked.map(({ subject, reason }) => ({
    severity: 'not checked',
    rule: '',
    subject,
    message: reason,
    where: '',
    remediation: '',
  }));
  return [...found, ...left];
}

function where({ location }: Finding): string {
  if (location === undefined) return '';
  return location.line === undefined ? location.file : `${location.file}:${String(location.line)}`;
}
