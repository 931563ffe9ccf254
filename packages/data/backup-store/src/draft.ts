import { createHash, randomBytes } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { authenticate, encryptToFile, type Progress } from '@devstack-core/backup-crypto';
import { removeDurable, writeFileDurable, type Lease } from '@devstack-core/durable-files';
import { abortReason, DevstackError, isDevstackError } from '@devstack-core/errors';
import { updateCatalog, withSet } from './catalog.ts';
import { layout, setFiles, type StoreContext } from './context.ts';
import { BackupStoreErrorCode, codeOf, storeError } from './errors.ts';
import { removeFolder, syncFolder } from './files.ts';
import { appendHistory } from './history.ts';
import type { SetKey } from './keyring.ts';
import { writeManifest, type ReadManifest } from './manifest-file.ts';
import {
  isForTheSame,
  ownArtifacts,
  publicKeysOf,
  servicesOf,
  type ArtifactRecord,
  type EngineRecord,
  type Metadata,
  type PartRecord,
  type PlainMeasure,
  type SetManifest,
} from './manifest.ts';
import { artifactFile } from './names.ts';
import { shapeProblem } from './manifest-shape.ts';
import { checksumsText, recoveryCard } from './recovery-card.ts';
import { artifactProblem } from './verify.ts';

/** An artifact to add. */
export interface NewArtifact {
  readonly service: string;
  readonly part: string;
  /** `content`, `fingerprint`, or whatever else: one of each for a part. */
  readonly kind: string;
  /** Of the plain content, e.g. `dump`. */
  readonly extension: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** A small secret: its checksum in the manifest is one under the set's key. */
  readonly isSecret?: boolean;
  readonly engine?: EngineRecord;
  readonly metadata?: Metadata;
  readonly onProgress?: (progress: Progress) => void;
}

/** What a draft is made with. */
export interface DraftOptions {
  readonly context: StoreContext;
  readonly lease: Lease;
  readonly head: Omit<SetManifest, 'finishedAt' | 'parts' | 'artifacts' | 'texts'>;
  readonly folder: string;
  readonly key: SetKey | undefined;
  readonly parent: ReadManifest | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * A set that is being made. Nothing of it is a backup before `finish`; disposal without it removes all of it. Once anything has failed it cannot be
 * finished: half a backup is none.
 */
export class SetDraft implements AsyncDisposable {
  readonly id: string;
  /** The set that this one builds upon. */
  readonly parent: SetManifest | undefined;
  readonly #options: DraftOptions;
  readonly #artifacts: ArtifactRecord[] = [];
  readonly #parts: PartRecord[] = [];
  readonly #files = new Set<string>();
  readonly #names = new Set<string>();
  #pending = 0;
  #failure: unknown;
  #isClosed = false;

  constructor(options: DraftOptions) {
    this.#options = options;
    this.id = options.head.id;
    this.parent = options.parent?.manifest;
  }

