import { severities, type AuditReport, type Severity } from './report.ts';

/** The JSON form: the report and its counts. Fields are only ever added to it. */
export interface AuditReportJson extends AuditReport {
  readonly schemaVersion: 1;
  readonly counts: Readonly<Record<Severity, number>>;
}

/** The report as plain data for `JSON.stringify`. */
export function toJson(report: AuditReport): AuditReportJson {
  return { schemaVersion: 1, ...report, counts: countBySeverity(report) };
}

function countBySeverity({ findings }: AuditReport): Record<Severity, number> {
  const counts: Record<Severity, number> = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
  for (const { severity } of findings) counts[severity] += 1;
  return counts;
}

type Fields = Readonly<Record<string, unknown>>;

const findingFields: Fields = {
  id: text(),
  ruleId: text(),
  severity: { enum: severities },
  title: text(),
  message: text(),
  subject: text(),
  remediation: text(),
};

/** A JSON Schema (2020-12) of what `toJson` gives. */
export const auditReportSchema: Readonly<Record<string, unknown>> = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'AuditReport',
  type: 'object',
  required: ['schemaVersion', 'tool', 'startedAt', 'verdict', 'findings', 'notChecked', 'checkedCount', 'counts'],
  properties: {
    schemaVersion: { const: 1 },
    tool: object({ name: text(), version: text() }),
    startedAt: text(),
    verdict: { enum: ['pass', 'findings', 'incomplete'] },
    findings: {
      type: 'array',
      items: object(findingFields, { location: object({ file: text() }, { line: count(1) }) }),
    },
    notChecked: { type: 'array', items: object({ subject: text(), reason: text() }) },
    checkedCount: count(0),
    counts: object(Object.fromEntries(severities.map((severity) => [severity, count(0)]))),
  },
};

function object(required: Fields, optional: Fields = {}): Fields {
  return { type: 'object', required: Object.keys(required), properties: { ...required, ...optional } };
}

function text(): Fields {
  return { type: 'string' };
}

function count(minimum: number): Fields {
  return { type: 'integer', minimum };
}
