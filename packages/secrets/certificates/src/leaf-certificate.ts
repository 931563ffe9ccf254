import { createPrivateKey, type X509Certificate } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { humanDuration } from './duration.ts';
import { CertificatesErrorCode } from './errors.ts';
import { bundleOf, isIssuedBy, parseCertificate, parseCertificates, pemBlocks } from './pem.ts';

/** A certificate with everything its owner needs to present it and to trust its peers. */
export interface LeafCertificate {
  readonly certificatePem: string;
  /** The intermediates to present after it; empty where a root signed it. */
  readonly chainPem: string;
  /** Every root to trust. */
  readonly caBundlePem: string;
  /** PKCS#8 in PEM. */
  readonly privateKey: Secret;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Upper-case hexadecimal digits without colons, as Node shows it. */
  readonly serial: string;
}

/** Puts the parts together. Throws `CERTIFICATE_UNEXPECTED` unless key, certificate, chain and bundle belong together. */
export function leafOf(parts: {
  readonly certificatePem: string;
  readonly chainPem: string;
  readonly caBundlePem: string;
  readonly privateKey: Secret;
}): LeafCertificate {
  const certificate = parseCertificate(parts.certificatePem, 'The new certificate');
  if (!isKeyOf(certificate, parts.privateKey)) throw unexpected('its key is another or none');
  const roots = parseCertificates(parts.caBundlePem, 'The bundle of roots');
  const chain = pemBlocks(parts.chainPem).map((pem) => parseCertificate(pem, 'The chain'));
  let last = certificate;
  for (const issuer of chain) {
    if (!isIssuedBy(last, issuer)) throw unexpected('its chain is not of its issuers');
    last = issuer;
  }
  if (!roots.some((root) => isIssuedBy(last, root))) throw unexpected('its chain ends in no trusted root');
  return {
    certificatePem: pemBlocks(parts.certificatePem)[0] ?? '',
    chainPem: pemBlocks(parts.chainPem).join(''),
    caBundlePem: bundleOf([parts.caBundlePem]),
    privateKey: parts.privateKey,
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    serial: certificate.serialNumber,
  };
}

function isKeyOf(certificate: X509Certificate, privateKey: Secret): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(privateKey.reveal()));
  } catch {
    return false;
  }
}

/**
 * Throws `CERTIFICATE_CLOCK` when a certificate that was just made is not valid by this machine's clock: then not the certificate is at
 * fault but one of the two clocks.
 */
export function checkClock(certificate: { readonly notBefore: Date; readonly notAfter: Date }, now: Date): void {
  const early = certificate.notBefore.getTime() - now.getTime();
  const late = now.getTime() - certificate.notAfter.getTime();
  if (early <= 0 && late < 0) return;
  const [difference, side] = early > 0 ? [early, 'behind'] : [late, 'ahead of'];
  throw new DevstackError({
    code: CertificatesErrorCode.clock,
    message: `The certificate was made just now, but by this machine's clock (${now.toISOString()}) it is ${
      early > 0 ? 'not valid yet' : 'over'
    }: this clock is at least ${humanDuration(difference)} ${side} the signer's.`,
    hint: 'Compare the clocks (date -u here and where Vault runs), set the wrong one right, and try again.',
    details: {
      now: now.toISOString(),
      notBefore: certificate.notBefore.toISOString(),
      notAfter: certificate.notAfter.toISOString(),
      differenceMs: difference,
    },
  });
}

export function unexpected(why: string): DevstackError {
  return new DevstackError({
    code: CertificatesErrorCode.unexpected,
    message: `The new certificate cannot be used: ${why}.`,
    hint: 'Run the set-up of the PKI again; if it stays, something else changes the same mount.',
    details: { why },
  });
}
