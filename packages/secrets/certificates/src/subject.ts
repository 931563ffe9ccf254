import { isIP } from 'node:net';
import type { X509Certificate } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import { CertificatesErrorCode } from './errors.ts';

/** Who a certificate is for. */
export interface CertificateSubject {
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/i;

/** Throws `CERTIFICATE_INPUT_INVALID`, naming each value that cannot stand in a certificate. */
export function checkSubject({ commonName, dnsNames = [], ipAddresses = [] }: CertificateSubject): void {
  const problems = [
    ...(isDnsName(commonName) && commonName.length <= 64 ? [] : [`commonName "${commonName}" is not a host name`]),
    ...dnsNames.filter((name) => !isDnsName(name)).map((name) => `dnsNames: "${name}" is not a host name`),
    ...ipAddresses.filter((ip) => isIP(ip) === 0).map((ip) => `ipAddresses: "${ip}" is not an IP address`),
  ];
  if (problems.length > 0) throw inputInvalid(problems);
}

export function checkTtl(name: string, ttlS: number): void {
  if (!Number.isFinite(ttlS) || ttlS < 1) throw inputInvalid([`${name} ${String(ttlS)} is not a number of seconds`]);
}

export function inputInvalid(problems: readonly string[]): DevstackError {
  return new DevstackError({
    code: CertificatesErrorCode.inputInvalid,
    message: `No certificate can be made: ${problems.join('; ')}.`,
    hint: 'Names are host names without a port or a wildcard, addresses are IPv4 or IPv6, lifetimes are seconds.',
    details: { problems },
  });
}

/** The names and addresses a certificate is valid for, as they are compared and shown. */
export function alternativeNames(certificate: X509Certificate): { dnsNames: string[]; ipAddresses: string[] } {
  const entries = (certificate.subjectAltName ?? '').split(', ');
  const of = (kind: string): string[] =>
    entries.filter((entry) => entry.startsWith(kind)).map((entry) => entry.slice(kind.length));
  return { dnsNames: of('DNS:'), ipAddresses: of('IP Address:') };
}

function isDnsName(name: string): boolean {
  return name.length <= 253 && isIP(name) === 0 && name.split('.').every((part) => label.test(part));
}
