import type { PartReport, VerificationReport } from './report.ts';

/** A row of a table. */
export interface ReportRow {
  readonly service: string;
  readonly part: string;
  readonly verdict: string;
  /** What was found, e.g. `corrupted`, or what was proven. */
  readonly found: string;
  readonly detail: string;
  readonly seconds: number;
}

/** The report as rows of a table, those of the set as a whole first. */
export function renderReport(report: VerificationReport): readonly ReportRow[] {
  const whole = report.findings.map((finding) => ({
    service: '',
    part: '(the set)',
    verdict: report.verdict,
    found: finding.class,
    detail: finding.message,
    seconds: 0,
  }));
  return [...whole, ...report.parts.map(rowOf)];
}

function rowOf(part: PartReport): ReportRow {
  const [first] = part.findings;
  return {
    service: part.service,
    part: part.part,
    verdict: part.verdict,
    found: first?.class ?? proven(part),
    detail: [first?.message ?? part.parsed ?? '', ...part.warnings].filter((line) => line !== '').join(' '),
    seconds: part.seconds,
  };
}

function proven({ restoredIn, comparedItems, parsed }: PartReport): string {
  if (restoredIn === null) return parsed === null ? 'checksums' : 'parsed';
  return comparedItems === null ? 'restored' : `restored, ${String(comparedItems)} items compared`;
}

/** The report in a few lines. */
export function summarizeReport(report: VerificationReport): readonly string[] {
  const { id, level, verdict, parts, engines, selfTest, only } = report;
  const count = (wanted: string): number => parts.filter((part) => part.verdict === wanted).length;
  const lines = [
    `Backup ${id} is ${verdict} at level ${String(level)}${only === null ? '' : ` (${only.join(', ')} only)`}: ${String(count('valid'))} of ${String(parts.length)} parts valid, ${String(count('invalid'))} invalid, ${String(count('inconclusive'))} inconclusive, in ${report.seconds.toFixed(1)} s.`,
  ];
  for (const { service, engine, image } of engines)
    lines.push(
      `${service}: ${engine} really ran, in ${image.name} (${image.id}${image.isSame ? '' : ', another build'}).`,
    );
  if (selfTest !== null) lines.push(`The control, wrong expectations on purpose, ${selfTest}.`);
  return lines;
}
