import { X509Certificate } from 'node:crypto';
import type { VaultClient } from '@devstack-core/vault-client';
import { isIssuedBy, isSelfSigned } from './pem.ts';

/** An issuer of the mount with its certificate. */
export interface Issuer {
  readonly issuerId: string;
  readonly name: string | undefined;
  readonly keyId: string | undefined;
  readonly isDefault: boolean;
  readonly leafNotAfterBehavior: string;
  readonly certificate: X509Certificate;
}

/** Every issuer of the mount. */
export async function readIssuers(client: VaultClient, mount: string): Promise<Issuer[]> {
  const entries = await client.listPkiIssuers({ mount });
  const issuers = await Promise.all(
    entries.map(async ({ issuerId, isDefault }) => {
      const issuer = await client.readPkiIssuer(issuerId, { mount });
      return issuer === undefined
        ? []
        : [{ ...issuer, isDefault, certificate: new X509Certificate(issuer.certificatePem) }];
    }),
  );
  return issuers.flat();
}

/** The roots that stand in the mount without their keys, as anyone may read them. */
export async function readRoots(client: VaultClient, mount: string): Promise<string> {
  const entries = (await client.listPkiIssuers({ mount })).filter(({ keyId }) => keyId === undefined);
  const pems = await Promise.all(entries.map(({ issuerId }) => client.readPkiCertificate(issuerId, { mount })));
  return pems
    .filter((pem) => pem !== undefined)
    .filter((pem) => isSelfSigned(new X509Certificate(pem)))
    .join('\n');
}

/** The issuer to sign with: of this root, with its key in Vault, valid for longer than that; the one that lasts longest. */
export function usableIssuer(
  issuers: readonly Issuer[],
  root: X509Certificate,
  now: Date,
  leftMs: number,
): Issuer | undefined {
  return issuers
    .filter(
      ({ keyId, certificate }) =>
        keyId !== undefined &&
        certificate.validToDate.getTime() - now.getTime() > leftMs &&
        isIssuedBy(certificate, root),
    )
    .toSorted((a, b) => b.certificate.validToDate.getTime() - a.certificate.validToDate.getTime())[0];
}
