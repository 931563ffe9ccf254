import type { RotationPolicy } from '@devstack-core/backup-rotation';
import type { Secret } from '@devstack-core/redaction';
import { readCatalog, updateCatalog, withSet, type Catalog } from './catalog.ts';
import { changePassphrase, type PassphraseChange } from './change-passphrase.ts';
import { layout, type StoreContext, type StoreStep } from './context.ts';
import { chainOf, copySet, type CopyOptions, type CopyReport } from './copy.ts';
import { createSet, type CreateOptions } from './create.ts';
import type { SetDraft } from './draft.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import { fetchSet, type FetchReport } from './fetch.ts';
import { isFolder } from './files.ts';
import { appendHistory, readHistory, type HistoryRecord, type NewHistoryRecord } from './history.ts';
import { Keyring } from './keyring.ts';
import { listSets, missingSets, type SetEntry } from './list.ts';
import { lockStore } from './lock.ts';
import type { SetManifest } from './manifest.ts';
import { storeMetrics } from './metrics.ts';
import { isSetId } from './names.ts';
import { openArtifact, type ArtifactName } from './open.ts';
import { readTrusted } from './read.ts';
import { removeSet, rotateStore, type RotateOptions, type Rotation } from './rotate.ts';
import {
  recordRestoreTest,
  recordVerification,
  updateSetState,
  type RestoreVerdict,
  type SetState,
} from './set-state.ts';
import { sweepStore, type Swept } from './sweep.ts';
import type { OffsiteTarget } from './target.ts';
import { listTrash, restoreFromTrash, type TrashedSet } from './trash.ts';
import { isTold, verifySet, type VerifyOptions, type VerifyReport } from './verify.ts';

/** How to open a store. */
export interface OpenBackupStoreOptions {
  /** The folder with the sets; made, private, by the first write. */
  readonly directory: string;
  /** Of today. Without it sets are listed, but nothing encrypted is proved, opened or made. */
  readonly passphrase?: Secret;
  /** Armored OpenPGP public keys: their owners open new sets with gpg, without the passphrase. Nothing is proved to or by them. */
  readonly recipients?: readonly string[];
  /** Open sets that were made before the passphrase was changed. */
  readonly formerPassphrases?: readonly Secret[];
  /** Whether sets without encryption are believed, which anybody can write; true only without a passphrase unless given. */
  readonly allowUnencrypted?: boolean;
  /** Who writes, for manifests. */
  readonly tool: { readonly name: string; readonly version: string };
  /** How long a removed set can be had back; 7 days unless given. */
  readonly undoWindowMs?: number;
  readonly now?: () => Date;
  /** IANA; that of this machine unless given. Names and dates new sets. */
  readonly timeZone?: string;
  /** Called after each step, when it is on the disk: for tests that kill there. */
  readonly onStep?: (step: StoreStep, id: string) => void | Promise<void>;
}

/** Sets of backups in a folder. */
export interface BackupStore {
  readonly directory: string;
  create(options: CreateOptions): Promise<SetDraft>;
  /** Everything in the folder, the newest first. Never throws for what is in it. */
  list(): Promise<readonly SetEntry[]>;
  /** Sets that were seen here, that nobody removed by this program, and that are gone: then the newest one here may not be the newest. */
  missing(): Promise<readonly { readonly id: string; readonly createdAt: string }[]>;
  /** The authenticated manifest. */
  read(id: string): Promise<SetManifest>;
  /** The set and all that it needs, the bases first, each authenticated. */
  chain(id: string): Promise<readonly SetManifest[]>;
  /** The plain content of an artifact; nothing is released before it is verified. */
  open(id: string, artifact: ArtifactName, options?: { readonly signal?: AbortSignal }): AsyncIterable<Uint8Array>;
  /** Level 2 unless given. */
  verify(id: string, options?: VerifyOptions): Promise<VerifyReport>;
  /** Keeps what a restore on trial (level 3) has shown: rotation never removes the last set of a service that was found right. */
  recordRestoreTest(id: string, result: RestoreVerdict): Promise<SetState>;
  pin(id: string, pinned?: boolean): Promise<SetState>;
  rotate(policy: RotationPolicy, options?: RotateOptions): Promise<Rotation>;
  /** Moves one set to the trash. Throws `BACKUP_NEEDED` when another one cannot be restored without it. */
  remove(id: string): Promise<TrashedSet>;
  trash(): Promise<readonly TrashedSet[]>;
  undelete(id: string): Promise<SetManifest>;
  /** Takes away what killed runs left, and expired trash; all trash where `emptyTrash`. */
  sweep(options?: { readonly emptyTrash?: boolean }): Promise<Swept>;
  changePassphrase(next: Secret): Promise<PassphraseChange>;
  history(): Promise<readonly HistoryRecord[]>;
  appendHistory(record: NewHistoryRecord): Promise<HistoryRecord>;
  catalog(): Promise<Catalog>;
  /** Makes the catalog anew from what is there, which forgets what is missing. */
  rebuildCatalog(): Promise<Catalog>;
  /** Prometheus text. */
  metrics(): Promise<string>;
  copySet(id: string, target: OffsiteTarget, options?: CopyOptions): Promise<CopyReport>;
  fetchSet(id: string, target: OffsiteTarget, options?: { readonly signal?: AbortSignal }): Promise<FetchReport>;
}

