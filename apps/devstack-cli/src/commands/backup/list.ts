import type { BackupStore, SetEntry } from '@devstack-core/backup-store';
import { bytesText, physicalOf } from '@devstack-core/stack-backup';
import { openStoreToLook } from '../../backup/store.ts';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { table } from '../../output/table.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const { project } = await context.stack();
  return listing(await openStoreToLook(args, context, project.id));
}

/** The sets of a store, for machines and for people. */
export async function listing(store: BackupStore): Promise<Outcome> {
  const sets = await store.list();
  return {
    data: { schema: 'devstack/backup-list/1', directory: store.directory, sets: sets.map(withoutManifest) },
    text:
      sets.length === 0
        ? `No backups in ${store.directory}. Next: devstack backup create\n`
        : `${store.directory}\n\n${table(['set', 'age', 'size', 'kind', 'state', 'verified', 'content'], sets.map(row))}`,
  };
}

function withoutManifest({ manifest, ...rest }: SetEntry): Record<string, unknown> {
  return {
    ...rest,
    kind: manifest?.kind ?? null,
    physical: isPhysical(manifest),
    parts: manifest?.parts.length ?? null,
  };
}

function isPhysical(manifest: SetEntry['manifest']): boolean {
  return manifest !== undefined && physicalOf(manifest) !== undefined;
}

/** One set as a row of a table. */
export function row(set: SetEntry): readonly string[] {
  const state = set.status === 'complete' ? (set.trust === 'unchecked' ? 'unchecked' : 'complete') : set.status;
  return [
    set.id,
    set.ageMs === undefined ? '' : ageText(set.ageMs),
    bytesText(set.bytes),
    `${set.manifest?.kind ?? ''}${isPhysical(set.manifest) ? ', physical' : ''}${set.encrypted === false ? ', NOT ENCRYPTED' : ''}`,
    `${state}${set.pinned ? ', pinned' : ''}`,
    set.verified === null ? 'no' : `${set.verified.verdict}, level ${String(set.verified.level)}`,
    set.problem?.message ?? set.services.join(' '),
  ];
}

/** For people: `3 h`, `12 days`. */
export function ageText(ageMs: number): string {
  const minutes = Math.round(ageMs / 60_000);
  if (minutes < 120) return `${String(minutes)} min`;
  const hours = Math.round(minutes / 60);
  return hours < 72 ? `${String(hours)} h` : `${String(Math.round(hours / 24))} days`;
}
