import { DatabaseBackupErrorCode } from '../errors.ts';
import type { BackupPart, EngineAdapter, Fingerprint } from '../types.ts';
import { readCollections } from './collections.ts';
import { enterMongo, refuseOtherEngine, type MongoEntry } from './connect.ts';
import { databasePart, readFingerprint } from './database-part.ts';
import { asFailure, mongoFailure } from './failure.ts';
import { holdStill } from './hold-still.ts';
import { systemDatabases, type MongoPlace } from './mongo-place.ts';
import { checkMongoDatabase, restoreMongoDatabase } from './restore.ts';
import { mongoThrowaway } from './throwaway.ts';

/** MongoDB and FerretDB, through the driver. */
export const mongoAdapter: EngineAdapter<MongoPlace> = {
  engines: ['mongodb', 'ferretdb'],
  kinds: ['mongodb-database'],
  async *open(place, { signal, now = () => new Date() } = {}): AsyncGenerator<BackupPart, void, undefined> {
    await using entry = await enterMongo(place, signal);
    const databases = await databasesOf(entry, place);
    if (databases.length === 0) return;
    await using stillness = await holdStill(place, entry, now, signal);
    for (const database of databases) {
      yield await asFailure(DatabaseBackupErrorCode.dumpFailed, `Database "${database}" could not be read`, () =>
        databasePart(entry, stillness, database),
      );
    }
  },
  async restore(place, part, content, { signal } = {}): Promise<void> {
    // Not cut off by an abort: what was begun is taken back first.
    await using entry = await enterMongo(place);
    refuseOtherEngine(part, entry.engine);
    if (isSystem(part.name))
      throw mongoFailure(
        DatabaseBackupErrorCode.restoreFailed,
        `"${part.name}" is a database of the system.`,
        'Nothing was touched.',
      );
    const { connection, engine } = entry;
    const isFerretdb = engine.name === 'ferretdb';
    await restoreMongoDatabase({ connection, database: part.name, isFerretdb }, content, signal);
  },
  async fingerprint(place, part, { signal } = {}): Promise<Fingerprint> {
    await using entry = await enterMongo(place, signal);
    return await readFingerprint(entry, part.name, await readCollections(entry.connection, part.name));
  },
  async check(place, part, { signal } = {}): Promise<readonly string[]> {
    await using entry = await enterMongo(place, signal);
    return await checkMongoDatabase(entry.connection, part.name, entry.engine.name === 'ferretdb');
  },
  throwaway: mongoThrowaway,
};

async function databasesOf({ connection }: MongoEntry, place: MongoPlace): Promise<readonly string[]> {
  const { databases } = await connection.db('admin').command({ listDatabases: 1, nameOnly: true });
  const present = (Array.isArray(databases) ? (databases as readonly { readonly name: string }[]) : [])
    .map(({ name }) => name)
    .filter((name) => !isSystem(name))
    .sort();
  const missing = place.databases?.find((name) => !present.includes(name));
  if (missing !== undefined)
    throw mongoFailure(
      DatabaseBackupErrorCode.dumpFailed,
      `There is no database "${missing}".`,
      `There are: ${present.join(', ')}`,
    );
  return present.filter(
    (name) => (place.databases?.includes(name) ?? true) && !(place.excludeDatabases?.includes(name) ?? false),
  );
}

// Databases of set-up users are left behind by a start that was killed.
function isSystem(name: string): boolean {
  return systemDatabases.includes(name) || name.startsWith('devstack_setup_');
}
