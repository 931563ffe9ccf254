import type { AuditReport, Finding, Severity } from './report.ts';

/** How a report becomes SARIF. */
export interface SarifOptions {
  /** Where findings without a file are shown: GitHub refuses a result without one. Relative to the root of the repository. */
  readonly defaultFile: string;
  /** A page about the tool. */
  readonly informationUri?: string;
  /** Tells the runs of several audits of one commit apart on GitHub (`automationDetails.id`). */
  readonly category?: string;
}

/** A SARIF log; plain data for `JSON.stringify`. */
export type SarifLog = Readonly<Record<string, unknown>>;

/**
 * SARIF 2.1.0 as GitHub code scanning takes it: every result has a file and a line, a rule with a security severity, and a fingerprint that
 * outlives moved lines. What was not checked becomes notifications of the run, which is unsuccessful then.
 * Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ and GitHub's "SARIF support for code scanning".
 */
export function toSarif(report: AuditReport, options: SarifOptions): SarifLog {
  const rules = [...Map.groupBy(report.findings, (finding) => finding.ruleId)].map(([id, findings]) =>
    ruleOf(id, findings),
  );
  const indexes = new Map(rules.map((rule, index) => [rule.id, index]));
  return {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: report.tool.name,
            version: report.tool.version,
            ...(options.informationUri === undefined ? {} : { informationUri: options.informationUri }),
            rules,
          },
        },
        ...(options.category === undefined
          ? {}
          : { automationDetails: { id: `${options.category.replace(/\/+$/, '')}/` } }),
        invocations: [
          {
            executionSuccessful: report.notChecked.length === 0,
            startTimeUtc: report.startedAt,
            toolExecutionNotifications: report.notChecked.map(({ subject, reason }) => ({
              level: 'warning',
              message: { text: `${subject} was not checked: ${reason}` },
            })),
          },
        ],
        originalUriBaseIds: { '%SRCROOT%': { description: { text: 'The root of the repository.' } } },
        results: report.findings.map((finding) => resultOf(finding, indexes.get(finding.ruleId) ?? 0, options)),
        columnKind: 'utf16CodeUnits',
        properties: { verdict: report.verdict, checkedCount: report.checkedCount },
      },
    ],
  };
}

type Level = 'error' | 'warning' | 'note';

const levels: Readonly<Record<Severity, Level>> = {
  critical: 'error',
  high: 'error',
  medium: 'warning',
  low: 'note',
  info: 'note',
};

// GitHub: over 9.0 is critical, 7.0 to 8.9 high, 4.0 to 6.9 medium, 0.1 to 3.9 low.
const securitySeverities: Readonly<Record<Severity, string>> = {
  critical: '9.5',
  high: '8.0',
  medium: '5.5',
  low: '2.0',
  info: '0.0',
};

// Findings come with the gravest first, so the first one of a rule speaks for it.
function ruleOf(id: string, [first]: readonly Finding[]): { readonly id: string } & Readonly<Record<string, unknown>> {
  const severity = first?.severity ?? 'info';
  const title = first?.title ?? id;
  return {
    id,
    name: id,
    shortDescription: { text: title },
    fullDescription: { text: title },
    help: { text: first?.remediation ?? title },
    defaultConfiguration: { level: levels[severity] },
    properties: { tags: ['security'], precision: 'very-high', 'security-severity': securitySeverities[severity] },
  };
}

function resultOf(
  finding: Finding,
  ruleIndex: number,
  { defaultFile }: SarifOptions,
): Readonly<Record<string, unknown>> {
  return {
    ruleId: finding.ruleId,
    ruleIndex,
    level: levels[finding.severity],
    message: { text: `${finding.subject}: ${finding.message}\n${finding.remediation}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: toUri(finding.location?.file ?? defaultFile), uriBaseId: '%SRCROOT%' },
          region: { startLine: Math.max(1, finding.location?.line ?? 1) },
        },
        logicalLocations: [{ name: finding.subject, kind: 'resource' }],
      },
    ],
    partialFingerprints: { 'devstackFindingId/v1': finding.id },
    properties: { severity: finding.severity, remediation: finding.remediation },
  };
}

// A relative reference (RFC 3986): segments encoded, no leading `/` or `./`.
function toUri(file: string): string {
  return file
    .replace(/^(?:\.?\/)+/, '')
    .split('/')
    .map((segment) => encodeURIComponent(segment.toWellFormed()))
    .join('/');
}
