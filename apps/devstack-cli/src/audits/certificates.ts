import { auditReport, findingId, toolOf, type AuditReport, type Finding } from '@devstack-core/audit-report';
import { relative } from 'node:path';
import { certificates, endpointOf, type ServedCertificate, type Stack } from '@devstack-core/stack-lifecycle';

const title = 'Every service with TLS presents a certificate that clients accept, and that is not about to end.';

/** What is wrong with the certificates that services present, as findings. A stack without TLS has nothing to look at. */
export async function certificateFindings(stack: Stack): Promise<AuditReport> {
  const startedAt = new Date();
  const { services, notRunning, plain } = await certificates(stack);
  return auditReport({
    tool: toolOf('certificates', import.meta.url),
    startedAt,
    findings: services.flatMap((one) => findingOf(stack, one)),
    notChecked: notRunning.map((subject) => ({ subject, reason: 'its certificate: it does not run' })),
    // A service without TLS was looked at: it has none to be wrong.
    checkedCount: services.length + plain.length,
  });
}

function findingOf(stack: Stack, one: ServedCertificate): readonly Finding[] {
  if (one.verdict === 'ok' && one.state === 'ok') return [];
  const refused = one.verdict !== 'ok';
  const ruleId = refused ? 'certificate-refused' : 'certificate-ends-soon';
  const until = one.notAfter === null ? '' : `, valid until ${one.notAfter}`;
  const service = stack.model.service(one.service);
  const endpoint = endpointOf(stack, service);
  const where = endpoint === undefined ? one.service : `${one.service} at ${endpoint.host}:${String(endpoint.port)}`;
  return [
    {
      id: findingId(ruleId, one.service),
      ruleId,
      severity: refused ? 'high' : one.state === 'critical' ? 'high' : 'medium',
      title,
      subject: one.service,
      message: refused
        ? `A client that verifies refuses ${where}: ${`${one.verdict} ${one.reason}`.trim()}${until}.`
        : `The certificate of ${where} is ${one.state}${until}.`,
      location: { file: relative(stack.project.root, service.source.file), line: service.source.line },
      remediation: `devstack certs renew ${one.service} --force`,
    },
  ];
}
