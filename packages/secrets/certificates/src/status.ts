import { readFile } from 'node:fs/promises';
import type { X509Certificate } from 'node:crypto';
import { isDevstackError } from '@devstack-core/errors';
import { dayMs } from './duration.ts';
import { leafPaths, readIssuedAt } from './leaf-files.ts';
import { renewBeforeMs, usableMs, type Lifetime } from './needs-renewal.ts';
import { parseCertificate } from './pem.ts';
import { alternativeNames } from './subject.ts';

/** Where a certificate is: a directory that `renew` keeps, a file, or its text. */
export type CertificateTarget =
  | { readonly service: string; readonly directory: string }
  | { readonly service: string; readonly file: string }
  | { readonly service: string; readonly pem: string };

/** `warning` with 30 days left, `critical` with 7, or with the same parts of a usable time that is shorter than 90 days. */
export type CertificateState = 'ok' | 'warning' | 'critical' | 'expired' | 'not-yet-valid' | 'missing' | 'unreadable';

export interface CertificateStatus {
  readonly service: string;
  readonly state: CertificateState;
  /** The file it was read from. */
  readonly path: string | undefined;
  /** Undefined where there is no certificate to speak of. */
  readonly certificate:
    | {
        readonly subject: string;
        readonly issuer: string;
        readonly dnsNames: readonly string[];
        readonly ipAddresses: readonly string[];
        readonly serial: string;
        readonly notBefore: Date;
        readonly notAfter: Date;
        /** Whole days; negative when it is over. */
        readonly daysLeft: number;
        readonly isAuthority: boolean;
      }
    | undefined;
  /** What to do, for a person; empty when it is `ok`. */
  readonly advice: string;
}

/** The state of each certificate. What cannot be read is a state, not an error. */
export function certificateStatus(
  targets: readonly CertificateTarget[],
  options: { readonly now?: Date } = {},
): Promise<CertificateStatus[]> {
  const now = options.now ?? new Date();
  return Promise.all(targets.map((target) => statusOf(target, now)));
}

async function statusOf(target: CertificateTarget, now: Date): Promise<CertificateStatus> {
  const { service } = target;
  const path =
    'directory' in target ? leafPaths(target.directory).certificate : 'file' in target ? target.file : undefined;
  const problem = (state: 'missing' | 'unreadable'): CertificateStatus => ({
    service,
    state,
    path,
    certificate: undefined,
    advice: advices[state],
  });
  try {
    const text = 'pem' in target ? target.pem : await readFile(path ?? '', 'utf8');
    const certificate = parseCertificate(text, path ?? `The certificate of ${service}`);
    const issuedAt = 'directory' in target ? await readIssuedAt(target.directory) : undefined;
    const { validFromDate: notBefore, validToDate: notAfter } = certificate;
    const state = stateOf({ notBefore, notAfter, ...(issuedAt === undefined ? {} : { issuedAt }) }, now);
    return { service, state, path, certificate: describe(certificate, now), advice: advices[state] };
  } catch (error) {
    if (isDevstackError(error)) return problem('unreadable');
    return problem(error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'missing' : 'unreadable');
  }
}

function stateOf(lifetime: Lifetime, now: Date): Exclude<CertificateState, 'missing' | 'unreadable'> {
  const leftMs = lifetime.notAfter.getTime() - now.getTime();
  if (leftMs <= 0) return 'expired';
  if (lifetime.notBefore > now) return 'not-yet-valid';
  if (leftMs <= Math.min(7 * dayMs, (usableMs(lifetime) * 7) / 90)) return 'critical';
  return leftMs <= renewBeforeMs(lifetime) ? 'warning' : 'ok';
}

function describe(certificate: X509Certificate, now: Date): CertificateStatus['certificate'] {
  return {
    subject: certificate.subject.replaceAll('\n', ', '),
    issuer: certificate.issuer.replaceAll('\n', ', '),
    ...alternativeNames(certificate),
    serial: certificate.serialNumber,
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    daysLeft: Math.floor((certificate.validToDate.getTime() - now.getTime()) / dayMs),
    isAuthority: certificate.ca,
  };
}

const advices: Readonly<Record<CertificateState, string>> = {
  ok: '',
  warning: 'It is due: renew it.',
  critical: 'Its renewal failed or does not run: renew it now, and see why.',
  expired: 'Clients that verify refuse it: renew it now.',
  'not-yet-valid': "This machine's clock is behind, or the signer's ahead: compare date -u on both.",
  missing: 'None was issued: renew it, which issues the first one.',
  unreadable: 'The file is no certificate, or may not be read: look at its owner and mode, and renew it.',
};