  /** A digest of a fingerprint, under this set's key. */
  digestOf(fingerprint: Uint8Array): string {
    return digest(fingerprint, this.#options.key);
  }

  /**
   * The parent's content of a part, when its exact fingerprint there is the same as this one: then `reference` it instead of adding it. Undefined
   * where anything is different, approximate or unknown.
   */
  unchanged(
    { service, part, engine }: { readonly service: string; readonly part: string; readonly engine: EngineRecord },
    fingerprint: Uint8Array,
  ): ArtifactRecord | undefined {
    const { parent } = this.#options;
    const known = parent?.manifest.parts.find((one) => one.service === service && one.name === part);
    if (parent === undefined || known?.consistency !== 'exact' || known.fingerprintDigest === null) return undefined;
    if (known.engine.name !== engine.name || known.engine.version !== engine.version) return undefined;
    if (parent.manifest.encrypted !== this.#options.head.encrypted) return undefined;
    // Who can open this set can open all that it needs, and nobody else can.
    if (!isForTheSame(parent.manifest, this.#options.head)) return undefined;
    if (known.fingerprintDigest !== digest(fingerprint, parent.key)) return undefined;
    return parent.manifest.artifacts.find(
      (one) => one.service === service && one.part === part && one.kind === 'content',
    );
  }

  /**
   * Writes an artifact, compressed and encrypted, and on the disk when this returns. Throws what the content throws, and `BACKUP_DISK_FULL`; the
   * draft cannot be finished then.
   */
  async add(artifact: NewArtifact): Promise<ArtifactRecord> {
    const { context, folder, key, signal, head } = this.#options;
    return this.#attempt(async () => {
      const { service, part, kind, extension, isSecret = false, engine, metadata, onProgress } = artifact;
      const name = this.#reserve(service, part, kind);
      const file = artifactFile({ service, part, extension, encrypted: head.encrypted }, (taken) =>
        this.#files.has(taken),
      );
      this.#files.add(file);
      const common = { compress: 'zstd', signal, onProgress } as const;
      const { plain, cipher } = await encryptToFile(
        artifact.content,
        join(folder, file),
        key === undefined
          ? { ...common, encrypted: false }
          : {
              ...common,
              passphrases: [key.passphrase],
              recipients: publicKeysOf(head),
              ...(isSecret ? { plainKey: key.plain } : {}),
            },
      );
      const record: ArtifactRecord = {
        contentId: randomBytes(16).toString('hex'),
        name,
        service,
        part,
        kind,
        extension,
        file,
        isSecret,
        plain: isSecret && key !== undefined ? keyed(plain) : plain,
        cipher,
        heldBy: null,
        ...(engine === undefined ? {} : { engine }),
        ...(metadata === undefined ? {} : { metadata }),
      };
      this.#artifacts.push(record);
      await context.step('draft:artifact', this.id);
      return record;
    });
  }

  /**
   * Takes an artifact of the parent over as it is, without its bytes: this set needs the one that holds them from now on. They are read all the
   * same: throws what a verification says of an artifact that is not as it was written.
   */
  async reference(artifact: ArtifactRecord): Promise<ArtifactRecord> {
    return this.#attempt(async () => {
      const { parent, context } = this.#options;
      const known = parent?.manifest.artifacts.find(({ contentId }) => contentId === artifact.contentId);
      if (parent === undefined || known === undefined)
        throw invalid(this.id, `${artifact.name} is no artifact of the parent`);
      this.#reserve(known.service, known.part, known.kind);
      await this.#refuseDamaged(parent, known);
      const record = { ...known, heldBy: known.heldBy ?? parent.manifest.id };
      this.#artifacts.push(record);
      await context.step('draft:reference', this.id);
      return record;
    });
  }

