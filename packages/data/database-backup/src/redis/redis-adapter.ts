import { DevstackError } from '@devstack-core/errors';
import { dumpFailed, engineMismatch, restoreFailed } from '../engine-failure.ts';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { BackupPart, EngineAdapter, EngineIdentity, StoredPart } from '../types.ts';
import { checkRedis } from './redis-check.ts';
import { KeysFingerprint } from './keys-fingerprint.ts';
import { verifiedRdb, readRdb } from './rdb-reader.ts';
import type { RedisPlace } from './redis-place.ts';
import { restoreKeys } from './redis-restore.ts';
import { openRedis, readSaved, saveRdb, sweepRdbFiles, type RedisMaster, type SavedRdb } from './redis-session.ts';
import { throwawayRedis } from './redis-throwaway.ts';
import { allSlots, SlotSet } from './slots.ts';

/**
 * Redis clusters and single servers: one RDB file for each master, all begun at once, read back by keys into any topology. Fingerprint and
 * content are of the same file. Users (ACL) are configuration and not in it. A restore into slots that hold keys needs `replace`, and
 * deletes those first.
 */
export const redisAdapter: EngineAdapter<RedisPlace> = {
  engines: ['redis'],
  kinds: ['redis-keys'],
  async *open(place, options = {}) {
    const { signal } = options;
    await using session = await openRedis(place, signal);
    const { masters, isCluster, uncovered } = session;
    if (uncovered.size > 0)
      throw incomplete(
        `Slots ${uncovered.ranges().join(', ')} of the Redis cluster are held by none of the nodes that were named.`,
      );
    if (masters.some(({ isMigrating }) => isMigrating))
      throw incomplete('Slots of the Redis cluster are on their way from one node to another.');
    const snapshotAt = (options.now ?? (() => new Date()))();
    await using files = new AsyncDisposableStack();
    const saved: { readonly master: RedisMaster; readonly file: SavedRdb }[] = [];
    try {
      for (const master of masters) await sweepRdbFiles(place, master);
      await Promise.all(
        masters
          .filter(({ slots }) => slots.size > 0)
          .map(async (master) => {
            saved.push({ master, file: files.use(await saveRdb(place, master, signal)) });
          }),
      );
    } catch (error) {
      throw dumpFailed('Redis could not be backed up', error);
    }
    saved.sort((a, b) => (a.master.slots.list()[0] ?? 0) - (b.master.slots.list()[0] ?? 0));
    for (const { master, file } of saved) yield await partOf({ place, master, file, isCluster, snapshotAt, signal });
  },
  async restore(place, part, content, options = {}) {
    if (part.engine.name !== 'redis') throw engineMismatch(part, 'Redis');
    await using session = await openRedis(place, options.signal);
    try {
      await restoreKeys(session, content, {
        slots: slotsOf(part),
        replace: options.replace ?? false,
        signal: options.signal,
      });
    } catch (error) {
      throw restoreFailed(`"${part.name}" could not be restored into Redis`, error);
    }
  },
  async fingerprint(place, part, options = {}) {
    const { signal } = options;
    await using session = await openRedis(place, signal);
    const libraries = part.metadata?.['libraries'];
    const slots = slotsOf(part);
    const fingerprint = new KeysFingerprint({
      slots,
      snapshotAt: new Date(part.snapshotAt),
      libraries: Array.isArray(libraries) ? (libraries as string[]) : [],
    });
    try {
      for (const master of session.masters) {
        if (master.slots.and(slots).length === 0) continue;
        await using file = await saveRdb(place, master, signal);
        for await (const record of readRdb(readSaved(place, file, signal))) fingerprint.add(record);
      }
    } catch (error) {
      throw dumpFailed(`The keys of "${part.name}" could not be read`, error);
    }
    return fingerprint.finish();
  },
  check: checkRedis,
  throwaway: throwawayRedis,
};

interface Snapshot {
  readonly place: RedisPlace;
  readonly master: RedisMaster;
  readonly file: SavedRdb;
  readonly isCluster: boolean;
  readonly snapshotAt: Date;
  readonly signal: AbortSignal | undefined;
}

async function partOf(snapshot: Snapshot): Promise<BackupPart> {
  const { place, master, file, isCluster, snapshotAt, signal } = snapshot;
  const { connection, slots } = master;
  const ranges = slots.ranges();
  const libraries = await connection.command('FUNCTION', 'LIST');
  const what = 'Redis could not be backed up';
  const name = isCluster ? `slots ${ranges.join(',')}` : 'keys';
  return {
    name,
    kind: 'redis-keys',
    extension: 'rdb',
    engine: await identityOf(place, master),
    consistency: 'exact',
    snapshotAt: snapshotAt.toISOString(),
    metadata: { slots: ranges, cluster: isCluster, libraries: libraryNames(libraries), sizeBytes: file.sizeBytes },
    restoreHint: [
      'redis-server --dir . --dbfilename dump.rdb --appendonly no',
      'Never start it with "appendonly yes" on this file alone: it would come up empty. Switch that on afterwards: redis-cli CONFIG SET appendonly yes',
    ],
    async fingerprint() {
      const fingerprint = new KeysFingerprint({ slots, snapshotAt });
      try {
        for await (const record of readRdb(readSaved(place, file, signal))) fingerprint.add(record);
      } catch (error) {
        throw dumpFailed(what, error);
      }
      return fingerprint.finish();
    },
    async *content() {
      try {
        yield* verifiedRdb(readSaved(place, file, signal));
      } catch (error) {
        throw dumpFailed(what, error);
      }
    },
  };
}

async function identityOf({ docker }: RedisPlace, { connection, node }: RedisMaster): Promise<EngineIdentity> {
  const info = String(await connection.command('INFO', 'server'));
  const { imageName, imageId } = await docker.inspectContainer(node.container);
  return {
    name: 'redis',
    version: /^redis_version:(\S+)/m.exec(info)?.[1] ?? '',
    image: { name: imageName, id: imageId },
  };
}

function libraryNames(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((library: unknown) => {
    const words = Array.isArray(library) ? library.map(String) : [];
    const name = words[words.indexOf('library_name') + 1];
    return name === undefined ? [] : [name];
  });
}

function slotsOf({ metadata }: StoredPart): SlotSet {
  const ranges = metadata?.['slots'];
  return SlotSet.of(Array.isArray(ranges) ? (ranges as string[]) : allSlots);
}

function incomplete(message: string): DevstackError {
  return new DevstackError({
    code: DatabaseBackupErrorCode.dumpFailed,
    message,
    hint: 'Bring the cluster in order first: devstack up',
  });
}
