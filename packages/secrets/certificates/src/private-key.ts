import {
  createCipheriv,
  createPrivateKey,
  generateKeyPair,
  randomBytes,
  scrypt,
  type KeyObject,
  type webcrypto,
} from 'node:crypto';
import { promisify } from 'node:util';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { CertificatesErrorCode } from './errors.ts';

/** The curves that keys are made on. Every TLS library in use knows both. */
export type Curve = 'P-256' | 'P-384';

export async function generateKey(curve: Curve): Promise<KeyObject> {
  return (await promisify(generateKeyPair)('ec', { namedCurve: curve })).privateKey;
}

/** An EC key as WebCrypto wants it, for the signature of an X.509 structure. */
export function signingKey(key: KeyObject): {
  key: webcrypto.CryptoKey;
  algorithm: { name: string; namedCurve: string; hash: string };
} {
  const namedCurve = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'P-384' : 'P-256';
  const algorithm = { name: 'ECDSA', namedCurve, hash: namedCurve === 'P-384' ? 'SHA-384' : 'SHA-256' };
  return { key: key.toCryptoKey({ name: 'ECDSA', namedCurve }, false, ['sign']), algorithm };
}

export function privateKeyPem(key: KeyObject): Secret {
  return new Secret(key.export({ type: 'pkcs8', format: 'pem' }).toString());
}

/** About 0.2 s of one core and 16 MiB, which OpenSSL still opens without being told so. OWASP's parameters for this size. */
const scryptCost = { N: 2 ** 14, r: 8, p: 5 };

/**
 * An encrypted PKCS#8 PEM (RFC 5958) by PBES2 (RFC 8018) with scrypt (RFC 7914) and AES-256-CBC: `openssl pkey` reads it. Node writes such
 * files with 2,048 rounds of PBKDF2 alone, so the envelope is made here; Node's own reader opens it.
 */
export async function encryptKey(key: KeyObject, passphrase: Secret): Promise<Secret> {
  if (passphrase.reveal() === '') throw wrongPassphrase('The passphrase is empty.');
  const asn1 = await import('asn1js');
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const derived = await derive(passphrase.reveal(), salt);
  const cipher = createCipheriv('aes-256-cbc', derived, iv);
  const encrypted = Buffer.concat([cipher.update(key.export({ type: 'pkcs8', format: 'der' })), cipher.final()]);
  const sequence = (...value: InstanceType<typeof asn1.BaseBlock>[]): InstanceType<typeof asn1.Sequence> =>
    new asn1.Sequence({ value });
  const oid = (value: string): InstanceType<typeof asn1.ObjectIdentifier> => new asn1.ObjectIdentifier({ value });
  const octets = (bytes: Buffer): InstanceType<typeof asn1.OctetString> =>
    new asn1.OctetString({ valueHex: new Uint8Array(bytes).buffer });
  const integer = (value: number): InstanceType<typeof asn1.Integer> => asn1.Integer.fromBigInt(BigInt(value));
  const { N, r, p } = scryptCost;
  const kdf = sequence(
    oid('1.3.6.1.4.1.11591.4.11'),
    sequence(octets(salt), integer(N), integer(r), integer(p), integer(32)),
  );
  const scheme = sequence(oid('2.16.840.1.101.3.4.1.42'), octets(iv));
  const envelope = sequence(sequence(oid('1.2.840.113549.1.5.13'), sequence(kdf, scheme)), octets(encrypted));
  const lines =
    Buffer.from(envelope.toBER())
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return new Secret(
    `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${lines.join('\n')}\n-----END ENCRYPTED PRIVATE KEY-----\n`,
  );
}

/** Opens what `encryptKey` made. Throws `ROOT_PASSPHRASE_WRONG`; nothing of OpenSSL's own text leaves. */
export function decryptKey(pem: Secret, passphrase: Secret, where: string): KeyObject {
  try {
    return createPrivateKey({ key: pem.reveal(), passphrase: passphrase.reveal() });
  } catch {
    throw wrongPassphrase(`The passphrase does not open ${where}, or the file is damaged.`);
  }
}

function wrongPassphrase(message: string): DevstackError {
  return new DevstackError({
    code: CertificatesErrorCode.passphraseWrong,
    message,
    hint: 'Give the passphrase that the root was made with; without it the root can only be replaced.',
  });
}

function derive(passphrase: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, scryptCost, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