  /** Says what a part is; its artifacts are those of the same service and name. */
  part(part: PartRecord): void {
    if (this.#parts.some(({ service, name }) => service === part.service && name === part.name))
      throw invalid(this.id, `the part ${part.name} of ${part.service} is told twice`);
    this.#parts.push(part);
  }

  /**
   * Makes it a backup: checksums, recovery card, manifest, in this order, each on the disk before the next, then the folder gets its name. Throws
   * `BACKUP_DRAFT_INVALID` when anything failed, is unfinished, or is missing.
   */
  async finish(): Promise<SetManifest> {
    const { context, lease, folder, key, head, signal } = this.#options;
    const aborted = abortReason(signal, `The backup ${this.id}`);
    if (aborted !== undefined) throw aborted;
    return this.#attempt(async () => {
      this.#refuseUnfinished();
      const manifest = await this.#write();
      await lease.assertHeld();
      await removeDurable(join(folder, setFiles.draft));
      await rename(folder, layout.set(context.directory, this.id));
      await syncFolder(context.directory);
      this.#isClosed = true;
      await context.step('finish:renamed', this.id);
      // It is a backup from here on, whatever becomes of the notes about it: both are made anew from the sets.
      await updateCatalog(context, (catalog) => withSet(catalog, manifest.content, manifest.sha256)).catch(noteless);
      await this.#record('succeeded', {
        services: servicesOf(manifest.content),
        bytes: ownArtifacts(manifest.content).reduce((sum, { cipher }) => sum + cipher.bytes, 0),
        encrypted: head.encrypted && key !== undefined,
      });
      await context.step('finish:recorded', this.id);
      await lease.release();
      return manifest.content;
    });
  }

  /** Removes what was written, unless it was finished. Safe to call more than once. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#isClosed) return;
      this.#isClosed = true;
      await removeFolder(this.#options.folder);
      await this.#record('failed', { code: this.#failure === undefined ? 'INTERRUPTED' : codeOf(this.#failure) });
    } finally {
      await this.#options.lease.release();
    }
  }

  async #write(): Promise<{ readonly content: SetManifest; readonly sha256: string }> {
    const { context, folder, key, head } = this.#options;
    const draft: SetManifest = {
      ...head,
      finishedAt: context.now().toISOString(),
      parts: this.#parts,
      artifacts: this.#artifacts,
      texts: {},
    };
    const texts = { [setFiles.sums]: checksumsText(ownArtifacts(draft)), [setFiles.card]: recoveryCard(draft) };
    const content: SetManifest = { ...draft, texts: textDigests(texts) };
    const problem = shapeProblem(JSON.parse(JSON.stringify(content)));
    if (problem !== undefined) throw invalid(this.id, problem);
    await writeFileDurable(join(folder, setFiles.sums), texts[setFiles.sums]);
    await context.step('finish:sums', this.id);
    await writeFileDurable(join(folder, setFiles.card), texts[setFiles.card]);
    await context.step('finish:card', this.id);
    const sha256 = await writeManifest(folder, content, key);
    await context.step('finish:manifest', this.id);
    return { content, sha256 };
  }

  // A set upon a damaged one would be called complete, and be none.
  async #refuseDamaged(parent: ReadManifest, known: ArtifactRecord): Promise<void> {
    const { context, signal } = this.#options;
    const problem = await artifactProblem(context, parent, known, 1, signal);
    const aborted = abortReason(signal, `The backup ${this.id}`);
    if (aborted !== undefined) throw aborted;
    if (problem === undefined) return;
    throw new DevstackError({
      code: problem.code,
      message: `Nothing can be built upon the backup ${parent.manifest.id}: ${problem.message}`,
      hint: 'Make a full backup, and verify the others.',
      details: { id: parent.manifest.id, artifact: known.name },
    });
  }

  #refuseUnfinished(): void {
    if (this.#pending > 1) throw invalid(this.id, 'an artifact is still being written');
    if (this.#artifacts.length === 0) throw invalid(this.id, 'there is nothing in it');
    for (const { service, name } of this.#parts)
      if (!this.#artifacts.some((one) => one.service === service && one.part === name))
        throw invalid(this.id, `the part ${name} of ${service} has no artifact`);
  }

  #reserve(service: string, part: string, kind: string): string {
    const name = `${service}/${part}/${kind}`;
    if (this.#names.has(name)) throw invalid(this.id, `${name} is added twice`);
    this.#names.add(name);
    return name;
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw invalid(this.id, 'it is finished or given up');
    if (this.#failure !== undefined)
      throw invalid(this.id, 'something of it has failed, and half a backup is none', this.#failure);
    this.#pending += 1;
    try {
      return await work();
    } catch (error) {
      this.#failure ??= error;
      throw error;
    } finally {
      this.#pending -= 1;
    }
  }

  async #record(outcome: 'succeeded' | 'failed', more: Readonly<Record<string, unknown>>): Promise<void> {
    const { context, head } = this.#options;
    const durationMs = context.now().getTime() - Date.parse(head.createdAt);
    const { project, kind } = head;
    const record = { event: 'create', outcome, set: this.id, durationMs, project, kind, ...more } as const;
    // The backup stands or falls without this line.
    await appendHistory(context, record).catch(noteless);
  }
}

// Of the file system only: anything else is a mistake of ours.
function noteless(error: unknown): void {
  if (!isDevstackError(error)) throw error;
}

/** SHA-256 of each text. */
export function textDigests(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(texts).map(([file, text]) => [file, createHash('sha256').update(text).digest('hex')]),
  );
}

function keyed({ bytes, sha256 }: { readonly bytes: number; readonly sha256: string }): PlainMeasure {
  return { bytes, hmac: sha256 };
}

function digest(bytes: Uint8Array, key: SetKey | undefined): string {
  return key === undefined ? createHash('sha256').update(bytes).digest('hex') : authenticate(bytes, key.fingerprint);
}

function invalid(id: string, why: string, cause?: unknown): Error {
  return storeError(
    BackupStoreErrorCode.draftInvalid,
    `The backup ${id} cannot be made: ${why}.`,
    'Nothing of it stays. Make it again.',
    { id },
    cause,
  );
}
