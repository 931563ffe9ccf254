import { X509Certificate } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import { CertificatesErrorCode } from './errors.ts';

const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Each certificate of a PEM text, as it stands there; anything else in the text is left out. */
export function pemBlocks(text: string): string[] {
  return (text.match(block) ?? []).map((pem) => `${pem.replaceAll('\r', '')}\n`);
}

/** The certificates of a PEM text. Throws `CERTIFICATE_UNREADABLE` for a block that is none, and for a text without any. */
export function parseCertificates(text: string, where: string): X509Certificate[] {
  const blocks = pemBlocks(text);
  try {
    if (blocks.length > 0) return blocks.map((pem) => new X509Certificate(pem));
  } catch {
    // Said below.
  }
  throw new DevstackError({
    code: CertificatesErrorCode.unreadable,
    message: `${where} holds no certificate in PEM form that can be read.`,
    hint: 'Look at it with: openssl x509 -noout -text -in FILE',
    details: { where },
  });
}

/** The first certificate of a text. */
export function parseCertificate(text: string, where: string): X509Certificate {
  const [first] = parseCertificates(text, where);
  if (first === undefined) throw new TypeError('unreachable: parseCertificates gives at least one');
  return first;
}

/** As PEM with a line end, whatever made it. */
export function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString().trim()}\n`;
}

/** A bundle without repetitions, in one order whatever the order given: equal sets of roots are equal texts. */
export function bundleOf(texts: readonly string[]): string {
  const seen = new Map<string, string>();
  for (const certificate of texts.flatMap(pemBlocks).map((pem) => new X509Certificate(pem)))
    if (!seen.has(certificate.fingerprint256)) seen.set(certificate.fingerprint256, pemOf(certificate));
  return [...seen]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, pem]) => pem)
    .join('');
}

/** 16 hexadecimal digits that name a certificate in files and in Vault. */
export function certificateId(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').slice(0, 16).toLowerCase();
}

/** True when `issuer` signed `certificate`: by name, key identifier and signature. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

export function isSelfSigned(certificate: X509Certificate): boolean {
  return isIssuedBy(certificate, certificate);
}
