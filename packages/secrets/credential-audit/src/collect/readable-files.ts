import type { FindingLocation } from '@devstack-core/audit-report';
import type { Place } from '../ledger.ts';
import { cannotCheck, reasonOf, throwIfAborted, type CollectContext } from './context.ts';
import { searchFile, walk, type WalkedEntry } from './walk.ts';
import type { Surface } from '../surfaces.ts';

/** A folder (or file) that a container mounts, as this machine sees it. */
export interface MountedTree {
  readonly surface: Surface;
  readonly subject: string;
  readonly path: string;
  readonly location: FindingLocation | undefined;
  /** Told of every entry, e.g. to judge its mode. */
  readonly onEntry?: (entry: WalkedEntry) => void;
}

/** Searches the files of a tree that every user of a container could read: the others are as secret as they should be. */
export async function searchReadableFiles(context: CollectContext, tree: MountedTree): Promise<void> {
  const { ledger, limits } = context;
  const { surface, subject } = tree;
  const faults = new Set<string>();
  let leftBytes = limits.volumeBytes;
  const entries = walk(tree.path, {
    limits,
    onCut: (what) => faults.add(`cut ${what}`),
    onError: (error) => faults.add(reasonOf(error)),
  });
  for await (const entry of entries) {
    throwIfAborted(context.signal);
    tree.onEntry?.(entry);
    const place: Place = { surface, subject, at: entry.name === '' ? 'itself' : entry.name, location: tree.location };
    // Names can be listed by whoever can enter.
    ledger.text({ ...place, at: `name of ${entry.name}` }, entry.name);
    if (entry.isFolder || !entry.isReadableByOthers || entry.sizeBytes === 0) continue;
    const limit = Math.min(limits.fileBytes, leftBytes);
    if (entry.sizeBytes > limit)
      faults.add(`${entry.name} cut after ${String(limit)} of ${String(entry.sizeBytes)} bytes`);
    try {
      leftBytes -= await searchFile({ ledger, place, limitBytes: limit }, entry.path);
    } catch (error) {
      faults.add(`${entry.name}: ${reasonOf(error)}`);
    }
  }
  if (faults.size === 0) ledger.checked(surface, subject);
  else cannotCheck(context, surface, subject, [...faults].slice(0, 5).join('; '));
}
