import { createPublicKey, randomBytes, X509Certificate, type KeyObject, type webcrypto } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import { backdateMs } from './duration.ts';
import { CertificatesErrorCode } from './errors.ts';
import { pemOf } from './pem.ts';
import { signingKey } from './private-key.ts';
import type { CertificateSubject } from './subject.ts';
import { x509Library } from './x509.ts';

/** A key and the certificate that says whose it is. */
export interface Signer {
  readonly key: KeyObject;
  readonly certificatePem: string;
}

/** A root's own certificate: it may sign intermediates (path length 1) and server certificates, and nothing else uses its key. */
export async function selfSign(options: {
  readonly key: KeyObject;
  readonly commonName: string;
  readonly organization: string;
  readonly ttlS: number;
  readonly now: Date;
}): Promise<string> {
  const library = await x509Library();
  const { key, algorithm } = signingKey(options.key);
  const publicKey = publicKeyOf(options.key);
  const certificate = await library.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: distinguishedName(options.commonName, options.organization),
    ...validity(options.now, options.ttlS, backdateMs.authority),
    keys: { privateKey: key, publicKey },
    signingAlgorithm: algorithm,
    extensions: [
      new library.BasicConstraintsExtension(true, 1, true),
      new library.KeyUsagesExtension(library.KeyUsageFlags.keyCertSign | library.KeyUsageFlags.cRLSign, true),
      await library.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return normalized(certificate.toString('pem'));
}

/** An intermediate that may sign leaves and no further authority (path length 0). The request must be signed by its own key. */
export async function signIntermediate(
  signer: Signer,
  options: { readonly csrPem: string; readonly ttlS: number; readonly now: Date },
): Promise<string> {
  const library = await x509Library();
  const request = new library.Pkcs10CertificateRequest(options.csrPem);
  if (!(await request.verify())) {
    throw new DevstackError({
      code: CertificatesErrorCode.unexpected,
      message: 'The signing request of the intermediate is not signed by its own key.',
      hint: 'Something between here and Vault changes requests: look at the address and its proxy.',
    });
  }
  const { key, algorithm } = signingKey(signer.key);
  const issuer = new library.X509Certificate(signer.certificatePem);
  const certificate = await library.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: request.subjectName,
    issuer: issuer.subjectName,
    ...within(issuer, validity(options.now, options.ttlS, backdateMs.authority)),
    publicKey: request.publicKey,
    signingKey: key,
    signingAlgorithm: algorithm,
    extensions: [
      new library.BasicConstraintsExtension(true, 0, true),
      new library.KeyUsagesExtension(library.KeyUsageFlags.keyCertSign | library.KeyUsageFlags.cRLSign, true),
      await library.SubjectKeyIdentifierExtension.create(request.publicKey),
      await library.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return normalized(certificate.toString('pem'));
}

/** A certificate for a server or a client, signed here. */
export async function signLeaf(
  signer: Signer,
  options: CertificateSubject & {
    readonly key: KeyObject;
    readonly server: boolean;
    readonly client: boolean;
    readonly ttlS: number;
    readonly now: Date;
  },
): Promise<string> {
  const library = await x509Library();
  const { key, algorithm } = signingKey(signer.key);
  const issuer = new library.X509Certificate(signer.certificatePem);
  const publicKey = publicKeyOf(options.key);
  const dnsNames = [...new Set([options.commonName, ...(options.dnsNames ?? [])])];
  const certificate = await library.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: distinguishedName(options.commonName),
    issuer: issuer.subjectName,
    ...within(issuer, validity(options.now, options.ttlS, backdateMs.leaf)),
    publicKey,
    signingKey: key,
    signingAlgorithm: algorithm,
    extensions: [
      new library.BasicConstraintsExtension(false, undefined, true),
      new library.KeyUsagesExtension(library.KeyUsageFlags.digitalSignature, true),
      new library.ExtendedKeyUsageExtension([
        ...(options.server ? [library.ExtendedKeyUsage.serverAuth] : []),
        ...(options.client ? [library.ExtendedKeyUsage.clientAuth] : []),
      ]),
      new library.SubjectAlternativeNameExtension([
        ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...(options.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
      ]),
      await library.SubjectKeyIdentifierExtension.create(publicKey),
      await library.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return normalized(certificate.toString('pem'));
}

/** A request for that key. The signer decides about all else, so it names the common name alone. */
export async function signingRequest(key: KeyObject, commonName: string): Promise<string> {
  const library = await x509Library();
  const signing = signingKey(key);
  const request = await library.Pkcs10CertificateRequestGenerator.create({
    name: distinguishedName(commonName),
    keys: { privateKey: signing.key, publicKey: publicKeyOf(key) },
    signingAlgorithm: signing.algorithm,
  });
  return `${request.toString('pem').trim()}\n`;
}

type Name = { readonly CN?: string[]; readonly O?: string[] }[];

function distinguishedName(commonName: string, organization?: string): Name {
  return [...(organization === undefined ? [] : [{ O: [organization] }]), { CN: [commonName] }];
}

/** 127 random bits, positive (RFC 5280, 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

function validity(now: Date, ttlS: number, backMs: number): Validity {
  return { notBefore: new Date(now.getTime() - backMs), notAfter: new Date(now.getTime() + ttlS * 1000) };
}

/** Nothing outlives its issuer, nor begins before it. */
function within(issuer: Validity, { notBefore, notAfter }: Validity): Validity {
  return {
    notBefore: notBefore < issuer.notBefore ? issuer.notBefore : notBefore,
    notAfter: notAfter > issuer.notAfter ? issuer.notAfter : notAfter,
  };
}

function publicKeyOf(key: KeyObject): webcrypto.CryptoKey {
  const { namedCurve = 'prime256v1' } = key.asymmetricKeyDetails ?? {};
  const curve = namedCurve === 'secp384r1' ? 'P-384' : 'P-256';
  return createPublicKey(key).toCryptoKey({ name: 'ECDSA', namedCurve: curve }, true, ['verify']);
}

function normalized(pem: string): string {
  return pemOf(new X509Certificate(pem));
}