/** Opens a store. Nothing is read or made before it is used. Errors: README. */
export function openBackupStore(options: OpenBackupStoreOptions): BackupStore {
  const { directory, passphrase, formerPassphrases = [], onStep } = options;
  const context: StoreContext = {
    directory,
    keyring: new Keyring([...(passphrase === undefined ? [] : [passphrase]), ...formerPassphrases]),
    recipients: options.recipients ?? [],
    allowUnencrypted: options.allowUnencrypted ?? passphrase === undefined,
    tool: options.tool,
    undoWindowMs: options.undoWindowMs ?? 7 * 86_400_000,
    now: options.now ?? (() => new Date()),
    timeZone: options.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    step: async (step, id) => {
      await onStep?.(step, id);
    },
  };
  const setFolder = async (id: string): Promise<string> => {
    const folder = layout.set(directory, id);
    if (isSetId(id) && (await isFolder(folder))) return folder;
    throw storeError(
      BackupStoreErrorCode.notFound,
      `There is no backup '${id}' in ${directory}.`,
      'List the backups that are there.',
      { id, directory },
    );
  };
  const locked = async <T>(owner: string, work: () => Promise<T>): Promise<T> => {
    await using lease = await lockStore(context, owner);
    await lease.assertHeld();
    return await work();
  };
  return {
    directory,
    create: (create) => createSet(context, create),
    list: () => listSets(context),
    missing: () => missingSets(context),
    read: async (id) => (await readTrusted(context, id)).manifest,
    chain: (id) => chainOf(context, id),
    open: (id, artifact, { signal } = {}) => openArtifact(context, id, artifact, signal),
    async verify(id, verify = {}) {
      const report = await verifySet(context, id, verify);
      if (isTold(report)) await recordVerification(context, report);
      return report;
    },
    recordRestoreTest: async (id, result) => recordRestoreTest(context, await setFolder(id), result),
    pin: async (id, pinned = true) => updateSetState(await setFolder(id), { pinned }),
    rotate: (policy, rotate = {}) => rotateStore(context, policy, rotate),
    remove: (id) =>
      locked('removal', async () => {
        await setFolder(id);
        return removeSet(context, id);
      }),
    trash: () => listTrash(context),
    undelete: (id) =>
      locked('undelete', async () => {
        await restoreFromTrash(context, id);
        const { manifest, sha256 } = await readTrusted(context, id);
        await updateCatalog(context, (catalog) => withSet(catalog, manifest, sha256));
        return manifest;
      }),
    sweep: ({ emptyTrash = false } = {}) => locked('sweep', () => sweepStore(context, { emptyAll: emptyTrash })),
    changePassphrase: (next) => changePassphrase(context, next),
    history: () => readHistory(context),
    appendHistory: (record) => appendHistory(context, record),
    catalog: () => readCatalog(context),
    rebuildCatalog: () =>
      locked('catalog', async () => {
        const sets = await listSets(context);
        await updateCatalog(context, ({ schema, lastSequence }) =>
          sets.reduce<Catalog>(
            (catalog, { manifest, sha256, trust }) =>
              manifest === undefined || sha256 === undefined || trust === 'unchecked'
                ? catalog
                : withSet(catalog, manifest, sha256),
            { schema, lastSequence, sets: {} },
          ),
        );
        return readCatalog(context);
      }),
    metrics: () => storeMetrics(context),
    copySet: (id, target, copy = {}) => copySet(context, id, target, copy),
    fetchSet: (id, target, { signal } = {}) => fetchSet(context, id, target, signal),
  };
}
