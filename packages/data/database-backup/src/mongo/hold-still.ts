import type { MongoSnapshot } from '@devstack-core/database-connections';
import { isDevstackError } from '@devstack-core/errors';
import { holdSnapshot } from '../postgres/snapshot.ts';
import type { MongoEntry } from './connect.ts';
import type { MongoPlace } from './mongo-place.ts';

/** What dump and fingerprint see. */
export interface Stillness extends AsyncDisposable {
  readonly at: string;
  /** Why writers may come in between; undefined when they cannot. */
  readonly approximate: string | undefined;
  /** For every read. */
  readonly snapshot?: MongoSnapshot;
}

const lockTimeoutMs = 15_000;

/**
 * FerretDB has no snapshots, but the PostgreSQL below it has locks: with them its tables can be read and not written until the end of the
 * scope. A replica set of MongoDB has snapshots. Where there is neither, the reason is told.
 */
export async function holdStill(
  place: MongoPlace,
  { connection, engine, hasSnapshots }: MongoEntry,
  now: () => Date,
  signal: AbortSignal | undefined,
): Promise<Stillness> {
  if (hasSnapshots) {
    const snapshot = connection.snapshot();
    return {
      at: now().toISOString(),
      approximate: undefined,
      snapshot,
      [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
    };
  }
  if (engine.name === 'ferretdb' && place.postgres !== undefined) {
    try {
      const held = await holdSnapshot(place.postgres, place.postgres.databases?.[0] ?? 'ferretdb', {
        lock: 'share',
        lockTimeoutMs,
        ...(signal === undefined ? {} : { signal }),
      });
      return { at: held.takenAt, approximate: undefined, [Symbol.asyncDispose]: () => held[Symbol.asyncDispose]() };
    } catch (error) {
      if (!isDevstackError(error) || error.code === 'INTERRUPTED') throw error;
      return free(now, `Writers were not held back: ${error.message}`);
    }
  }
  return free(
    now,
    engine.name === 'ferretdb'
      ? 'Writers were not held back: the PostgreSQL of this FerretDB is not known.'
      : 'Writers were not held back: a single server of MongoDB has no snapshots.',
  );
}

function free(now: () => Date, approximate: string): Stillness {
  return { at: now().toISOString(), approximate, [Symbol.asyncDispose]: () => Promise.resolve() };
}
