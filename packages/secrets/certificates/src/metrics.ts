import type { CertificateStatus } from './status.ts';

/**
 * The status as Prometheus text (exposition format 0.0.4), for a file of the node exporter's textfile collector: write it atomically
 * (`writeFileDurable`, mode 0644) under a name that ends in `.prom`. What could not be read has `devstack_certificate_readable` 0.
 */
export function expiryMetrics(statuses: readonly CertificateStatus[]): string {
  const sorted = statuses.toSorted((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0));
  const seconds = (date: Date | undefined): number | undefined =>
    date === undefined ? undefined : Math.floor(date.getTime() / 1000);
  return [
    family(
      'devstack_certificate_not_after_seconds',
      'When the certificate ends, in seconds since 1970.',
      sorted,
      (status) => seconds(status.certificate?.notAfter),
    ),
    family('devstack_certificate_not_before_seconds', 'When it began, in seconds since 1970.', sorted, (status) =>
      seconds(status.certificate?.notBefore),
    ),
    family('devstack_certificate_readable', '1 when there is a certificate that could be read.', sorted, (status) =>
      status.certificate === undefined ? 0 : 1,
    ),
  ].join('');
}

function family(
  name: string,
  help: string,
  statuses: readonly CertificateStatus[],
  value: (status: CertificateStatus) => number | undefined,
): string {
  const samples = statuses.flatMap((status) => {
    const number = value(status);
    return number === undefined ? [] : [`${name}{${labels(status)}} ${String(number)}\n`];
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${samples.join('')}`;
}

/** No serial among them: a series must outlive a renewal. */
function labels({ service, certificate }: CertificateStatus): string {
  const kind = certificate?.isAuthority === true ? 'authority' : 'leaf';
  return `service="${escaped(service)}",kind="${kind}"`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
