import { certificateStatus, expiryMetrics } from '@devstack-core/certificates';
import { writeFileDurable } from '@devstack-core/durable-files';
import { ExitCode } from '@devstack-core/errors';
import { certificates, usesTls, type CertificatesReport, type ServedCertificate } from '@devstack-core/stack-lifecycle';
import { requireRunning } from '../../audits/require-running.ts';
import { stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  if (usesTls(stack.model)) await requireRunning(stack);
  const report = await certificates(stack);
  const metrics = stringArgument(args, 'metrics');
  if (metrics !== undefined) await writeMetrics(report, metrics);
  const isFine = report.services.every((one) => one.verdict === 'ok' && one.state === 'ok');
  return {
    data: { schema: 'devstack/certs-status/1', ...report, services: report.services.map(withoutChain) },
    text: render(report),
    exitCode: isFine ? ExitCode.done : ExitCode.findings,
  };
}

/** For a textfile collector of Prometheus; readable by everybody, as nothing in it is secret. */
export async function writeMetrics(report: CertificatesReport, path: string): Promise<void> {
  const targets = report.services.map(({ service, chainPem }) => ({ service, pem: chainPem }));
  await writeFileDurable(path, expiryMetrics(await certificateStatus(targets)), { mode: 0o644 });
}

function withoutChain({ chainPem: _chain, ...rest }: ServedCertificate): Omit<ServedCertificate, 'chainPem'> {
  return rest;
}

function render(report: CertificatesReport): string {
  if (report.root === null) {
    return 'No service speaks TLS. Next: DEVSTACK_TLS=true devstack up (docs/tls.md)\n';
  }
  const rows = report.services.map((one) => [
    one.service,
    one.tls === 'required' ? 'required' : 'offered',
    one.verdict === 'ok' ? one.state : `${one.verdict} ${one.reason}`.trimEnd(),
    one.notAfter?.slice(0, 16).replace('T', ' ') ?? '',
    one.daysLeft === null ? '' : `${String(one.daysLeft)} days`,
    one.renewalAt?.slice(0, 16).replace('T', ' ') ?? '',
    one.protocol ?? '',
    one.advice,
  ]);
  const { id, notAfter, bundlePath, retiring } = report.root;
  const old = retiring.length === 0 ? '' : `, with ${retiring.join(', ')} still trusted`;
  const others = [
    ...(report.notRunning.length === 0 ? [] : [`Not running: ${report.notRunning.join(', ')}`]),
    ...(report.plain.length === 0 ? [] : [`Without TLS: ${report.plain.join(', ')}`]),
  ];
  return [
    `Root ${id}, until ${notAfter.slice(0, 10)}${old}\nTrust: ${bundlePath}\n\n`,
    table(['service', 'tls', 'state', 'until (UTC)', 'left', 'renewed from', 'protocol', 'next'], rows),
    ...others.map((line) => `${line}\n`),
  ].join('');
}
