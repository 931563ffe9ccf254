import { openVerified, type DecryptOptions, type Expected } from '@devstack-core/backup-crypto';
import { stat } from 'node:fs/promises';
import type { StoreContext } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { regularSize } from './files.ts';
import type { ArtifactRecord } from './manifest.ts';
import { locate, readTrusted, type LocatedArtifact } from './read.ts';

/** An artifact by its name (`<service>/<part>/<kind>`), or as the manifest has it. */
export type ArtifactName = string | Pick<ArtifactRecord, 'name'>;

/**
 * The plain content of an artifact, wherever it is held. Nothing is given before all of it was verified against the authenticated manifest. Throws
 * what `read` throws, `BACKUP_INCOMPLETE` for a missing file, and what backup-crypto throws.
 */
export async function* openArtifact(
  context: StoreContext,
  id: string,
  artifact: ArtifactName,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const set = await readTrusted(context, id);
  const name = typeof artifact === 'string' ? artifact : artifact.name;
  const record = set.manifest.artifacts.find((one) => one.name === name);
  if (record === undefined)
    throw storeError(
      BackupStoreErrorCode.notFound,
      `The backup ${id} holds no '${name}'.`,
      'The manifest lists what it holds.',
      { id, artifact: name },
    );
  const located = await locate(context, set, record);
  await refuseMissing(located);
  yield* openVerified(located.path, decryption(located, signal));
}

/** How backup-crypto is to read an artifact, and what it has to find. */
export function decryption({ record, holder }: LocatedArtifact, signal?: AbortSignal): DecryptOptions {
  const common = { compress: 'zstd', signal, expect: expectation(record) } as const;
  if (holder.key === undefined) return { ...common, encrypted: false };
  return {
    ...common,
    passphrase: holder.key.passphrase,
    ...('hmac' in record.plain ? { plainKey: holder.key.plain } : {}),
  };
}

/** Throws `BACKUP_INCOMPLETE` where the file is not there: a link in its place counts as nothing. */
export async function refuseMissing({ path, record, holder }: LocatedArtifact): Promise<void> {
  if ((await regularSize(path)) !== undefined) return;
  const isLink = await stat(path).then(
    () => true,
    () => false,
  );
  throw storeError(
    BackupStoreErrorCode.incomplete,
    `${record.file} of the backup ${holder.manifest.id} is ${isLink ? 'no regular file' : 'missing'}.`,
    'Use another set, or fetch this one from off-site.',
    { id: holder.manifest.id, artifact: record.name, file: record.file },
  );
}

/** What an artifact has to measure. */
export function expectation({ plain, cipher }: ArtifactRecord): Required<Expected> {
  return { cipher, plain: 'hmac' in plain ? { bytes: plain.bytes, sha256: plain.hmac } : plain };
}
