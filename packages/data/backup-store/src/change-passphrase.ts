import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { checkPassphrase, reencryptFile, verifyFile } from '@devstack-core/backup-crypto';
import { writeFileDurable } from '@devstack-core/durable-files';
import type { Secret } from '@devstack-core/redaction';
import { updateCatalog, withSet } from './catalog.ts';
import { layout, setFiles, type StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { textDigests } from './draft.ts';
import { regularSize } from './files.ts';
import { appendHistory } from './history.ts';
import { Keyring, type SetKey } from './keyring.ts';
import { listSets } from './list.ts';
import { lockStore } from './lock.ts';
import { writeManifest, type ReadManifest } from './manifest-file.ts';
import { ownArtifacts, publicKeysOf, type ArtifactRecord, type SetManifest } from './manifest.ts';
import { revisedFile } from './names.ts';
import { expectation } from './open.ts';
import { readTrusted } from './read.ts';
import { checksumsText, recoveryCard } from './recovery-card.ts';
import { sweepSet, sweepUnfinished } from './sweep.ts';

/** What a change of the passphrase did. */
export interface PassphraseChange {
  /** Sets that are under the new passphrase now. */
  readonly changed: readonly string[];
  /** Sets that were already: an earlier run was cut short. */
  readonly alreadyChanged: readonly string[];
  /** What neither passphrase proves, or is broken: left as it was. */
  readonly skipped: readonly { readonly id: string; readonly why: string }[];
}

/**
 * Writes every set anew under another passphrase: the new files beside the old ones, then the manifest, whose one rename is the change, then the old
 * files go. A set has one passphrase or the other at every moment. Run it again after a kill. Throws `PASSPHRASE_INVALID`, `BACKUP_LOCKED`.
 */
export async function changePassphrase(context: StoreContext, next: Secret): Promise<PassphraseChange> {
  if (context.keyring.isEmpty)
    throw storeError(
      BackupStoreErrorCode.passphraseNeeded,
      'The passphrase of today is needed to change it.',
      'Open the store with it.',
    );
  checkPassphrase(next);
  await using lease = await lockStore(context, 'change of the passphrase');
  // Both open sets, so that one that was changed before a kill is read as well as its neighbours.
  const keyring = new Keyring([next, ...context.keyring.passphrases]);
  const both: StoreContext = { ...context, keyring };
  await sweepUnfinished(both);
  const nextKey = await newKey(keyring);
  // SHA-256 of the manifests under the new passphrase: each names the one before it.
  const written = new Map<string, string>();
  const changed: string[] = [];
  const alreadyChanged: string[] = [];
  const skipped: { id: string; why: string }[] = [];
  for (const { id, status, trust, problem } of (await listSets(both)).toSorted(bySequence)) {
    if (status === 'foreign' || status === 'partial' || trust === 'plain') continue;
    if (status !== 'complete') {
      skipped.push({ id, why: problem?.message ?? status });
      continue;
    }
    await lease.assertHeld();
    const set = await readTrusted(both, id);
    const isNew = set.key !== undefined && keyring.isCurrent(set.key);
    if (!isNew) await rewrite(both, set, nextKey, written);
    written.set(id, await settle(both, id));
    (isNew ? alreadyChanged : changed).push(id);
  }
  await appendHistory(context, {
    event: 'passphrase',
    outcome: 'succeeded',
    changed,
    skipped: skipped.map(({ id }) => id),
  });
  return { changed, alreadyChanged, skipped };
}

async function newKey(keyring: Keyring): Promise<SetKey> {
  const key = await keyring.current();
  if (key === undefined) throw new TypeError('A keyring with a passphrase has a key.');
  return key;
}

async function rewrite(
  context: StoreContext,
  set: ReadManifest,
  key: SetKey,
  written: ReadonlyMap<string, string>,
): Promise<void> {
  const { manifest } = set;
  const artifacts: ArtifactRecord[] = [];
  for (const record of manifest.artifacts) {
    if (record.heldBy !== null) {
      artifacts.push(await currentReference(context, record));
      continue;
    }
    artifacts.push(await rewriteArtifact(context, set, record, key));
    await context.step('rekey:artifact', manifest.id);
  }
  const { previous } = manifest;
  const draft: SetManifest = {
    ...manifest,
    revision: manifest.revision + 1,
    previous: previous === null ? null : { ...previous, sha256: written.get(previous.id) ?? previous.sha256 },
    artifacts,
    // Made under the old key they tell nothing any more: the next increment takes all of it anew.
    parts: manifest.parts.map((part) => ({ ...part, fingerprintDigest: null })),
    texts: {},
  };
  const next: SetManifest = { ...draft, texts: textDigests(textsOf(draft)) };
  await writeManifest(layout.set(context.directory, manifest.id), next, key);
  await context.step('rekey:manifest', manifest.id);
}

async function rewriteArtifact(
  context: StoreContext,
  set: ReadManifest,
  record: ArtifactRecord,
  key: SetKey,
): Promise<ArtifactRecord> {
  const folder = layout.set(context.directory, set.manifest.id);
  const file = revisedFile(record.file, set.manifest.revision + 1);
  const target = join(folder, file);
  // Of an earlier run, not known to be whole.
  if ((await regularSize(target)) !== undefined) await unlink(target);
  const isKeyed = 'hmac' in record.plain;
  if (set.key === undefined) throw new TypeError('An encrypted set was proved by a key.');
  const { cipher } = await reencryptFile(join(folder, record.file), target, {
    compress: 'zstd',
    expect: expectation(record),
    passphrase: set.key.passphrase,
    next: { passphrases: [key.passphrase], recipients: publicKeysOf(set.manifest) },
    ...(isKeyed ? { plainKey: set.key.plain } : {}),
  });
  // Read back before the old one goes; this also gives the digest under the new key.
  const { plain } = await verifyFile(target, {
    compress: 'zstd',
    passphrase: key.passphrase,
    expect: { cipher, ...(isKeyed ? {} : { plain: expectation(record).plain }) },
    ...(isKeyed ? { plainKey: key.plain } : {}),
  });
  return { ...record, file, cipher, plain: isKeyed ? { bytes: plain.bytes, hmac: plain.sha256 } : plain };
}

// Bases come first, so the holder is under the new passphrase already.
async function currentReference(context: StoreContext, record: ArtifactRecord): Promise<ArtifactRecord> {
  const holder = await readTrusted(context, record.heldBy ?? '');
  const held = holder.manifest.artifacts.find(({ contentId }) => contentId === record.contentId);
  return held === undefined ? record : { ...record, file: held.file, cipher: held.cipher, plain: held.plain };
}

// What follows the manifest, and what a kill right after it left undone.
async function settle(context: StoreContext, id: string): Promise<string> {
  const { manifest, sha256 } = await readTrusted(context, id);
  await updateCatalog(context, (catalog) => withSet(catalog, manifest, sha256));
  const folder = layout.set(context.directory, id);
  for (const [file, text] of Object.entries(textsOf(manifest))) await writeFileDurable(join(folder, file), text);
  await context.step('rekey:texts', id);
  await sweepSet(context, id);
  await context.step('rekey:removed', id);
  return sha256;
}

function textsOf(manifest: SetManifest): Readonly<Record<string, string>> {
  return { [setFiles.sums]: checksumsText(ownArtifacts(manifest)), [setFiles.card]: recoveryCard(manifest) };
}

function bySequence(a: { readonly manifest?: SetManifest }, b: { readonly manifest?: SetManifest }): number {
  return (a.manifest?.sequence ?? 0) - (b.manifest?.sequence ?? 0);
}
