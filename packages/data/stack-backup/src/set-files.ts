import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactRecord, BackupStore, PartRecord, SetManifest } from '@devstack-core/backup-store';
import { filesSource } from '@devstack-core/database-backup';
import { ensurePrivateDirectory } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { StackBackupErrorCode } from './errors.ts';

/** A part of a set and its content. Throws BACKUP_INCOMPLETE. */
export function partOf(
  manifest: SetManifest,
  service: string,
  name: string,
): { readonly part: PartRecord; readonly artifact: ArtifactRecord } {
  const part = manifest.parts.find((one) => one.service === service && one.name === name);
  return { part: part ?? missing(manifest, service, name), artifact: artifactOf(manifest, service, name, 'content') };
}

/** An artifact of a part. Throws BACKUP_INCOMPLETE. */
export function artifactOf(
  manifest: SetManifest,
  service: string,
  name: string,
  kind: 'content' | 'fingerprint',
): ArtifactRecord {
  const found = manifest.artifacts.find((one) => one.service === service && one.part === name && one.kind === kind);
  return found ?? missing(manifest, service, name);
}

function missing(manifest: SetManifest, service: string, name: string): never {
  throw new DevstackError({
    code: StackBackupErrorCode.incompleteSet,
    message: `The backup ${manifest.id} does not have all of "${name}" of ${service}.`,
    hint: 'Use another set: devstack backup list',
  });
}

/** All bytes of a content; for small ones. */
export async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Unpacks a part of kind `files` (or Vault's files) into a new folder `<directory>/<part>`, and gives its path. */
export async function unpackPart(
  store: BackupStore,
  manifest: SetManifest,
  options: {
    readonly service: string;
    readonly part: string;
    readonly directory: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<string> {
  const { part, artifact } = partOf(manifest, options.service, options.part);
  await ensurePrivateDirectory(options.directory);
  const path = join(options.directory, part.name);
  await rm(path, { recursive: true, force: true });
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const files = { ...part, service: options.service, kind: 'files', engine: { ...part.engine, name: 'files' } };
  await filesSource.restore(
    { roots: [{ name: part.name, path }] },
    files,
    store.open(manifest.id, artifact, signal),
    signal,
  );
  return path;
}
