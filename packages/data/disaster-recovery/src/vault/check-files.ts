import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

interface FoundCertificate {
  readonly file: string;
  readonly certificate: X509Certificate;
}

interface FoundKey {
  readonly file: string;
  readonly key: KeyObject;
}

/**
 * Whether the certificates and keys below a folder belong together: every certificate was signed by an authority that is there, up to a root,
 * and every private key that can be opened has its certificate beside it. Each problem is one sentence. Lifetimes are not looked at: a start
 * renews what is over.
 */
export async function checkCertificates(root: string): Promise<readonly string[]> {
  const certificates: FoundCertificate[] = [];
  const keys: FoundKey[] = [];
  const problems: string[] = [];
  for (const file of await filesBelow(root)) {
    const text = await readFile(join(root, file), 'utf8');
    for (const [block, label = ''] of text.matchAll(/-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g)) {
      try {
        if (label === 'CERTIFICATE') certificates.push({ file, certificate: new X509Certificate(block) });
        // An encrypted one belongs to who knows its passphrase.
        else if (/^(?:RSA |EC )?PRIVATE KEY$/.test(label)) keys.push({ file, key: createPrivateKey(block) });
      } catch {
        problems.push(`${file} holds a damaged ${label.toLowerCase()}.`);
      }
    }
  }
  for (const { file, certificate } of certificates)
    if (!isTrusted(certificate, certificates, new Set()))
      problems.push(`The certificate ${nameOf(certificate)} in ${file} was signed by no authority in the backup.`);
  for (const { file, key } of keys)
    if (!certificates.some((found) => isBeside(found.file, file) && found.certificate.checkPrivateKey(key)))
      problems.push(`The key in ${file} has no certificate beside it.`);
  return problems;
}

/** Links lead to what is found anyway. */
async function filesBelow(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function isTrusted(certificate: X509Certificate, all: readonly FoundCertificate[], seen: ReadonlySet<string>): boolean {
  if (seen.has(certificate.fingerprint256)) return false;
  const below = new Set([...seen, certificate.fingerprint256]);
  return all.some(({ certificate: issuer }) => {
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false;
    return issuer.fingerprint256 === certificate.fingerprint256 || isTrusted(issuer, all, below);
  });
}

function isBeside(a: string, b: string): boolean {
  return dirname(a) === dirname(b);
}

function nameOf({ subject }: X509Certificate): string {
  return subject.replaceAll('\n', ', ');
}
