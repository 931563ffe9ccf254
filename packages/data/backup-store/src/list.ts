import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDevstackError } from '@devstack-core/errors';
import { readCatalog, type Catalog } from './catalog.ts';
import { setFiles, type StoreContext } from './context.ts';
import { BackupStoreErrorCode as codes } from './errors.ts';
import { folderBytes, isFolder, namesIn, readSmall, regularSize } from './files.ts';
import { needsOf, ownArtifacts, servicesOf, type SetManifest } from './manifest.ts';
import { isSetId, unfinishedOf } from './names.ts';
import { readSet } from './read.ts';
import { readSetState, verifiedServices, type SetState } from './set-state.ts';

/** What a folder of the store is. Only a `complete` one is a backup. */
export type SetStatus =
  'complete' | 'partial' | 'damaged' | 'forged' | 'replayed' | 'wrong-passphrase' | 'newer-format' | 'foreign';

/** One folder of the store. */
export interface SetEntry {
  /** The id of the set, for a foreign folder its name. */
  readonly id: string;
  readonly path: string;
  readonly status: SetStatus;
  /** Why it is not complete. */
  readonly problem?: { readonly code: string; readonly message: string };
  /** Undefined where the manifest could not be read or believed. */
  readonly manifest?: SetManifest;
  /** SHA-256 of the manifest's canonical text. */
  readonly sha256?: string;
  /** `unchecked` where there is no passphrase to prove the manifest with. */
  readonly trust?: 'authentic' | 'plain' | 'unchecked';
  /** When it was begun, by its manifest or its id; undefined for a foreign folder. */
  readonly createdAt?: string;
  readonly ageMs?: number;
  /** Of its own files. */
  readonly bytes: number;
  readonly services: readonly string[];
  /** The sets that it cannot be restored without. */
  readonly needs: readonly string[];
  readonly encrypted?: boolean;
  readonly pinned: boolean;
  /** Services whose restore was tried and found right. */
  readonly verifiedServices: readonly string[];
  readonly verified: SetState['verified'];
}

/**
 * Everything in the store's folder, the newest first by what manifests say: by time, then by number; never by file times. What is dated in the
 * future stands right before the set that was made after it.
 */
export async function listSets(context: StoreContext): Promise<readonly SetEntry[]> {
  const catalog = await readCatalog(context);
  const entries: SetEntry[] = [];
  for (const name of await namesIn(context.directory)) {
    const entry = await entryOf(context, name, catalog);
    if (entry !== undefined) entries.push(entry);
  }
  return newestFirst(withNeeds(entries), context.now());
}

/** Sets that the catalog has seen, that nobody has removed by this program, and that are not there. */
export async function missingSets(
  context: StoreContext,
): Promise<readonly { readonly id: string; readonly createdAt: string }[]> {
  const { sets } = await readCatalog(context);
  const names = new Set(await namesIn(context.directory));
  return Object.entries(sets).flatMap(([id, { createdAt }]) => (names.has(id) ? [] : [{ id, createdAt }]));
}

async function entryOf(context: StoreContext, name: string, catalog: Catalog): Promise<SetEntry | undefined> {
  const path = join(context.directory, name);
  const unfinished = unfinishedOf(name);
  if (unfinished === undefined && name.startsWith('.')) return undefined;
  if (!(await isFolder(path))) return foreign(path, name, await sizeOf(path));
  if (unfinished !== undefined) return partial(path, unfinished.id, context);
  return isSetId(name) ? setEntry(context, name, path, catalog) : foreign(path, name, await folderBytes(path));
}

async function setEntry(context: StoreContext, id: string, path: string, catalog: Catalog): Promise<SetEntry> {
  const state = await readSetState(path);
  const learnt = { pinned: state.pinned, verified: state.verified, verifiedServices: verifiedServices(state) };
  try {
    const { manifest, trust, sha256 } = await readSet(context, id, catalog);
    const missing = (await missingArtifact(path, manifest)) ?? foundInvalid(state);
    return {
      ...learnt,
      id,
      path,
      status: missing === undefined ? 'complete' : 'damaged',
      ...(missing === undefined ? {} : { problem: { code: codes.incomplete, message: missing } }),
      manifest,
      trust,
      sha256,
      createdAt: manifest.createdAt,
      ageMs: context.now().getTime() - Date.parse(manifest.createdAt),
      bytes: ownArtifacts(manifest).reduce((sum, { cipher }) => sum + cipher.bytes, 0),
      services: servicesOf(manifest),
      needs: needsOf(manifest),
      encrypted: manifest.encrypted,
    };
  } catch (error) {
    if (!isDevstackError(error)) throw error;
    const problem = { code: error.code, message: error.message };
    return {
      ...learnt,
      id,
      path,
      status: statusOf(error.code),
      problem,
      bytes: await folderBytes(path),
      services: [],
      needs: [],
    };
  }
}

