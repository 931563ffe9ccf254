import { X509Certificate, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { acquireLease, ensurePrivateDirectory } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { defaultTtlS } from './duration.ts';
import { CertificatesErrorCode } from './errors.ts';
import { leafOf, type LeafCertificate } from './leaf-certificate.ts';
import { generateKey, privateKeyPem, type Curve } from './private-key.ts';
import {
  ensureBundle,
  makeRootFiles,
  readRootCertificate,
  readRootState,
  removeUnnamedRoots,
  trustedIds,
  unlockRootKey,
  writeRootState,
  type NewRoot,
  type RootState,
} from './root-store.ts';
import { signLeaf } from './signing.ts';
import { checkSubject, checkTtl, type CertificateSubject } from './subject.ts';

/** What opens the root's key: asked for only when something must be signed. */
export type Passphrase = Secret | (() => Secret | Promise<Secret>);

/** The authority that everything is trusted by. Its key is in an encrypted file and nowhere else, never in Vault. */
export interface RootAuthority {
  readonly directory: string;
  /** 16 hexadecimal digits of the certificate's fingerprint. */
  readonly id: string;
  readonly certificatePem: string;
  /** Every root to trust: more than one while roots are exchanged. */
  readonly bundlePem: string;
  /** `ca.crt` of the directory, which holds the bundle. */
  readonly bundlePath: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly state: RootState;
  /** Throws `ROOT_LOCKED` without a passphrase, `ROOT_PASSPHRASE_WRONG`. */
  unlock(): Promise<KeyObject>;
}

/**
 * Makes a root in a private directory, or opens the one that is there: never a second one. Killed at any point and repeated, it ends
 * the same. Throws `CERTIFICATE_INPUT_INVALID`, `ROOT_PASSPHRASE_WRONG` (an empty one), `ROOT_DAMAGED`, and what durable-files throws.
 */
export async function createRoot(options: NewRoot & { readonly directory: string }): Promise<RootAuthority> {
  const { directory, passphrase } = options;
  checkTtl('ttlS', options.ttlS ?? defaultTtlS.root);
  await ensurePrivateDirectory(directory);
  await using _lease = await acquireLease({ path: join(directory, 'lease'), owner: 'createRoot', waitMs: 30_000 });
  if ((await readRootState(directory)) === undefined) {
    await removeUnnamedRoots(directory, undefined);
    const active = await makeRootFiles(directory, options);
    await writeRootState(directory, { version: 1, active, retiring: [] }, options.onStep);
  }
  return await openRoot({ directory, passphrase });
}

/** Opens the root of a directory. Without a passphrase it can be trusted and looked at, not sign. Throws `ROOT_MISSING`, `ROOT_DAMAGED`. */
export async function openRoot(options: {
  readonly directory: string;
  readonly passphrase?: Passphrase;
}): Promise<RootAuthority> {
  const state = await readRootState(options.directory);
  if (state === undefined) {
    throw new DevstackError({
      code: CertificatesErrorCode.rootMissing,
      message: `There is no root authority in ${options.directory}.`,
      hint: 'Make one first, or check the path.',
      details: { directory: options.directory },
    });
  }
  return rootOf({ ...options, state, id: state.active });
}

/** One root of a state, as the authority that signs. */
export async function rootOf(options: {
  readonly directory: string;
  readonly passphrase?: Passphrase;
  readonly state: RootState;
  readonly id: string;
}): Promise<RootAuthority> {
  const { directory, state, id, passphrase } = options;
  const certificatePem = await readRootCertificate(directory, id);
  const certificate = new X509Certificate(certificatePem);
  const bundlePem = await ensureBundle(directory, state);
  let key: Promise<KeyObject> | undefined;
  return {
    directory,
    id,
    certificatePem,
    bundlePem,
    bundlePath: join(directory, 'ca.crt'),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    state,
    unlock: () => {
      if (passphrase === undefined) return Promise.reject(locked(directory));
      key ??= Promise.resolve(typeof passphrase === 'function' ? passphrase() : passphrase).then((secret) =>
        unlockRootKey(directory, id, secret),
      );
      return key;
    },
  };
}

export interface IssueFromRootOptions extends CertificateSubject {
  readonly root: RootAuthority;
  /** Default true. */
  readonly server?: boolean;
  /** Default false. */
  readonly client?: boolean;
  /** Default 90 days. */
  readonly ttlS?: number;
  /** Default P-256. */
  readonly curve?: Curve;
  readonly now?: Date;
}

/**
 * A certificate by the root itself, for what must be served before there is a Vault: Vault's own first listener certificate. Its chain is
 * empty. Throws `CERTIFICATE_INPUT_INVALID`, `ROOT_LOCKED`, `ROOT_PASSPHRASE_WRONG`.
 */
export async function issueFromRoot(options: IssueFromRootOptions): Promise<LeafCertificate> {
  const { root, ttlS = defaultTtlS.leaf, server = true, client = false, now = new Date() } = options;
  checkSubject(options);
  checkTtl('ttlS', ttlS);
  const signer = { key: await root.unlock(), certificatePem: root.certificatePem };
  const key = await generateKey(options.curve ?? 'P-256');
  const certificatePem = await signLeaf(signer, { ...options, key, server, client, ttlS, now });
  return leafOf({ certificatePem, chainPem: '', caBundlePem: root.bundlePem, privateKey: privateKeyPem(key) });
}

/** The certificates of every root that is trusted, for those who write them elsewhere. */
export async function trustedRoots(root: RootAuthority): Promise<{ readonly id: string; readonly pem: string }[]> {
  return Promise.all(
    trustedIds(root.state).map(async (id) => ({ id, pem: await readRootCertificate(root.directory, id) })),
  );
}

/** The bundle of a directory without opening anything. Throws `ROOT_MISSING`. */
export async function readBundle(directory: string): Promise<string> {
  return readFile((await openRoot({ directory })).bundlePath, 'utf8');
}

function locked(directory: string): DevstackError {
  return new DevstackError({
    code: CertificatesErrorCode.rootLocked,
    message: `Something must be signed by the root in ${directory}, and no passphrase was given.`,
    hint: 'Give the passphrase of the root.',
    details: { directory },
  });
}
