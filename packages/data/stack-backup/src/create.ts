import { hostname, type } from 'node:os';
import type { ArtifactRecord, BackupStore, PartRecord, SetDraft, SetManifest } from '@devstack-core/backup-store';
import { isWalPart, serializeFingerprint, type BackupPart, type WalPart } from '@devstack-core/database-backup';
import { abortReason, DevstackError } from '@devstack-core/errors';
import type { OnEvent } from '@devstack-core/stack-lifecycle';
import { StackBackupErrorCode } from './errors.ts';
import type { ServiceBackup } from './service-backup.ts';

/** What goes into a set, and how. */
export interface CreateBackupOptions {
  readonly project: string;
  readonly services: readonly Pick<ServiceBackup, 'service' | 'open'>[];
  /** The set to build upon: parts whose exact fingerprint is the same there are taken over by reference. */
  readonly parent?: string | undefined;
  /** Without them a set cannot be compared with what is restored from it; true unless given. */
  readonly fingerprints?: boolean;
  readonly encrypted?: boolean;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a backup did. */
export interface CreatedBackup {
  readonly manifest: SetManifest;
  readonly durationMs: number;
  /** Before compression. */
  readonly plainBytes: number;
  /** On the disk, new in this set. */
  readonly storedBytes: number;
  /** Parts that were taken over from the parent. */
  readonly unchanged: number;
}

/**
 * Makes one set of everything that the services give, one part after another. Whatever fails leaves no set: half a backup is none. Throws
 * NOTHING_SELECTED, DUMP_FAILED, PLACE_UNUSABLE, INTERRUPTED, and what the store throws.
 */
export async function createBackup(store: BackupStore, options: CreateBackupOptions): Promise<CreatedBackup> {
  const { services, signal, parent } = options;
  if (services.length === 0)
    throw new DevstackError({
      code: StackBackupErrorCode.nothingSelected,
      message: 'No service is left to back up.',
      hint: 'Name services that run: devstack status',
    });
  const started = performance.now();
  await using draft = await store.create({
    project: options.project,
    kind: parent === undefined ? 'full' : 'incremental',
    ...(parent === undefined ? {} : { parent }),
    encrypted: options.encrypted ?? true,
    host: { name: hostname(), system: type(), services: services.map(({ service }) => service) },
    ...(signal === undefined ? {} : { signal }),
  });
  const sizes = await lastSizes(store);
  let unchanged = 0;
  const logs: WalPart[] = [];
  for (const service of services) {
    const withSignal = signal === undefined ? {} : { signal };
    for await (const part of service.open({ fingerprints: options.fingerprints ?? true, ...withSignal })) {
      const aborted = abortReason(signal, `The backup of ${service.service}`);
      if (aborted !== undefined) throw aborted;
      if (await addPart(draft, service.service, part, options, sizes)) unchanged += 1;
      if (isWalPart(part)) logs.push(part);
    }
  }
  const manifest = await draft.finish();
  for (const log of logs) await release(log, options.onEvent);
  const stored = manifest.artifacts.filter(({ heldBy }) => heldBy === null);
  return {
    manifest,
    durationMs: performance.now() - started,
    plainBytes: manifest.artifacts.reduce((sum, { plain }) => sum + plain.bytes, 0),
    storedBytes: stored.reduce((sum, { cipher }) => sum + cipher.bytes, 0),
    unchanged,
  };
}

// Only now does something else hold it. What stays goes into the next set once more.
async function release(log: WalPart, onEvent: OnEvent | undefined): Promise<void> {
  try {
    await log.release();
  } catch (error) {
    onEvent?.({
      type: 'warning',
      code: 'WAL_NOT_RELEASED',
      text: `What the backup holds of the log could not be removed from the server's archive: ${error instanceof Error ? error.message : String(error)}`,
      hint: 'The next backup tries it again.',
    });
  }
}

async function addPart(
  draft: SetDraft,
  service: string,
  part: BackupPart,
  { fingerprints = true, onEvent = (): void => undefined }: CreateBackupOptions,
  sizes: ReadonlyMap<string, number>,
): Promise<boolean> {
  const step = `${service}/${part.name}`;
  const title = `${service}: ${part.name}`;
  const started = performance.now();
  onEvent({ type: 'step-started', step, title });
  const text = fingerprints ? Buffer.from(serializeFingerprint(await part.fingerprint())) : undefined;
  const about = { service, part: part.name, engine: part.engine };
  const known = text === undefined || part.consistency !== 'exact' ? undefined : draft.unchanged(about, text);
  let written: ArtifactRecord;
  if (known !== undefined) {
    written = await draft.reference(known);
  } else {
    const expected = sizes.get(step) ?? 0;
    written = await draft.add({
      ...about,
      kind: 'content',
      extension: part.extension,
      isSecret: part.isSecret ?? false,
      ...(part.metadata === undefined ? {} : { metadata: part.metadata }),
      content: part.content(),
      onProgress: ({ plainBytes }) => {
        onEvent({
          type: 'progress',
          step,
          text: progressText(title, plainBytes, expected, performance.now() - started),
        });
      },
    });
  }
  if (text !== undefined)
    await draft.add({
      ...about,
      kind: 'fingerprint',
      extension: 'fingerprint.json',
      content: oneChunk(text),
      isSecret: true,
    });
  draft.part(recordOf(service, part, text === undefined ? null : draft.digestOf(text)));
  onEvent({
    type: 'step-done',
    step,
    title,
    changed: known === undefined,
    detail: known === undefined ? `${bytesText(written.plain.bytes)}, ${part.consistency}` : 'unchanged, taken over',
    durationMs: performance.now() - started,
  });
  return known !== undefined;
}

function recordOf(service: string, part: BackupPart, fingerprintDigest: string | null): PartRecord {
  const { name, kind, extension, engine, consistency, consistencyReason, snapshotAt, isSecret, metadata, restoreHint } =
    part;
  return {
    service,
    name,
    kind,
    extension,
    engine,
    consistency,
    snapshotAt,
    restoreHint,
    fingerprintDigest,
    ...(consistencyReason === undefined ? {} : { consistencyReason }),
    ...(isSecret === undefined ? {} : { isSecret }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

// How much each part was the last time: the end of a dump cannot be seen in any other way.
async function lastSizes(store: BackupStore): Promise<ReadonlyMap<string, number>> {
  const latest = (await store.list()).find(({ status, manifest }) => status === 'complete' && manifest !== undefined);
  const contents = latest?.manifest?.artifacts.filter(({ kind }) => kind === 'content') ?? [];
  return new Map(contents.map(({ service, part, plain }) => [`${service}/${part}`, plain.bytes]));
}

function progressText(title: string, bytes: number, expected: number, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? bytes / (elapsedMs / 1000) : 0;
  const left = expected > bytes && rate > 0 ? `, about ${String(Math.ceil((expected - bytes) / rate))} s left` : '';
  return `${title}: ${bytesText(bytes)}, ${bytesText(rate)}/s${left}`;
}

/** For people: `1.4 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? String(Math.round(value)) : value.toFixed(1)} ${units[power] ?? ''}`;
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  yield bytes;
}
