import { createHash } from 'node:crypto';
import { mkdir, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePrivateDirectory, removeDurable, writeFileDurable } from '@devstack-core/durable-files';
import { isDevstackError } from '@devstack-core/errors';
import { readCatalog, updateCatalog, withSet } from './catalog.ts';
import { layout, setFiles, type StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { isFolder, measureFile, regularSize, syncFolder } from './files.ts';
import { appendHistory } from './history.ts';
import { lockStore } from './lock.ts';
import { parseManifest, type ReadManifest } from './manifest-file.ts';
import { needsOf, ownArtifacts, type FileMeasure, type SetManifest } from './manifest.ts';
import { isSetId } from './names.ts';
import { ensureSpace } from './space.ts';
import type { OffsiteTarget } from './target.ts';

/** What was fetched. */
export interface FetchReport {
  /** The sets that are here now, and were not: the one asked for, and before it what it needs. */
  readonly fetched: readonly string[];
  readonly fetchedBytes: number;
}

const longestText = 64 * 1024 * 1024;

/**
 * Brings a set back from off-site, and first what it needs: the manifest is authenticated before anything else is fetched, each artifact is compared
 * with it, and the set appears when all of it is there. One that was cut short goes on. Throws `BACKUP_NOT_FOUND`, `BACKUP_EXISTS`,
 * `BACKUP_TARGET_FAILED`, `BACKUP_LOCKED`, and what `read` throws.
 */
export async function fetchSet(
  context: StoreContext,
  id: string,
  target: OffsiteTarget,
  signal?: AbortSignal,
): Promise<FetchReport> {
  await ensurePrivateDirectory(context.directory);
  await using lease = await lockStore(context, `fetch of ${id}`);
  const startedAt = performance.now();
  if (await isFolder(layout.set(context.directory, id)))
    throw storeError(BackupStoreErrorCode.exists, `The backup ${id} is here already.`, 'Nothing is to be done.', {
      id,
    });
  const fetched: string[] = [];
  let fetchedBytes = 0;
  const fetchOne = async (one: string, seen: ReadonlySet<string>): Promise<void> => {
    if (seen.has(one) || (await isFolder(layout.set(context.directory, one)))) return;
    const { set, text } = await manifestOf(context, one, target, signal);
    for (const need of needsOf(set.manifest)) await fetchOne(need, new Set([...seen, one]));
    await lease.assertHeld();
    fetchedBytes += await fetchFiles(context, set, text, target, signal);
    fetched.push(one);
  };
  await fetchOne(id, new Set());
  const durationMs = Math.round(performance.now() - startedAt);
  await appendHistory(context, {
    event: 'fetch',
    outcome: 'succeeded',
    set: id,
    target: target.label,
    bytes: fetchedBytes,
    durationMs,
  });
  return { fetched, fetchedBytes };
}

async function manifestOf(
  context: StoreContext,
  id: string,
  target: OffsiteTarget,
  signal: AbortSignal | undefined,
): Promise<{ readonly set: ReadManifest; readonly text: string }> {
  if (!isSetId(id))
    throw storeError(BackupStoreErrorCode.notFound, `'${id}' is no id of a backup.`, 'List what is there.', { id });
  const text = await textOf(target, `${id}/${setFiles.manifest}`, signal);
  const set = await parseManifest(text, layout.fetch(context.directory, id), context.keyring);
  refuseUnproved(context, id, set);
  return { set, text };
}

async function textOf(target: OffsiteTarget, name: string, signal: AbortSignal | undefined): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of target.get(name, signal)) {
    bytes += piece.length;
    if (bytes > longestText) throw failed(target, name, undefined);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function refuseUnproved(context: StoreContext, id: string, { trust, manifest }: ReadManifest): void {
  if (manifest.id !== id)
    throw storeError(
      BackupStoreErrorCode.replayed,
      `What is stored as ${id} says that it is ${manifest.id}.`,
      'Someone or something has put it there. Use another set.',
      { id, found: manifest.id },
    );
  if (trust === 'authentic' || (trust === 'plain' && context.allowUnencrypted)) return;
  const isPlain = trust === 'plain';
  throw storeError(
    isPlain ? BackupStoreErrorCode.unencrypted : BackupStoreErrorCode.passphraseNeeded,
    isPlain
      ? `${id} is not encrypted, so anybody can have written it.`
      : `${id} is encrypted, and no passphrase was given.`,
    isPlain ? 'Fetch an encrypted one.' : 'Give the passphrase that it was made with.',
    { id },
  );
}

async function fetchFiles(
  context: StoreContext,
  { manifest, sha256 }: ReadManifest,
  text: string,
  target: OffsiteTarget,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { directory } = context;
  const folder = layout.fetch(directory, manifest.id);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const artifacts = ownArtifacts(manifest);
  await ensureSpace(context, await missingBytes(folder, manifest));
  let bytes = 0;
  for (const { file, cipher } of artifacts) {
    bytes += await fetchFile(target, `${manifest.id}/${file}`, join(folder, file), cipher, signal);
    await context.step('fetch:artifact', manifest.id);
  }
  for (const [file, digest] of Object.entries(manifest.texts)) {
    if (file !== setFiles.sums && file !== setFiles.card) continue;
    const content = await textOf(target, `${manifest.id}/${file}`, signal);
    if (createHash('sha256').update(content).digest('hex') !== digest)
      throw failed(target, `${manifest.id}/${file}`, undefined);
    await writeFileDurable(join(folder, file), content);
  }
  await writeFileDurable(join(folder, setFiles.manifest), text);
  await context.step('fetch:manifest', manifest.id);
  await rename(folder, layout.set(directory, manifest.id));
  await syncFolder(directory);
  await context.step('fetch:renamed', manifest.id);
  const { sets } = await readCatalog(context);
  if ((sets[manifest.id]?.revision ?? 0) <= manifest.revision)
    await updateCatalog(context, (catalog) => withSet(catalog, manifest, sha256));
  return bytes;
}

async function missingBytes(folder: string, manifest: SetManifest): Promise<number> {
  let bytes = 0;
  for (const { file, cipher } of ownArtifacts(manifest))
    if ((await regularSize(join(folder, file))) === undefined) bytes += cipher.bytes;
  return bytes;
}

async function fetchFile(
  target: OffsiteTarget,
  name: string,
  path: string,
  expected: FileMeasure,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (await isWhole(path, expected, signal)) return 0;
  await removeDurable(path);
  try {
    await using handle = await open(path, 'wx', 0o600);
    let bytes = 0;
    for await (const piece of target.get(name, signal)) {
      bytes += piece.length;
      // More than the manifest says fills the disk for nothing.
      if (bytes > expected.bytes) break;
      await handle.writeFile(piece);
    }
    await handle.sync();
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw isDevstackError(error) || signal?.aborted === true ? error : failed(target, name, error);
  }
  if (await isWhole(path, expected, signal)) return expected.bytes;
  await unlink(path);
  throw failed(target, name, undefined);
}

async function isWhole(path: string, { bytes, sha256 }: FileMeasure, signal?: AbortSignal): Promise<boolean> {
  if ((await regularSize(path)) !== bytes) return false;
  return (await measureFile(path, signal)).sha256 === sha256;
}

function failed(target: OffsiteTarget, name: string, cause: unknown): Error {
  return storeError(
    BackupStoreErrorCode.targetFailed,
    cause === undefined
      ? `${name} in ${target.label} is not what its manifest says.`
      : `${name} could not be fetched from ${target.label}.`,
    'Run it again: it goes on where it stopped. If it is the same again, fetch another set.',
    { target: target.label, name },
    cause,
  );
}
