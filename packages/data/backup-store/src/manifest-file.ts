import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { verifyFile } from '@devstack-core/backup-crypto';
import { writeFileDurable } from '@devstack-core/durable-files';
import { isDevstackError } from '@devstack-core/errors';
import { canonicalBytes } from './canonical-json.ts';
import { setFiles } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { namesIn, readSmall, regularSize } from './files.ts';
import { sealOf, type Authentication, type Keyring, type SetKey } from './keyring.ts';
import { asManifest, shapeProblem } from './manifest-shape.ts';
import { manifestSchema, type SetManifest } from './manifest.ts';

/** A manifest and how far it can be believed. */
export interface ReadManifest {
  readonly manifest: SetManifest;
  /** `authentic`: written by a holder of the passphrase. `plain`: by anybody. `unchecked`: encrypted, and there is no passphrase here. */
  readonly trust: 'authentic' | 'plain' | 'unchecked';
  /** The key that proved it. */
  readonly key: SetKey | undefined;
  /** SHA-256 of the manifest's canonical text. */
  readonly sha256: string;
}

/** Writes the manifest, sealed, as the last file of a set. Gives the SHA-256 of its canonical text. */
export async function writeManifest(folder: string, manifest: SetManifest, key: SetKey | undefined): Promise<string> {
  const bytes = canonicalBytes(manifest);
  const content = { manifest, authentication: sealOf(bytes, key) };
  await writeFileDurable(join(folder, setFiles.manifest), `${JSON.stringify(content, undefined, 2)}\n`);
  return sha256Of(bytes);
}

/**
 * Reads and authenticates the manifest in a folder. Throws `BACKUP_INCOMPLETE` (there is none), `BACKUP_MANIFEST_DAMAGED`, `BACKUP_FORMAT_NEWER`,
 * `BACKUP_MANIFEST_FORGED`, `BACKUP_WRONG_PASSPHRASE`.
 */
export async function readManifest(folder: string, keyring: Keyring): Promise<ReadManifest> {
  const text = await readSmall(join(folder, setFiles.manifest));
  if (text === undefined)
    throw storeError(
      BackupStoreErrorCode.incomplete,
      `${folder} has no manifest: the backup was never finished.`,
      'Use another set.',
      { folder },
    );
  return parseManifest(text, folder, keyring);
}

/** As `readManifest`, of a text. `folder` is where the artifacts lie, should it have to be found out whether the passphrase is the right one. */
export async function parseManifest(text: string, folder: string, keyring: Keyring): Promise<ReadManifest> {
  const { manifest, authentication } = parsed(text, folder);
  refuseNewer(manifest, folder);
  const bytes = canonicalBytes(manifest);
  const seal = authenticationOf(authentication);
  const isPlain = seal?.scheme === 'sha256';
  if (seal === undefined || isPlain !== !isEncrypted(manifest))
    throw damaged(folder, 'it does not say how it is proved');
  const believed = isPlain ? plain(bytes, seal.mac, folder) : await keyed(bytes, seal, folder, keyring);
  const problem = shapeProblem(manifest);
  if (problem !== undefined) throw damaged(folder, problem);
  return { manifest: asManifest(manifest), ...believed, sha256: sha256Of(bytes) };
}

function parsed(text: string, folder: string): { readonly manifest: unknown; readonly authentication: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'manifest' in value && 'authentication' in value) return value;
  } catch {
    // Said below: what JSON.parse says would show what is in the file.
  }
  throw damaged(folder, 'it is no manifest');
}

// Before anything else: how a newer one is proved is not known here.
function refuseNewer(manifest: unknown, folder: string): void {
  const schema =
    typeof manifest === 'object' && manifest !== null && 'schema' in manifest ? manifest.schema : undefined;
  const version = typeof schema === 'string' ? /^devstack\/backup-set\/(\d{1,6})$/.exec(schema)?.[1] : undefined;
  if (version === undefined) throw damaged(folder, 'it is of no format that is known');
  if (schema !== manifestSchema)
    throw storeError(
      BackupStoreErrorCode.formatNewer,
      `${folder} was written in format ${version}; this version reads up to ${manifestSchema.split('/').at(-1) ?? ''}.`,
      'Update this program, then try again.',
      { folder, schema },
    );
}

function plain(bytes: Uint8Array, mac: string, folder: string): Pick<ReadManifest, 'trust' | 'key'> {
  if (sha256Of(bytes) !== mac) throw damaged(folder, 'its checksum is wrong');
  return { trust: 'plain', key: undefined };
}

async function keyed(
  bytes: Uint8Array,
  seal: Exclude<Authentication, { scheme: 'sha256' }>,
  folder: string,
  keyring: Keyring,
): Promise<Pick<ReadManifest, 'trust' | 'key'>> {
  if (keyring.isEmpty) return { trust: 'unchecked', key: undefined };
  const key = await keyring.find(bytes, seal);
  if (key !== undefined) return { trust: 'authentic', key };
  if (await opensAny(folder, keyring))
    throw storeError(
      BackupStoreErrorCode.manifestForged,
      `The manifest of ${folder} is not the one that was written: the passphrase opens the artifacts, and does not prove it.`,
      'Use another set. Someone or something has changed this one.',
      { folder },
    );
  throw storeError(
    BackupStoreErrorCode.wrongPassphrase,
    `The passphrase is not that of ${folder}, or all of the set was changed.`,
    'Give the passphrase that the set was made with.',
    { folder },
  );
}

// A MAC that does not fit tells nothing of the passphrase; the smallest file tells.
async function opensAny(folder: string, keyring: Keyring): Promise<boolean> {
  const files = (await namesIn(folder)).filter((name) => name.endsWith('.gpg'));
  const sized = await Promise.all(files.map(async (name) => ({ name, size: await regularSize(join(folder, name)) })));
  const smallest = sized
    .flatMap(({ name, size }) => (size === undefined ? [] : [{ name, size }]))
    .toSorted((a, b) => a.size - b.size)
    .at(0);
  if (smallest === undefined) return false;
  for (const passphrase of keyring.passphrases)
    try {
      await verifyFile(join(folder, smallest.name), { passphrase });
      return true;
    } catch (error) {
      // Damaged, but opened: the passphrase is the right one.
      if (isDevstackError(error) && ['BACKUP_DAMAGED', 'BACKUP_TRAILING_DATA'].includes(error.code)) return true;
    }
  return false;
}

function authenticationOf(value: unknown): Authentication | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { scheme, salt, n, r, p, mac } = value as Readonly<Record<string, unknown>>;
  if (typeof mac !== 'string' || !/^[0-9a-f]{64}$/.test(mac)) return undefined;
  if (scheme === 'sha256') return { scheme, mac };
  const known = { scheme: 'scrypt+hmac-sha256', n: 32_768, r: 8, p: 1 } as const;
  if (scheme !== known.scheme || n !== known.n || r !== known.r || p !== known.p) return undefined;
  return typeof salt === 'string' && /^([0-9a-f]{2}){16,64}$/.test(salt) ? { ...known, salt, mac } : undefined;
}

function isEncrypted(manifest: unknown): boolean {
  return typeof manifest === 'object' && manifest !== null && 'encrypted' in manifest && manifest.encrypted === true;
}

function damaged(folder: string, why: string): Error {
  return storeError(
    BackupStoreErrorCode.manifestDamaged,
    `The manifest of ${basename(folder)} cannot be used: ${why}.`,
    'Use another set, or fetch this one from off-site.',
    { folder },
  );
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
