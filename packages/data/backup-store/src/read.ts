import { join } from 'node:path';
import { readCatalog, type Catalog } from './catalog.ts';
import { layout, type StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { isFolder } from './files.ts';
import { readManifest, type ReadManifest } from './manifest-file.ts';
import type { ArtifactRecord } from './manifest.ts';
import { isSetId } from './names.ts';

/** Reads a set's manifest as far as it goes, and refuses one that is not what its folder is called, or is older than what the catalog has seen. */
export async function readSet(context: StoreContext, id: string, catalog?: Catalog): Promise<ReadManifest> {
  const folder = layout.set(context.directory, id);
  if (!isSetId(id) || !(await isFolder(folder)))
    throw storeError(
      BackupStoreErrorCode.notFound,
      `There is no backup '${id}' in ${context.directory}.`,
      'List the backups that are there.',
      { id, directory: context.directory },
    );
  const read = await readManifest(folder, context.keyring);
  refuseReplayed(id, read, catalog ?? (await readCatalog(context)));
  return read;
}

/**
 * As `readSet`, for whoever is going to use what it says: authentic, or plain where that is allowed. Also throws `BACKUP_PASSPHRASE_NEEDED`,
 * `BACKUP_UNENCRYPTED`.
 */
export async function readTrusted(context: StoreContext, id: string, catalog?: Catalog): Promise<ReadManifest> {
  const read = await readSet(context, id, catalog);
  if (read.trust === 'unchecked')
    throw storeError(
      BackupStoreErrorCode.passphraseNeeded,
      `The backup ${id} is encrypted, and no passphrase was given.`,
      'Give the passphrase that it was made with.',
      { id },
    );
  if (read.trust === 'plain' && !context.allowUnencrypted)
    throw storeError(
      BackupStoreErrorCode.unencrypted,
      `The backup ${id} is not encrypted, so anybody can have written it.`,
      'If you made it yourself with encryption off, say that sets without it are allowed.',
      { id },
    );
  return read;
}

/** An artifact, in the set that holds its file. */
export interface LocatedArtifact {
  /** As the holder's manifest has it. */
  readonly record: ArtifactRecord;
  readonly path: string;
  readonly holder: ReadManifest;
}

/**
 * Where an artifact's file is, and what the manifest of its holder, which is authenticated too, says of it. Throws `BACKUP_NOT_FOUND` for a
 * holder that is gone, `BACKUP_SWAPPED` when the holder never had this artifact.
 */
export async function locate(
  context: StoreContext,
  set: ReadManifest,
  artifact: ArtifactRecord,
): Promise<LocatedArtifact> {
  const { directory } = context;
  if (artifact.heldBy === null)
    return { record: artifact, path: join(layout.set(directory, set.manifest.id), artifact.file), holder: set };
  const holder = await readTrusted(context, artifact.heldBy);
  const record = holder.manifest.artifacts.find(
    ({ contentId, heldBy }) => contentId === artifact.contentId && heldBy === null,
  );
  if (record?.plain.bytes !== artifact.plain.bytes)
    throw storeError(
      BackupStoreErrorCode.swapped,
      `${artifact.name} of ${set.manifest.id} is said to be in ${artifact.heldBy}, which holds nothing of the kind.`,
      'Use another set.',
      { id: set.manifest.id, artifact: artifact.name, heldBy: artifact.heldBy },
    );
  return { record, path: join(layout.set(directory, artifact.heldBy), record.file), holder };
}

function refuseReplayed(id: string, { manifest }: ReadManifest, catalog: Catalog): void {
  const known = catalog.sets[id];
  const problem = manifest.id !== id ? `it says that it is ${manifest.id}` : older(manifest, known);
  if (problem === undefined) return;
  throw storeError(
    BackupStoreErrorCode.replayed,
    `What is in the place of the backup ${id} is another or an older one: ${problem}.`,
    'Someone or something has put it there. Use another set, or fetch this one from off-site.',
    { id, found: manifest.id, sequence: manifest.sequence, knownSequence: known?.sequence ?? null },
  );
}

function older(manifest: ReadManifest['manifest'], known: Catalog['sets'][string] | undefined): string | undefined {
  if (known === undefined) return undefined;
  if (manifest.sequence !== known.sequence || manifest.createdAt !== known.createdAt)
    return `its number is ${String(manifest.sequence)} of ${manifest.createdAt}, and ${String(known.sequence)} of ${known.createdAt} was here`;
  return manifest.revision < known.revision
    ? `it is from before the passphrase was changed (revision ${String(manifest.revision)}, not ${String(known.revision)})`
    : undefined;
}
