import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { recipientFingerprint } from '@devstack-core/backup-crypto';
import { ensurePrivateDirectory, writeFileDurable, type Lease } from '@devstack-core/durable-files';
import { isDevstackError } from '@devstack-core/errors';
import { civilDate } from '@devstack-core/backup-rotation';
import { readCatalog } from './catalog.ts';
import { layout, setFiles, type StoreContext } from './context.ts';
import { SetDraft } from './draft.ts';
import { BackupStoreErrorCode, codeOf, storeError } from './errors.ts';
import { namesIn, removeFolder, syncFolder } from './files.ts';
import { appendHistory } from './history.ts';
import { listSets, type SetEntry } from './list.ts';
import { lockStore } from './lock.ts';
import { manifestSchema, type Metadata, type Recipient } from './manifest.ts';
import { freeId, isSetId, setIdAt, unfinishedOf } from './names.ts';
import { readTrusted } from './read.ts';
import { ensureSpace } from './space.ts';
import { sweepUnfinished } from './sweep.ts';

/** What is said of a set before anything is in it. */
export interface CreateOptions {
  readonly project: string;
  readonly kind: 'full' | 'incremental';
  /** The set that an incremental one builds upon. */
  readonly parent?: string;
  /** Whether artifacts are encrypted; true needs a passphrase. */
  readonly encrypted: boolean;
  /** Where it is made, e.g. host name and operating system; never a secret. */
  readonly host?: Metadata;
  /** For the check of space; the size of the last set of the same kind unless given. */
  readonly expectedBytes?: number;
  readonly signal?: AbortSignal;
}

/**
 * Begins a set: takes the store's lock, sweeps what killed runs left, checks the space, makes the folder. Throws `BACKUP_LOCKED`,
 * `BACKUP_NO_SPACE`, `BACKUP_PASSPHRASE_NEEDED`, `BACKUP_RECIPIENT_INVALID`, and for the parent what `read` throws.
 */
export async function createSet(context: StoreContext, options: CreateOptions): Promise<SetDraft> {
  await ensurePrivateDirectory(context.directory);
  const lease = await lockStore(context, `backup of ${options.project}`);
  const startedAt = context.now();
  try {
    return await begin(context, options, lease, startedAt);
  } catch (error) {
    // The lock comes back whatever becomes of the record of the failure.
    await appendHistory(context, {
      event: 'create',
      outcome: 'failed',
      code: codeOf(error),
      durationMs: context.now().getTime() - startedAt.getTime(),
      project: options.project,
    }).catch(() => undefined);
    await lease.release();
    throw error;
  }
}

async function begin(context: StoreContext, options: CreateOptions, lease: Lease, startedAt: Date): Promise<SetDraft> {
  const { directory, timeZone, keyring } = context;
  await context.step('create:locked', '');
  await sweepUnfinished(context);
  const sets = await listSets(context);
  const parent = await parentOf(context, options);
  const newest = newestTrusted(sets);
  const key = options.encrypted ? await keyring.current(await reusableSalt(context, newest)) : undefined;
  if (options.encrypted && key === undefined)
    throw storeError(
      BackupStoreErrorCode.passphraseNeeded,
      'An encrypted backup needs a passphrase, and none was given.',
      'Give one, or switch encryption off for this backup.',
    );
  const recipients = options.encrypted ? await recipientsOf(context) : [];
  const expectedBytes = options.expectedBytes ?? lastSize(sets, options);
  await ensureSpace(context, expectedBytes);
  const catalog = await readCatalog(context);
  const sequence = 1 + Math.max(catalog.lastSequence, ...sets.map((set) => set.manifest?.sequence ?? 0));
  const taken = await takenIds(directory);
  const id = freeId(setIdAt(startedAt, timeZone), (candidate) => taken.has(candidate) || candidate in catalog.sets);
  const head = {
    schema: manifestSchema,
    id,
    kind: options.kind,
    parent: parent?.manifest.id ?? null,
    sequence,
    revision: 1,
    previous: newest?.manifest === undefined ? null : { id: newest.id, sha256: newest.sha256 ?? '' },
    project: options.project,
    createdAt: startedAt.toISOString(),
    timeZone,
    localDate: civilDate(startedAt, timeZone),
    tool: context.tool,
    host: options.host ?? {},
    encrypted: options.encrypted,
    ...(recipients.length === 0 ? {} : { recipients }),
  } as const;
  const folder = layout.partial(directory, id);
  await mkdir(folder, { mode: 0o700 });
  try {
    await writeFileDurable(join(folder, setFiles.draft), `${JSON.stringify(head, undefined, 2)}\n`);
    await syncFolder(directory);
    await context.step('create:folder', id);
  } catch (error) {
    await removeFolder(folder).catch(() => undefined);
    throw error;
  }
  return new SetDraft({ context, lease, head, folder, key, parent, signal: options.signal });
}

async function recipientsOf({ recipients }: StoreContext): Promise<readonly Recipient[]> {
  const found = new Map<string, Recipient>();
  for (const publicKey of recipients) {
    const fingerprint = await recipientFingerprint(publicKey);
    found.set(fingerprint, { fingerprint, publicKey });
  }
  return [...found.values()];
}

async function parentOf(context: StoreContext, { kind, parent }: CreateOptions): ReturnType<typeof readParent> {
  if ((kind === 'incremental') !== (parent !== undefined))
    throw storeError(
      BackupStoreErrorCode.draftInvalid,
      kind === 'incremental' ? 'An incremental backup needs a parent.' : 'A full backup has no parent.',
      'Name the set to build upon, or make a full one.',
    );
  return readParent(context, parent);
}

async function readParent(
  context: StoreContext,
  parent: string | undefined,
): Promise<Awaited<ReturnType<typeof readTrusted>> | undefined> {
  return parent === undefined ? undefined : readTrusted(context, parent);
}

function newestTrusted(sets: readonly SetEntry[]): SetEntry | undefined {
  return sets
    .filter(({ status, trust }) => status === 'complete' && trust !== 'unchecked')
    .reduce<SetEntry | undefined>(
      (found, set) => ((set.manifest?.sequence ?? 0) > (found?.manifest?.sequence ?? 0) ? set : found),
      undefined,
    );
}

// The salt of the newest set, if it was made with the passphrase of today.
async function reusableSalt(context: StoreContext, newest: SetEntry | undefined): Promise<string | undefined> {
  if (newest === undefined) return undefined;
  try {
    const { key } = await readTrusted(context, newest.id);
    return key !== undefined && context.keyring.isCurrent(key) ? key.salt : undefined;
  } catch (error) {
    if (isDevstackError(error)) return undefined;
    throw error;
  }
}

function lastSize(sets: readonly SetEntry[], { kind, project }: CreateOptions): number {
  const complete = sets.filter((set) => set.status === 'complete' && set.manifest?.project === project);
  return (complete.find((set) => set.manifest?.kind === kind) ?? complete.at(0))?.bytes ?? 0;
}

async function takenIds(directory: string): Promise<ReadonlySet<string>> {
  const names = await namesIn(directory);
  const trashed = (await namesIn(layout.trash(directory))).map((name) => name.split('.', 1)[0] ?? '');
  const unfinished = names.flatMap((name) => unfinishedOf(name)?.id ?? []);
  return new Set([...names.filter(isSetId), ...unfinished, ...trashed]);
}
