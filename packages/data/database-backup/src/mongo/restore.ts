import type { MongoConnection } from '@devstack-core/database-connections';
import { abortReason, isDevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { CollectionInfo } from './archive-format.ts';
import { readArchive } from './archive-reader.ts';
import { listOf, objectOf, readCollections } from './collections.ts';
import { createCollection, createIndexes, DocumentBatch } from './copy-collection.ts';
import { failureOf, mongoFailure } from './failure.ts';
import * as swap from './swap.ts';

/**
 * Loads an archive into collections of other names and gives them their own when all of it is there. Whatever fails, here or because this
 * process dies, the old collections are put back: at once, or by the next restore.
 */
export async function restoreMongoDatabase(
  place: swap.SwapPlace,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { connection, database } = place;
  const what = `Database "${database}" could not be restored`;
  try {
    await swap.undoEarlier(place);
    const collections = await load(connection, database, content, signal);
    await swap.swapIn(place, collections);
  } catch (error) {
    const failure = failureOf(DatabaseBackupErrorCode.restoreFailed, what, error);
    try {
      await swap.undoEarlier(place);
    } catch (why) {
      throw mongoFailure(
        DatabaseBackupErrorCode.restoreFailed,
        `${what}, nor what it held before be put back yet: ${why instanceof Error ? why.message : ''}`,
        'Look whether the service is healthy and restore again: that begins with putting back what was there.',
        failure,
      );
    }
    throw failure;
  }
}

async function load(
  connection: MongoConnection,
  database: string,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<readonly swap.NewCollection[]> {
  const fresh = new Map<string, swap.NewCollection & { readonly batch: DocumentBatch }>();
  const target = (name: string): swap.NewCollection & { readonly batch: DocumentBatch } => {
    const found = fresh.get(name);
    if (found !== undefined) return found;
    throw mongoFailure(
      DatabaseBackupErrorCode.restoreFailed,
      `The archive has no collection "${name}" in its prelude.`,
    );
  };
  for await (const event of readArchive(content)) {
    if (signal?.aborted === true) throw abortReason(signal, `The restore of database "${database}"`) ?? signal.reason;
    if (event.type === 'prelude') {
      for (const [index, info] of event.collections.entries()) {
        refuseOtherDatabase(info.database, database);
        const temporary = swap.temporaryName(index);
        const collection = { ...describe(info), temporary, batch: new DocumentBatch(connection, database, temporary) };
        fresh.set(info.name, collection);
        if (collection.type !== 'view') await createCollection(connection, database, temporary, collection.options);
      }
    } else if (event.type === 'document') {
      await target(event.collection).batch.add(event.bytes);
    } else {
      const { temporary, indexes, type, batch } = target(event.collection);
      await batch.flush();
      if (type !== 'view') await createIndexes(connection, database, temporary, indexes);
    }
  }
  return [...fresh.values()];
}

function refuseOtherDatabase(found: string, database: string): void {
  if (found === database) return;
  throw mongoFailure(
    DatabaseBackupErrorCode.restoreFailed,
    `The archive is of database "${found}", not of "${database}".`,
  );
}

function describe({ name, type, metadata }: CollectionInfo): Omit<swap.NewCollection, 'temporary'> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(metadata);
  } catch {
    throw mongoFailure(DatabaseBackupErrorCode.restoreFailed, `The archive's metadata of "${name}" cannot be read.`);
  }
  const { options, indexes } = objectOf(parsed);
  return { name, type, options: objectOf(options), indexes: listOf(indexes).map(objectOf) };
}

/** What the engine itself finds wrong: one sentence each. */
export async function checkMongoDatabase(
  connection: MongoConnection,
  database: string,
  isFerretdb: boolean,
): Promise<readonly string[]> {
  const problems: string[] = [];
  const db = connection.db(database);
  for (const { name, type, indexes } of await readCollections(connection, database)) {
    if (type === 'view') continue;
    try {
      const result = await db.command({ validate: name, full: true });
      if (result['valid'] !== true) problems.push(`Collection ${name} is not valid: ${String(result['errors'])}.`);
      if (result['nIndexes'] !== indexes.length)
        problems.push(
          `Collection ${name} has ${String(result['nIndexes'])} indexes and lists ${String(indexes.length)}.`,
        );
      const count = await db.collection(name).countDocuments();
      // FerretDB says what PostgreSQL estimates.
      if (!isFerretdb && result['nrecords'] !== count)
        problems.push(`Collection ${name} has ${String(result['nrecords'])} documents and gives ${String(count)}.`);
    } catch (error) {
      if (!isDevstackError(error, 'DATABASE_ERROR')) throw error;
      problems.push(`Collection ${name} could not be validated: ${error.message}`);
    }
  }
  if (await swap.isInterrupted(connection, database))
    problems.push(`A restore of database ${database} was interrupted; restoring again puts back what was there.`);
  return problems;
}
