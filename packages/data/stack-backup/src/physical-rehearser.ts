import type { BackupStore } from '@devstack-core/backup-store';
import { defaultParsers, parserFor, type Parser } from '@devstack-core/backup-verification';
import {
  physicalBaseKind,
  postgresPhysicalAdapter,
  rehearser,
  type Rehearsal,
  type Rehearser,
} from '@devstack-core/database-backup';
import { collectChain, type PhysicalSet } from './physical-set.ts';
import { partOf } from './set-files.ts';

type Readable = Pick<BackupStore, 'read' | 'open'>;

/** Restores a physical set for a trial: the links that it builds upon come out of their own sets first. */
export function physicalRehearser(store: Readable, id: string): Rehearser {
  const own = rehearser(postgresPhysicalAdapter());
  return {
    ...own,
    rehearse: async (options): Promise<Rehearsal> => {
      const rehearsal = await own.rehearse(options);
      return {
        ...rehearsal,
        restore: async (part, content, restore = {}) => {
          if (part.kind === physicalBaseKind)
            for (const set of (await collectChain(store, id)).slice(0, -1))
              await rehearsal.restore({ ...set.base, service: 'postgres' }, linkOf(store, set, restore), restore);
          await rehearsal.restore(part, content, restore);
        },
      };
    },
  };
}

/** Reads the links that a physical set builds upon as well: without one of them it is worth nothing. */
export function physicalParser(store: Readable, id: string): Parser {
  return async (content, part) => {
    const tar = parserFor({ kind: '', extension: 'tar' }, defaultParsers);
    const links = (await collectChain(store, id)).slice(0, -1);
    const parsed = await tar?.(content, part);
    for (const set of links) await tar?.(linkOf(store, set), set.base);
    const chain = links.length === 0 ? '' : ` upon ${links.map(({ manifest }) => manifest.id).join(', ')}`;
    return { format: `PostgreSQL's files${chain}`, entries: parsed?.entries ?? 0 };
  };
}

/** The content of a link, from its own set. */
export function linkOf(
  store: Readable,
  { manifest, base }: PhysicalSet,
  options: { readonly signal?: AbortSignal } = {},
): AsyncIterable<Uint8Array> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  return store.open(manifest.id, partOf(manifest, 'postgres', base.name).artifact, signal);
}
