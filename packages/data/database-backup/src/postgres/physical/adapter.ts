import type { EngineAdapter, Fingerprint, RestoreOptions, StoredPart } from '../../types.ts';
import { checkPostgresDatabase } from '../check.ts';
import { refusal } from '../failure.ts';
import { describeServer } from '../identity.ts';
import type { PostgresPlace } from '../place.ts';
import { baseKind, manifestKind, openPhysicalBackup, type PhysicalBackupOptions } from './backup.ts';
import { readBackupManifest } from './backup-manifest.ts';
import { fingerprintCluster } from './fingerprint-cluster.ts';
import {
  openRecovery,
  readManifest,
  recover,
  stageLink,
  stageWal,
  type RecoverOptions,
  type RecoveryPlace,
} from './recovery.ts';
import { hashFiles } from './wal-archive.ts';
import { isArchivedFile } from './wal-segments.ts';
import { walKind } from './wal-part.ts';

export type PostgresPhysicalOptions = Omit<PhysicalBackupOptions, 'signal' | 'now' | 'fingerprints'> &
  Pick<RecoverOptions, 'target'>;

/**
 * PostgreSQL, physically. Restores into its own throwaway places only: every link of a chain in order, then the log; the first fingerprint
 * or check of the cluster combines them, starts the server and ends the recovery.
 */
export function postgresPhysicalAdapter(
  options: PostgresPhysicalOptions = {},
): EngineAdapter<PostgresPlace | RecoveryPlace> {
  const recovered = new WeakMap<object, Promise<PostgresPlace>>();
  const server = (place: PostgresPlace, part: StoredPart, signal?: AbortSignal): Promise<PostgresPlace> => {
    if (!isRecovery(place)) return Promise.resolve(place);
    const found = recovered.get(place);
    if (found !== undefined) return found;
    const superuser = part.metadata?.['superuser'];
    const started = recover(place, {
      superuser: typeof superuser === 'string' ? superuser : place.username,
      ...(options.target === undefined ? {} : { target: options.target }),
      signal,
    });
    recovered.set(place, started);
    return started;
  };
  return {
    engines: ['postgresql'],
    kinds: [baseKind, manifestKind, walKind],
    open: (place, source = {}) => openPhysicalBackup(place, { ...options, ...source }),
    restore: async (place, part, content, { signal } = {}) => {
      if (!isRecovery(place) || recovered.has(place))
        throw refusal(
          'restore',
          'A physical backup is restored into a place of its own, all of it before it is asked for.',
        );
      if (part.kind === baseKind) await stageLink(place, linkOf(part), content, signal);
      else if (part.kind === walKind) await stageWal(place, content, signal);
      else await compareManifest(place, part, content);
    },
    fingerprint: async (place, part, restore) => fingerprintPart(place, part, restore, server),
    check: async (place, part, { signal } = {}) => {
      if (part.kind !== baseKind) return [];
      const started = await server(place, part, signal);
      const { databases } = await describeServer(started, { purpose: 'restore', signal });
      const problems: string[] = [];
      for (const { name } of databases) problems.push(...(await checkPostgresDatabase(started, name, { signal })));
      return problems;
    },
    throwaway: openRecovery,
  };
}

async function fingerprintPart(
  place: PostgresPlace,
  part: StoredPart,
  { signal }: RestoreOptions = {},
  server: (place: PostgresPlace, part: StoredPart, signal?: AbortSignal) => Promise<PostgresPlace>,
): Promise<Fingerprint> {
  if (part.kind === baseKind)
    return fingerprintCluster(await server(place, part, signal), { purpose: 'restore', signal });
  if (!isRecovery(place)) throw refusal('restore', `A running server has no part of kind ${part.kind}.`);
  if (part.kind === walKind) {
    const { stdout } = await place.docker.exec(place.container, ['ls', '-1', `${place.root}/wal`]);
    return hashFiles(place, `${place.root}/wal`, stdout.split('\n').filter(isArchivedFile).sort());
  }
  const manifest = readBackupManifest(await readManifest(place, linkOf(part)));
  return {
    schema: 'devstack/fingerprint/1',
    items: [{ kind: 'manifest', name: 'files', count: manifest?.files ?? 0, checksum: manifest?.digest ?? '' }],
  };
}

async function compareManifest(
  place: RecoveryPlace,
  part: StoredPart,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  if (!Buffer.concat(chunks).equals(await readManifest(place, linkOf(part))))
    throw refusal('restore', `The manifest beside link ${String(linkOf(part))} is not that of the backup.`);
}

function linkOf({ metadata }: StoredPart): number {
  const link = metadata?.['link'];
  if (typeof link !== 'number') throw refusal('restore', 'The part does not say which link of its chain it is.');
  return link;
}

function isRecovery(place: PostgresPlace): place is RecoveryPlace {
  return 'root' in place;
}
