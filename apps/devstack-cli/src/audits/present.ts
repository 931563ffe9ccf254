import { toJson, toSarif, toTableRows, type AuditReport } from '@devstack-core/audit-report';
import { DevstackError, ExitCode } from '@devstack-core/errors';
import { stringArgument, type Arguments, type Outcome } from '../command.ts';
import { table } from '../output/table.ts';

/** How an audit's result is shown. */
export interface Presentation {
  /** The name in the schema and in SARIF: `credentials`. */
  readonly name: string;
  readonly report: AuditReport;
  /** Where findings without a file are shown in SARIF. */
  readonly defaultFile: string;
  /** More fields of `--json`. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** More for people, before the findings. */
  readonly text?: string;
}

const formats = ['table', 'json', 'sarif'] as const;

/** The outcome of an audit in the format that was asked for; exit status 0 clean, 3 findings, 1 where something could not be checked. */
export function present(args: Arguments, one: Presentation): Outcome {
  const format = stringArgument(args, 'format') ?? 'table';
  if (!formats.some((known) => known === format)) {
    throw new DevstackError({
      code: 'USAGE',
      message: `--format is ${JSON.stringify(format)}.`,
      hint: `It is one of ${formats.join(', ')}.`,
      details: { usage: true },
    });
  }
  const { report } = one;
  const data = { schema: `devstack/audit-${one.name}/1`, ...toJson(report), ...one.data };
  const exitCode = exitCodeOf(report);
  if (format === 'json') return { data, text: `${JSON.stringify(data, null, 2)}\n`, exitCode };
  if (format === 'sarif') {
    const sarif = toSarif(report, { defaultFile: one.defaultFile, category: `devstack-${one.name}` });
    return { data, text: `${JSON.stringify(sarif, null, 2)}\n`, exitCode };
  }
  return { data, text: `${one.text ?? ''}${findingsText(report)}`, exitCode };
}

/** What a verdict means for a script. */
export function exitCodeOf(report: AuditReport): number {
  return { pass: ExitCode.done, findings: ExitCode.findings, incomplete: ExitCode.failed }[report.verdict];
}

/** The findings with what to do about each, what was not checked, and a last line that says how it ended. */
export function findingsText(report: AuditReport): string {
  const rows = toTableRows(report).map((row) => [
    row.severity,
    row.rule,
    row.subject,
    row.message,
    row.where,
    row.remediation,
  ]);
  const found = `${String(report.findings.length)} findings, ${String(report.notChecked.length)} not checked, ${String(report.checkedCount)} checked`;
  const verdict = {
    pass: `Clean: ${found}.\n`,
    findings: `${found}.\n`,
    incomplete: `Not everything could be checked: ${found}.\n`,
  }[report.verdict];
  return rows.length === 0
    ? verdict
    : `${table(['severity', 'rule', 'subject', 'finding', 'where', 'fix'], rows)}\n${verdict}`;
}
