import { X509Certificate, type KeyObject } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePrivateDirectory, readPrivateFile, removeDurable, writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { defaultTtlS } from './duration.ts';
import { CertificatesErrorCode } from './errors.ts';
import { bundleOf, certificateId, isSelfSigned } from './pem.ts';
import { decryptKey, encryptKey, generateKey, type Curve } from './private-key.ts';
import { selfSign } from './signing.ts';

/** Which roots there are, as `state.json` says; the files `root-<id>.crt` and `root-<id>.key` hold them. */
export interface RootState {
  readonly version: 1;
  /** The root that signs. */
  readonly active: string;
  /** The root that will: trusted already, while a rotation is under way. */
  readonly next?: string;
  /** Roots that still are trusted, for what they signed before; ISO 8601 since when they no longer sign. */
  readonly retiring: readonly { readonly id: string; readonly since: string }[];
}

/** A moment of a change to the files of a root: for progress, and for tests that interrupt it. */
export type RootStep = 'key-written' | 'certificate-written' | 'state-written' | 'bundle-written';

export interface NewRoot {
  readonly commonName?: string;
  readonly organization?: string;
  /** Default 10 years. */
  readonly ttlS?: number;
  /** Default P-384: the key lives ten years and signs a few times. */
  readonly curve?: Curve;
  readonly passphrase: Secret;
  readonly now?: Date;
  readonly onStep?: (step: RootStep) => void;
}

const paths = {
  state: (directory: string): string => join(directory, 'state.json'),
  bundle: (directory: string): string => join(directory, 'ca.crt'),
  certificate: (directory: string, id: string): string => join(directory, `root-${id}.crt`),
  key: (directory: string, id: string): string => join(directory, `root-${id}.key`),
};

/** Undefined where no root was made. Throws `ROOT_DAMAGED`. */
export async function readRootState(directory: string): Promise<RootState | undefined> {
  let text: string;
  try {
    text = (await readPrivateFile(paths.state(directory))).reveal();
  } catch (error) {
    if (isDevstackError(error, 'FILE_MISSING')) return undefined;
    throw error;
  }
  try {
    const state = JSON.parse(text) as Partial<RootState>;
    const isId = (value: unknown): boolean => typeof value === 'string' && /^[0-9a-f]{16}$/.test(value);
    if (state.version === 1 && isId(state.active) && (state.next === undefined || isId(state.next))) {
      const retiring = Array.isArray(state.retiring) ? state.retiring : [];
      if (retiring.every(({ id }) => isId(id))) return { ...(state as RootState), retiring };
    }
  } catch {
    // Said below.
  }
  throw damaged(paths.state(directory), 'cannot be read');
}

/** The ids of all roots that are trusted, the signing one first. */
export function trustedIds(state: RootState): string[] {
  return [state.active, ...(state.next === undefined ? [] : [state.next]), ...state.retiring.map(({ id }) => id)];
}

/** Makes the state durable, then the bundle that follows from it: a bundle that is behind is mended by the next call. */
export async function writeRootState(
  directory: string,
  state: RootState,
  onStep: (step: RootStep) => void = () => undefined,
): Promise<void> {
  await writeFileDurable(paths.state(directory), `${JSON.stringify(state, null, 2)}\n`);
  onStep('state-written');
  await ensureBundle(directory, state);
  onStep('bundle-written');
}

/** Writes `ca.crt` (0644: it is public) where it is not what the state says, and gives its text. */
export async function ensureBundle(directory: string, state: RootState): Promise<string> {
  const certificates = await Promise.all(trustedIds(state).map((id) => readRootCertificate(directory, id)));
  const bundle = bundleOf(certificates);
  const current = await readFile(paths.bundle(directory), 'utf8').catch(() => '');
  if (current !== bundle) await writeFileDurable(paths.bundle(directory), bundle, { mode: 0o644 });
  return bundle;
}

/** Makes key and certificate of a new root and gives its id. It is nobody's root until a state names it. */
export async function makeRootFiles(directory: string, options: NewRoot): Promise<string> {
  const { commonName = 'DevStack root CA', organization = 'DevStack', ttlS = defaultTtlS.root } = options;
  const now = options.now ?? new Date();
  await ensurePrivateDirectory(directory);
  const key = await generateKey(options.curve ?? 'P-384');
  const encrypted = await encryptKey(key, options.passphrase);
  // Two roots that follow each other must not share a name: chains are found by it.
  const name = `${commonName} ${now.toISOString().slice(0, 10)} ${randomSuffix()}`;
  const pem = await selfSign({ key, commonName: name, organization, ttlS, now });
  const id = certificateId(new X509Certificate(pem));
  await writeFileDurable(paths.key(directory, id), encrypted);
  options.onStep?.('key-written');
  await writeFileDurable(paths.certificate(directory, id), pem, { mode: 0o644 });
  options.onStep?.('certificate-written');
  return id;
}

/** The certificate of a root. Throws `ROOT_DAMAGED` when the file is not that certificate. */
export async function readRootCertificate(directory: string, id: string): Promise<string> {
  const path = paths.certificate(directory, id);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(await readFile(path));
  } catch {
    throw damaged(path, 'is missing or holds no certificate');
  }
  if (certificateId(certificate) !== id || !isSelfSigned(certificate)) throw damaged(path, 'is another certificate');
  return `${certificate.toString().trim()}\n`;
}

/** The key of a root. Throws `ROOT_PASSPHRASE_WRONG`, `ROOT_DAMAGED` when it belongs to another certificate. */
export async function unlockRootKey(directory: string, id: string, passphrase: Secret): Promise<KeyObject> {
  const path = paths.key(directory, id);
  const key = decryptKey(await readPrivateFile(path), passphrase, path);
  const certificate = new X509Certificate(await readRootCertificate(directory, id));
  if (!certificate.checkPrivateKey(key)) throw damaged(path, 'belongs to another certificate');
  return key;
}

/** Removes the files of roots that no state names: what a killed creation or an unfinished retirement left. */
export async function removeUnnamedRoots(directory: string, state: RootState | undefined): Promise<void> {
  const named = new Set(state === undefined ? [] : trustedIds(state));
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    const id = /^root-([0-9a-f]{16})\.(?:key|crt)$/.exec(name)?.[1];
    if (id !== undefined && !named.has(id)) await removeDurable(join(directory, name));
  }
}

function randomSuffix(): string {
  return crypto.randomUUID().slice(0, 8);
}

function damaged(path: string, what: string): DevstackError {
  return new DevstackError({
    code: CertificatesErrorCode.rootDamaged,
    message: `${path} ${what}.`,
    hint: 'Put the folder back from a backup; without one make a new root in another folder and set the PKI up again.',
    details: { path },
  });
}
