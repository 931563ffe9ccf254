import type { AuditTool } from './tool-of.ts';

/** From the one that needs an answer today to the one that is only worth knowing. */
export type Severity = 'critical' | 'high' | 'medium' | 'low' | 'info';

/** The severities, the gravest first. */
export const severities: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'info'];

/** Where a finding can be seen and mended. */
export interface FindingLocation {
  /** Relative to the root of the repository, with `/`. */
  readonly file: string;
  /** From 1. */
  readonly line?: number;
}

/** One thing that is wrong. */
export interface Finding {
  /** Stable over runs: the same thing keeps its id, so that readers can tell what is new. `findingId` makes one. */
  readonly id: string;
  readonly ruleId: string;
  readonly severity: Severity;
  /** What the rule demands, the same for all of its findings. */
  readonly title: string;
  /** What was found here; never a secret. */
  readonly message: string;
  readonly location?: FindingLocation;
  /** What it was found on: a service, a container, a role. */
  readonly subject: string;
  /** What to do. */
  readonly remediation: string;
}

/** Something that the audit did not look at. What is not listed here was looked at. */
export interface NotChecked {
  readonly subject: string;
  readonly reason: string;
}

/** `incomplete`: nothing was found, but not everything was looked at, so it is no pass. */
export type Verdict = 'pass' | 'findings' | 'incomplete';

/** What an audit says. */
export interface AuditReport {
  /** What looked: `toolOf` gives it. */
  readonly tool: AuditTool;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly verdict: Verdict;
  /** The gravest first, then by rule and subject. */
  readonly findings: readonly Finding[];
  readonly notChecked: readonly NotChecked[];
  /** How many things were looked at: a report of none is not a pass. */
  readonly checkedCount: number;
}

/** What a report is made from. */
export interface AuditReportInput {
  readonly tool: AuditTool;
  readonly startedAt: Date;
  readonly findings: readonly Finding[];
  readonly notChecked: readonly NotChecked[];
  readonly checkedCount: number;
}

/** Orders the findings and draws the verdict. */
export function auditReport({ startedAt, ...input }: AuditReportInput): AuditReport {
  return {
    ...input,
    startedAt: startedAt.toISOString(),
    verdict: verdictOf(input),
    findings: input.findings.toSorted(compareFindings),
  };
}

/** `findings` where there is one, otherwise `incomplete` where something, or everything, was left out, otherwise `pass`. */
export function verdictOf(input: Pick<AuditReportInput, 'findings' | 'notChecked' | 'checkedCount'>): Verdict {
  if (input.findings.length > 0) return 'findings';
  return input.notChecked.length > 0 || input.checkedCount === 0 ? 'incomplete' : 'pass';
}

function compareFindings(a: Finding, b: Finding): number {
  return (
    severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
    compareText(a.ruleId, b.ruleId) ||
    compareText(a.subject, b.subject) ||
    compareText(a.id, b.id)
  );
}

// Not localeCompare: a report is the same on every machine.
function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
