import type { BackupStore, PartRecord, SetManifest } from '@devstack-core/backup-store';
import {
  physicalBaseKind,
  physicalManifestKind,
  physicalWalKind,
  type PhysicalParent,
} from '@devstack-core/database-backup';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { StackBackupErrorCode } from './errors.ts';
import { bytesOf, partOf } from './set-files.ts';

/** A set with PostgreSQL as a physical backup. */
export interface PhysicalSet {
  readonly manifest: SetManifest;
  /** The cluster, or what changed of it since the set before it in the chain. */
  readonly base: PartRecord;
  /** The list of its files. */
  readonly list: PartRecord;
  /** Archived log up to the set's making. */
  readonly wal: PartRecord | undefined;
  readonly chain: string;
  /** 0 for a full one. */
  readonly link: number;
  readonly systemIdentifier: string;
  /** Grows with each restore: what was written before one and after it are two histories. */
  readonly timeline: number;
  /** UTC: the earliest moment that a restore can lead to. */
  readonly endedAt: Date;
}

/** Undefined where the set holds dumps of PostgreSQL, or nothing of it. */
export function physicalOf(manifest: SetManifest): PhysicalSet | undefined {
  const of = (kind: string): PartRecord | undefined =>
    manifest.parts.find((part) => part.service === 'postgres' && part.kind === kind);
  const [base, list, wal] = [of(physicalBaseKind), of(physicalManifestKind), of(physicalWalKind)];
  if (base === undefined || list === undefined) return undefined;
  return {
    manifest,
    base,
    list,
    wal,
    chain: String(base.metadata?.['chain'] ?? ''),
    link: Number(base.metadata?.['link'] ?? 0),
    systemIdentifier: String(list.metadata?.['systemIdentifier'] ?? ''),
    timeline: Number(list.metadata?.['timeline'] ?? 1),
    endedAt: new Date(list.snapshotAt),
  };
}

type Readable = Pick<BackupStore, 'read'>;

/** The set's links, the full backup first. Throws BACKUP_INCOMPLETE where one is missing or another, NOT_PHYSICAL, what the store throws. */
export async function collectChain(store: Readable, id: string): Promise<readonly PhysicalSet[]> {
  let set = physicalOf(await store.read(id));
  if (set === undefined) throw notPhysical(id);
  const links = [set];
  while (set.link > 0) {
    const below: PhysicalSet = await linkBelow(store, set);
    links.unshift(below);
    set = below;
  }
  return links;
}

async function linkBelow(store: Readable, set: PhysicalSet): Promise<PhysicalSet> {
  const { manifest, base } = set;
  const parent = manifest.parent ?? '';
  const found = await read(store, parent);
  if (found === undefined) throw broken(set, `the backup ${parent} is not there`);
  const below = physicalOf(found);
  const isIt =
    below?.chain === set.chain &&
    below.link === set.link - 1 &&
    below.list.metadata?.['manifest'] === base.metadata?.['parentManifest'];
  if (below === undefined || !isIt) throw broken(set, `the backup ${parent} is not the one that it was built upon`);
  return below;
}

async function read(store: Readable, id: string): Promise<SetManifest | undefined> {
  try {
    return await store.read(id);
  } catch (error) {
    if (isDevstackError(error, 'BACKUP_NOT_FOUND')) return undefined;
    throw error;
  }
}

function broken({ manifest, link }: PhysicalSet, why: string): DevstackError {
  return new DevstackError({
    code: StackBackupErrorCode.incompleteSet,
    message: `PostgreSQL in the backup ${manifest.id} is increment ${String(link)} of a chain, and link ${String(link - 1)} is missing: ${why}.`,
    hint: 'Bring that set back (devstack backup undelete, or copy --from), or use another one: devstack backup list',
  });
}

export function notPhysical(id: string): DevstackError {
  return new DevstackError({
    code: StackBackupErrorCode.notPhysical,
    message: `The backup ${id} holds no physical backup of PostgreSQL.`,
    hint: 'A moment can be gone back to from a set of: devstack backup create --physical',
  });
}

/** The store's complete sets with a physical part, the newest first. */
export async function physicalSets(store: Pick<BackupStore, 'list'>): Promise<readonly PhysicalSet[]> {
  const found = (await store.list()).flatMap(({ status, trust, manifest }) =>
    status !== 'complete' || trust === 'unchecked' || manifest === undefined ? [] : (physicalOf(manifest) ?? []),
  );
  return found.toSorted((a, b) => b.manifest.sequence - a.manifest.sequence);
}

/** What an increment builds upon, or why there is nothing to build on. */
export async function physicalParent(
  store: Pick<BackupStore, 'read' | 'open'>,
  parent: string | undefined,
): Promise<{ readonly parent: PhysicalParent } | { readonly noParentReason: string }> {
  if (parent === undefined) return { noParentReason: 'a full one was asked for' };
  if (physicalOf(await store.read(parent)) === undefined)
    return { noParentReason: `the backup ${parent} holds no physical one to build on` };
  try {
    const { list, link, chain } = (await collectChain(store, parent)).at(-1) ?? missingLink();
    const { artifact } = partOf(await store.read(parent), 'postgres', list.name);
    return { parent: { manifest: await bytesOf(store.open(parent, artifact)), link, chain } };
  } catch (error) {
    if (!isDevstackError(error, StackBackupErrorCode.incompleteSet)) throw error;
    return { noParentReason: `the chain of the backup ${parent} is not whole` };
  }
}

function missingLink(): never {
  throw new Error('a chain has at least one link');
}
