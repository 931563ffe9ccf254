import { auditReport, toolOf } from '@devstack-core/audit-report';
import { capabilitiesOf } from '../../audits/capabilities.ts';
import { credentialsOf } from '../../audits/credentials.ts';
import { egressTargetsOf } from '../../audits/egress.ts';
import { networkOf } from '../../audits/network.ts';
import { present } from '../../audits/present.ts';
import { certificateFindings } from '../../audits/certificates.ts';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

/** Every audit, one report: what each found stands in it under its own rule. */
export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const startedAt = new Date();
  // Probes open connections and start processes for a moment: they would be seen by the others.
  const credentials = await credentialsOf(stack, context, { history: args['history'] === true });
  const capabilities = await capabilitiesOf(stack, context);
  const network = await networkOf(stack, context, { egressTargets: egressTargetsOf(args) });
  const certificates = await certificateFindings(stack);
  const parts = [
    ['credentials', credentials],
    ['capabilities', capabilities.report],
    ['network', network.report],
    ['certificates', certificates],
  ] as const;
  const report = auditReport({
    tool: toolOf('devstack audit', import.meta.url),
    startedAt,
    findings: parts.flatMap(([, part]) => part.findings),
    // An audit that looked at nothing has not passed.
    notChecked: parts.flatMap(([name, part]) => [
      ...part.notChecked,
      ...(part.checkedCount === 0 && part.notChecked.length === 0
        ? [{ subject: name, reason: 'there was nothing to look at: is the stack up?' }]
        : []),
    ]),
    checkedCount: parts.reduce((sum, [, part]) => sum + part.checkedCount, 0),
  });
  const rows = parts.map(([name, part]) => [
    name,
    part.verdict,
    String(part.findings.length),
    String(part.notChecked.length),
    String(part.checkedCount),
  ]);
  return present(args, {
    name: 'all',
    report,
    defaultFile: 'infrastructure/compose/compose.yaml',
    data: { parts: Object.fromEntries(parts), score: capabilities.score },
    text: `${table(['audit', 'verdict', 'findings', 'not checked', 'checked'], rows)}\nCapability score ${String(capabilities.score.value)} of 100\n\n`,
  });
}
