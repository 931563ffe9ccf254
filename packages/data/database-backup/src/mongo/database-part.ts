import { DatabaseBackupErrorCode } from '../errors.ts';
import { Crc64, ecma } from '../redis/crc64.ts';
import type { BackupPart, Fingerprint, FingerprintItem } from '../types.ts';
import { encodeBlock, encodeEnd, encodePrelude, terminator } from './archive-format.ts';
import { definitionItems, DocumentSum, metadataOf, readCollections, type Collection } from './collections.ts';
import type { MongoEntry } from './connect.ts';
import { failureOf, mongoFailure } from './failure.ts';
import type { Stillness } from './hold-still.ts';

/** A database as a part of a set. */
export async function databasePart(entry: MongoEntry, stillness: Stillness, database: string): Promise<BackupPart> {
  const { engine, connection } = entry;
  const { at, approximate } = stillness;
  const collections = await readCollections(connection, database);
  let summed: Fingerprint | undefined;
  return {
    name: database,
    kind: 'mongodb-database',
    extension: 'archive',
    engine,
    consistency: approximate === undefined ? 'exact' : 'approximate',
    ...(approximate === undefined ? {} : { consistencyReason: approximate }),
    snapshotAt: at,
    metadata: { serverVersion: entry.serverVersion },
    restoreHint: [
      "The file has the layout of mongodump's archives. Into MongoDB:",
      `mongorestore --archive=FILE --nsInclude='${database}.*' --drop`,
      // Tried with mongorestore 100.
      ...(engine.name === 'ferretdb'
        ? [
            'FerretDB 1.24 refuses two options that mongorestore sends (bypassEmptyTsReplacement, ns): "devstack restore".',
          ]
        : []),
    ],
    fingerprint: async () => (summed = await readFingerprint(entry, database, collections, stillness)),
    content: () => dump(entry, database, collections, stillness, () => summed),
  };
}

/** Sums of all documents, options and indexes. Throws DUMP_FAILED. */
export async function readFingerprint(
  { connection }: Pick<MongoEntry, 'connection'>,
  database: string,
  collections: readonly Collection[],
  { snapshot }: Pick<Stillness, 'snapshot'> = {},
): Promise<Fingerprint> {
  const items: FingerprintItem[] = [];
  try {
    for (const collection of collections) {
      items.push(...definitionItems(collection));
      if (collection.type === 'view') continue;
      const sum = new DocumentSum();
      const documents = connection.db(database).collection(collection.name);
      for await (const document of documents.streamRaw(snapshot === undefined ? {} : { snapshot })) sum.add(document);
      items.push(sum.item(collection.name));
    }
  } catch (error) {
    throw failureOf(DatabaseBackupErrorCode.dumpFailed, `Database "${database}" could not be summed up`, error);
  }
  return { schema: 'devstack/fingerprint/1', items };
}

const chunkBytes = 256 * 1024;

async function* dump(
  { connection, serverVersion }: MongoEntry,
  database: string,
  collections: readonly Collection[],
  { snapshot, approximate }: Stillness,
  expected: () => Fingerprint | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield encodePrelude(
      serverVersion,
      collections.map((collection) => metadataOf(database, collection)),
    );
    for (const { name, type } of collections) {
      const crc = new Crc64(ecma);
      const sum = new DocumentSum();
      let waiting: Uint8Array[] = [encodeBlock(database, name)];
      let length = 0;
      let isEmpty = true;
      if (type !== 'view') {
        const documents = connection.db(database).collection(name);
        for await (const document of documents.streamRaw(snapshot === undefined ? {} : { snapshot })) {
          isEmpty = false;
          crc.update(document);
          sum.add(document);
          waiting.push(document);
          length += document.length;
          if (length < chunkBytes) continue;
          yield Buffer.concat(waiting);
          waiting = [];
          length = 0;
        }
      }
      // A block without a document would be none.
      waiting = isEmpty ? [] : [...waiting, terminator];
      yield Buffer.concat([...waiting, encodeEnd(database, name, crc.bytes())]);
      if (approximate === undefined && type !== 'view') refuseDifference(name, sum.item(name), expected());
    }
    // As nothing could be written meanwhile, nothing can have been made or dropped either: without a lock it can.
    const after = await readCollections(connection, database);
    if (JSON.stringify(after) !== JSON.stringify(collections))
      throw mongoFailure(
        DatabaseBackupErrorCode.dumpFailed,
        `Collections or indexes of database "${database}" were changed while it was dumped.`,
        'Back up again when nothing changes them.',
      );
  } catch (error) {
    throw failureOf(DatabaseBackupErrorCode.dumpFailed, `Database "${database}" could not be dumped`, error);
  }
}

// What was dumped is what was summed up, or one of both was not of the moment.
function refuseDifference(name: string, dumped: FingerprintItem, expected: Fingerprint | undefined): void {
  const summed = expected?.items.find((item) => item.kind === dumped.kind && item.name === name);
  if (summed === undefined || (summed.count === dumped.count && summed.checksum === dumped.checksum)) return;
  throw mongoFailure(
    DatabaseBackupErrorCode.dumpFailed,
    `Collection "${name}" was changed between its fingerprint and its dump, though its writers were held back.`,
  );
}
