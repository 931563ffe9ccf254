import { X509Certificate } from 'node:crypto';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { VaultClient } from '@devstack-core/vault-client';
import { CertificatesErrorCode } from './errors.ts';
import { checkClock, leafOf, unexpected, type LeafCertificate } from './leaf-certificate.ts';
import { isSelfSigned } from './pem.ts';
import { readRoots } from './pki-issuers.ts';
import { generateKey, privateKeyPem } from './private-key.ts';
import { signingRequest } from './signing.ts';
import { alternativeNames, checkSubject, checkTtl, type CertificateSubject } from './subject.ts';

export interface IssueLeafOptions extends CertificateSubject {
  /** Its token needs `update` on `<mount>/sign/<role>` and nothing else. */
  readonly client: VaultClient;
  readonly role: string;
  /** Default `pki`. */
  readonly mount?: string;
  /** Default: the role's, 90 days. */
  readonly ttlS?: number;
  /** Whom to trust; default: the roots that stand in the mount. A chain that ends elsewhere is refused. */
  readonly caBundlePem?: string;
  readonly now?: () => Date;
}

/**
 * A certificate for a service, under its own role. The key is made here and Vault signs a request for it: no private key is ever sent.
 * Throws `CERTIFICATE_INPUT_INVALID`, `CERTIFICATE_UNEXPECTED` (what came back is not what was asked for), `CERTIFICATE_CLOCK` (it is not
 * valid by this machine's clock), and what the client throws: `VAULT_REQUEST_FAILED` names what the role does not allow.
 */
export async function issueLeaf(options: IssueLeafOptions): Promise<LeafCertificate> {
  checkSubject(options);
  if (options.ttlS !== undefined) checkTtl('ttlS', options.ttlS);
  const { client, role, commonName, dnsNames = [], ipAddresses = [], mount = 'pki' } = options;
  const key = await generateKey('P-256');
  const csrPem = await signingRequest(key, commonName);
  const signed = await client
    .signPkiCertificate({
      mount,
      role,
      csrPem,
      commonName,
      dnsNames,
      ipAddresses,
      ...(options.ttlS === undefined ? {} : { ttlS: options.ttlS }),
    })
    .catch((error: unknown) => {
      throw asClockProblem(error) ?? error;
    });
  const chain = signed.chainPem.length === 0 ? [signed.issuingCaPem] : signed.chainPem;
  const leaf = leafOf({
    certificatePem: signed.certificatePem,
    // The root itself is not presented: a peer trusts it already or not at all.
    chainPem: chain.filter((pem) => !isSelfSigned(new X509Certificate(pem))).join('\n'),
    caBundlePem: options.caBundlePem ?? (await readRoots(client, mount)),
    privateKey: privateKeyPem(key),
  });
  checkNames(leaf.certificatePem, { commonName, dnsNames, ipAddresses });
  checkClock(leaf, options.now?.() ?? new Date());
  return leaf;
}

/** Vault signs nothing that would begin before its issuer, which was signed by the clock of the machine that has the root. */
function asClockProblem(error: unknown): DevstackError | undefined {
  if (!isDevstackError(error) || !/notBefore before signer|certificate is not yet valid/i.test(error.message))
    return undefined;
  return new DevstackError({
    code: CertificatesErrorCode.clock,
    message:
      "Vault does not sign: by its clock, its own authority is not valid yet, so the two machines' clocks differ.",
    hint: 'Compare the clocks (date -u here and where Vault runs), set the wrong one right, and set the PKI up again.',
    details: error.details,
  });
}

function checkNames(pem: string, { commonName, dnsNames = [], ipAddresses = [] }: CertificateSubject): void {
  const certificate = new X509Certificate(pem);
  const found = alternativeNames(certificate);
  const missing = [
    ...[commonName, ...dnsNames].filter((name) => !found.dnsNames.includes(name)),
    ...ipAddresses.filter((ip) => certificate.checkIP(ip) === undefined),
  ];
  if (missing.length > 0) throw unexpected(`it lacks ${missing.join(', ')}`);
}
