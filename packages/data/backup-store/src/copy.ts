import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { isDevstackError } from '@devstack-core/errors';
import { layout, setFiles, type StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { measureFile, refuseAborted } from './files.ts';
import { appendHistory } from './history.ts';
import { needsOf, ownArtifacts, type FileMeasure, type SetManifest } from './manifest.ts';
import { readTrusted } from './read.ts';
import type { OffsiteTarget } from './target.ts';

/** What a copy did. */
export interface CopyReport {
  /** The set, and before it what it needs, in the order of the copy. */
  readonly sets: readonly string[];
  readonly copiedFiles: number;
  readonly copiedBytes: number;
  /** Files that were there already, whole. */
  readonly presentFiles: number;
}

/** How to copy. */
export interface CopyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: { readonly file: string; readonly bytes: number }) => void;
}

/**
 * Copies a set off-site, after the sets that it needs: artifacts first, the manifest last, each compared by size and SHA-256 after it is there. What
 * is there already, whole, is not sent again, so a copy that was cut short goes on. Refuses sets without encryption. Throws `BACKUP_UNENCRYPTED`,
 * `BACKUP_TARGET_FAILED`, `BACKUP_DAMAGED` (here), and what `read` throws.
 */
export async function copySet(
  context: StoreContext,
  id: string,
  target: OffsiteTarget,
  options: CopyOptions,
): Promise<CopyReport> {
  const startedAt = performance.now();
  const sets = await chainOf(context, id);
  const report = { copiedFiles: 0, copiedBytes: 0, presentFiles: 0 };
  for (const manifest of sets) {
    if (!manifest.encrypted)
      throw storeError(
        BackupStoreErrorCode.unencrypted,
        `The backup ${manifest.id} is not encrypted, and does not leave this machine.`,
        'Make an encrypted one.',
        { id: manifest.id },
      );
    await copyOne(context, manifest, target, options, report);
  }
  await appendHistory(context, {
    event: 'copy',
    outcome: 'succeeded',
    set: id,
    target: target.label,
    bytes: report.copiedBytes,
    durationMs: Math.round(performance.now() - startedAt),
  });
  return { sets: sets.map((manifest) => manifest.id), ...report };
}

/** A set and all that it needs, the bases first. Throws what `read` throws. */
export async function chainOf(context: StoreContext, id: string): Promise<readonly SetManifest[]> {
  const found = new Map<string, SetManifest>();
  const visit = async (one: string): Promise<void> => {
    if (found.has(one)) return;
    const { manifest } = await readTrusted(context, one).catch((error: unknown) => {
      throw isDevstackError(error, BackupStoreErrorCode.notFound) && one !== id ? missingBase(id, one, error) : error;
    });
    found.set(one, manifest);
    for (const need of needsOf(manifest)) await visit(need);
  };
  await visit(id);
  return [...found.values()].toSorted((a, b) => a.sequence - b.sequence);
}

async function copyOne(
  context: StoreContext,
  manifest: SetManifest,
  target: OffsiteTarget,
  { signal, onProgress }: CopyOptions,
  report: { copiedFiles: number; copiedBytes: number; presentFiles: number },
): Promise<void> {
  const folder = layout.set(context.directory, manifest.id);
  const send = async (file: string, expected: FileMeasure): Promise<void> => {
    refuseAborted(signal, `Copying ${manifest.id}`);
    const name = `${manifest.id}/${file}`;
    if (await isThere(target, name, expected, signal)) {
      report.presentFiles += 1;
    } else {
      await target.put(name, join(folder, file), expected, signal);
      if (!(await isThere(target, name, expected, signal)))
        throw storeError(
          BackupStoreErrorCode.targetFailed,
          `${target.label} holds something else than was sent as ${name}.`,
          'Run it again. If it happens again, that storage is not to be trusted.',
          { target: target.label, name },
        );
      report.copiedFiles += 1;
      report.copiedBytes += expected.bytes;
    }
    onProgress?.({ file: name, bytes: expected.bytes });
  };
  for (const { file, cipher } of ownArtifacts(manifest)) {
    // What is damaged here must not look like a backup there.
    await refuseDamaged(join(folder, file), cipher, manifest.id, signal);
    await send(file, cipher);
    await context.step('copy:artifact', manifest.id);
  }
  for (const file of [setFiles.sums, setFiles.card, setFiles.manifest]) {
    const measured = await measureFile(join(folder, file), signal);
    const written = manifest.texts[file] ?? measured.sha256;
    if (written !== measured.sha256) throw damaged(join(folder, file), manifest.id);
    await send(file, measured);
  }
  await context.step('copy:manifest', manifest.id);
}

// By the target's own checksum, or where it has none by reading it back.
async function isThere(
  target: OffsiteTarget,
  name: string,
  expected: FileMeasure,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const stored = await target.measure(name);
  if (stored?.bytes !== expected.bytes) return false;
  if (stored.sha256 !== undefined) return stored.sha256 === expected.sha256;
  const hash = createHash('sha256');
  for await (const piece of target.get(name, signal)) hash.update(piece);
  return hash.digest('hex') === expected.sha256;
}

async function refuseDamaged(
  path: string,
  { bytes, sha256 }: FileMeasure,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  const measured = await measureFile(path, signal);
  if (measured.bytes === bytes && measured.sha256 === sha256) return;
  throw damaged(path, id);
}

function damaged(path: string, id: string): Error {
  return storeError(
    BackupStoreErrorCode.incomplete,
    `${path} is damaged, so the backup ${id} is not copied.`,
    'Copy another one.',
    { id, path },
  );
}

function missingBase(id: string, need: string, cause: unknown): Error {
  return storeError(
    BackupStoreErrorCode.incomplete,
    `The backup ${id} needs ${need}, which is not there.`,
    'Fetch it from off-site, or use another set.',
    { id, need },
    cause,
  );
}