// By sizes alone: reading it all is what a verification is for.
async function missingArtifact(path: string, manifest: SetManifest): Promise<string | undefined> {
  for (const { file, cipher } of ownArtifacts(manifest)) {
    const size = await regularSize(join(path, file));
    if (size === undefined) return `${file} is missing.`;
    if (size !== cipher.bytes) return `${file} has ${String(size)} bytes instead of ${String(cipher.bytes)}.`;
  }
  return undefined;
}

// What a verification found to be broken stays broken until another one finds it whole: rotation must not count on it.
function foundInvalid({ verified }: SetState): string | undefined {
  return verified?.verdict === 'invalid' ? `The verification of ${verified.at} found it broken.` : undefined;
}

// A set whose base is gone or broken cannot be restored, however whole it is itself.
function withNeeds(entries: readonly SetEntry[]): readonly SetEntry[] {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const broken = (entry: SetEntry, seen: ReadonlySet<string>): string | undefined => {
    if (entry.status !== 'complete' && seen.size > 0) return entry.id;
    for (const need of entry.needs) {
      const holder = byId.get(need);
      if (holder === undefined || seen.has(need)) return need;
      const below = broken(holder, new Set([...seen, entry.id]));
      if (below !== undefined) return below;
    }
    return undefined;
  };
  return entries.map((entry) => {
    const need = entry.status === 'complete' ? broken(entry, new Set()) : undefined;
    if (need === undefined) return entry;
    const message = `It needs ${need}, which is not there or not complete.`;
    return { ...entry, status: 'damaged', problem: { code: codes.incomplete, message } };
  });
}

async function partial(path: string, id: string, context: StoreContext): Promise<SetEntry> {
  const createdAt = await begunAt(path);
  return {
    ...nothing,
    id,
    path,
    status: 'partial',
    problem: { code: codes.incomplete, message: 'It was never finished, or is being made now.' },
    ...(createdAt === undefined ? {} : { createdAt, ageMs: context.now().getTime() - Date.parse(createdAt) }),
    bytes: await folderBytes(path),
  };
}

async function begunAt(path: string): Promise<string | undefined> {
  try {
    const { createdAt } = JSON.parse((await readSmall(join(path, setFiles.draft))) ?? '{}') as { createdAt?: unknown };
    return typeof createdAt === 'string' && !Number.isNaN(Date.parse(createdAt)) ? createdAt : undefined;
  } catch {
    return undefined;
  }
}

function foreign(path: string, id: string, bytes: number): SetEntry {
  return {
    ...nothing,
    id,
    path,
    status: 'foreign',
    problem: { code: codes.notFound, message: 'It is not named as a backup is, and is left alone.' },
    bytes,
  };
}

const nothing = { services: [], needs: [], pinned: false, verifiedServices: [], verified: null } as const;

async function sizeOf(path: string): Promise<number> {
  return lstat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

function statusOf(code: string): SetStatus {
  switch (code) {
    case codes.formatNewer:
      return 'newer-format';
    case codes.manifestForged:
      return 'forged';
    case codes.replayed:
      return 'replayed';
    case codes.wrongPassphrase:
      return 'wrong-passphrase';
    default:
      return 'damaged';
  }
}

// By time, then by number. A set that is dated in the future was made with a wrong clock: its place is right before the set made after it.
function newestFirst(entries: readonly SetEntry[], now: Date): readonly SetEntry[] {
  const times = new Map<SetEntry, number>();
  let nextMade = now.getTime();
  for (const entry of entries.toSorted((a, b) => sequenceOf(b) - sequenceOf(a))) {
    const time = Date.parse(entry.createdAt ?? '1970-01-01');
    times.set(entry, time > now.getTime() ? nextMade : time);
    if (entry.manifest !== undefined && time <= now.getTime()) nextMade = time;
  }
  return entries.toSorted(
    (a, b) => (times.get(b) ?? 0) - (times.get(a) ?? 0) || sequenceOf(b) - sequenceOf(a) || (a.id < b.id ? -1 : 1),
  );
}

function sequenceOf({ manifest }: SetEntry): number {
  return manifest?.sequence ?? 0;
}
