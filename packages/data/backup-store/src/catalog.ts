import { writeFileDurable } from '@devstack-core/durable-files';
import { layout, type StoreContext } from './context.ts';
import { readSmall } from './files.ts';
import type { SetManifest } from './manifest.ts';

/** What a store remembers of a set, beside the set itself. */
export interface CatalogEntry {
  readonly sequence: number;
  readonly revision: number;
  readonly createdAt: string;
  /** Of the manifest's canonical text. */
  readonly sha256: string;
}

/**
 * The memory of a store: which sets it has seen, so that an older one in the place of a newer one is told, and the last sequence number. Derived
 * from the manifests, and made anew where it is lost: then only what the manifests say is known.
 */
export interface Catalog {
  readonly schema: 'devstack/backup-catalog/1';
  readonly lastSequence: number;
  readonly sets: Readonly<Record<string, CatalogEntry>>;
}

/** Reads the catalog; an empty one where there is none, or none that can be read. */
export async function readCatalog({ directory }: StoreContext): Promise<Catalog> {
  const text = await readSmall(layout.catalog(directory));
  try {
    const value: unknown = text === undefined ? undefined : JSON.parse(text);
    if (isCatalog(value)) return value;
  } catch {
    // It is derived: made anew by the next write.
  }
  return { schema: 'devstack/backup-catalog/1', lastSequence: 0, sets: {} };
}

/** Under the store's lock: changes the catalog. */
export async function updateCatalog(context: StoreContext, change: (catalog: Catalog) => Catalog): Promise<void> {
  const next = change(await readCatalog(context));
  await writeFileDurable(layout.catalog(context.directory), `${JSON.stringify(next, undefined, 2)}\n`);
}

/** A catalog that knows of a set. */
export function withSet(catalog: Catalog, manifest: SetManifest, sha256: string): Catalog {
  const { id, sequence, revision, createdAt } = manifest;
  return {
    ...catalog,
    lastSequence: Math.max(catalog.lastSequence, sequence),
    sets: { ...catalog.sets, [id]: { sequence, revision, createdAt, sha256 } },
  };
}

/** A catalog that has forgotten a set, but not its number. */
export function withoutSet(catalog: Catalog, id: string): Catalog {
  return { ...catalog, sets: Object.fromEntries(Object.entries(catalog.sets).filter(([known]) => known !== id)) };
}

function isCatalog(value: unknown): value is Catalog {
  return (
    typeof value === 'object' &&
    value !== null &&
    'lastSequence' in value &&
    Number.isSafeInteger(value.lastSequence) &&
    'sets' in value &&
    typeof value.sets === 'object' &&
    value.sets !== null &&
    Object.values(value.sets).every(isEntry)
  );
}

function isEntry(value: unknown): value is CatalogEntry {
  return (
    typeof value === 'object' &&
    value !== null &&
    'sequence' in value &&
    typeof value.sequence === 'number' &&
    'revision' in value &&
    typeof value.revision === 'number' &&
    'createdAt' in value &&
    typeof value.createdAt === 'string' &&
    'sha256' in value &&
    typeof value.sha256 === 'string'
  );
}
