import { mkdir, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  ensurePrivateDirectory,
  readPrivateFile,
  removeDurable,
  replaceLinkDurable,
  writeFileDurable,
} from '@devstack-core/durable-files';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { CertificatesErrorCode } from './errors.ts';
import type { LeafCertificate } from './leaf-certificate.ts';
import { needsRenewal } from './needs-renewal.ts';
import { parseCertificate, pemBlocks } from './pem.ts';

/** What a server reads: always through `current`, which is switched as a whole. */
export interface LeafPaths {
  /** `<directory>/current`, a symbolic link. */
  readonly current: string;
  /** `tls.crt`: the certificate and its intermediates. */
  readonly certificate: string;
  /** `tls.key`: PKCS#8, 0600. */
  readonly key: string;
  /** `ca.crt`: the roots to trust. */
  readonly ca: string;
  /** `tls.pem`: key, certificate and intermediates in one file, 0600, for servers that want it so. */
  readonly combined: string;
}

const issuedAtFile = 'issued-at';

/** A certificate as it is installed; its key stays in its file. */
export interface InstalledLeaf extends Omit<LeafCertificate, 'privateKey'> {
  readonly paths: LeafPaths;
  /** When it was received; known only where the certificate alone would say that it was due then. */
  readonly issuedAt?: Date;
}

/** Where the files of a directory are. */
export function leafPaths(directory: string): LeafPaths {
  return pathsIn(join(directory, 'current'));
}

function pathsIn(current: string): LeafPaths {
  return {
    current,
    certificate: join(current, 'tls.crt'),
    key: join(current, 'tls.key'),
    ca: join(current, 'ca.crt'),
    combined: join(current, 'tls.pem'),
  };
}

/** What is installed in a directory. Throws `CERTIFICATE_MISSING`, `CERTIFICATE_UNREADABLE`. */
export async function readLeaf(directory: string): Promise<InstalledLeaf> {
  const paths = leafPaths(directory);
  const [chain, bundle] = await Promise.all(
    [paths.certificate, paths.ca].map((path) =>
      readFile(path, 'utf8').catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw unreadable(path, error);
      }),
    ),
  );
  if (chain === undefined || bundle === undefined) {
    throw new DevstackError({
      code: CertificatesErrorCode.missing,
      message: `No certificate is installed in ${directory}.`,
      hint: 'Have one issued: a renewal installs the first one, too.',
      details: { directory },
    });
  }
  const certificate = parseCertificate(chain, paths.certificate);
  const issuedAt = await readIssuedAt(directory);
  const [certificatePem = '', ...issuers] = pemBlocks(chain);
  return {
    paths,
    certificatePem,
    chainPem: issuers.join(''),
    caBundlePem: pemBlocks(bundle).join(''),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    serial: certificate.serialNumber,
    ...(issuedAt === undefined ? {} : { issuedAt }),
  };
}

/** When the installed certificate was received, where that was noted. */
export async function readIssuedAt(directory: string): Promise<Date | undefined> {
  const text = await readFile(join(leafPaths(directory).current, issuedAtFile), 'utf8').catch(() => '');
  const at = new Date(text.trim());
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** The version that `current` leads to, or undefined. */
export async function currentVersion(directory: string): Promise<string | undefined> {
  return readlink(join(directory, 'current')).then(basename, () => undefined);
}

/** Writes the files of a version that was received just now, each synced; nothing leads to them yet. Gives its name. */
export async function writeVersion(directory: string, leaf: LeafCertificate, now: Date): Promise<string> {
  const version = leaf.serial.toLowerCase();
  const folder = join(directory, 'versions', version);
  await ensurePrivateDirectory(join(directory, 'versions'));
  // What a killed attempt left of the same certificate is not built upon.
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  const paths = pathsIn(folder);
  const chain = `${leaf.certificatePem}${leaf.chainPem}`;
  await writeFileDurable(paths.key, leaf.privateKey);
  await writeFileDurable(paths.combined, new Secret(`${leaf.privateKey.reveal()}${chain}`));
  await writeFileDurable(paths.ca, leaf.caBundlePem, { mode: 0o644 });
  await writeFileDurable(paths.certificate, chain, { mode: 0o644 });
  // Of a signer that lets certificates begin so early that a new one looks like one that is nearly over.
  if (needsRenewal(leaf, now))
    await writeFileDurable(join(folder, issuedAtFile), `${now.toISOString()}\n`, { mode: 0o644 });
  return version;
}

/** Makes a version the current one, by one rename. */
export function switchTo(directory: string, version: string): Promise<void> {
  return replaceLinkDurable(join(directory, 'current'), join('versions', version));
}

/** Takes the current version away where there was none before. */
export function switchToNone(directory: string): Promise<void> {
  return removeDurable(join(directory, 'current'));
}

/** Removes every version but these. */
export async function pruneVersions(directory: string, kept: readonly (string | undefined)[]): Promise<void> {
  const folder = join(directory, 'versions');
  for (const name of await readdir(folder).catch(() => []))
    if (!kept.includes(name)) await rm(join(folder, name), { recursive: true, force: true });
}

/** A switch that is under way: on the disk from before `current` changes until the server has taken the new certificate. */
export interface PendingSwitch {
  readonly previous: string | undefined;
  readonly next: string;
}

export async function readPending(directory: string): Promise<PendingSwitch | undefined> {
  try {
    const text = (await readPrivateFile(join(directory, 'pending.json'))).reveal();
    const { previous, next } = JSON.parse(text) as { previous?: unknown; next?: unknown };
    const isVersion = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]+$/.test(value);
    return isVersion(next) ? { previous: isVersion(previous) ? previous : undefined, next } : undefined;
  } catch (error) {
    // Written atomically by ourselves: what cannot be parsed is somebody's accident, and says nothing.
    if (isDevstackError(error, 'FILE_MISSING') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function writePending(directory: string, pending: PendingSwitch): Promise<void> {
  return writeFileDurable(join(directory, 'pending.json'), `${JSON.stringify(pending)}\n`);
}

export function removePending(directory: string): Promise<void> {
  return removeDurable(join(directory, 'pending.json'));
}

function unreadable(path: string, cause: unknown): DevstackError {
  return new DevstackError({
    code: CertificatesErrorCode.unreadable,
    message: `${path} cannot be read.`,
    hint: 'Check owner and mode with ls -ld.',
    cause,
    details: { path },
  });
}
