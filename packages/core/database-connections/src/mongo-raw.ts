import type { ClientSession, Db, Document, MongoClient } from 'mongodb';
import type { Lifetime } from './lifetime.ts';

/** How raw documents are read. */
export interface MongoRawOptions {
  /** Documents in one answer of the server; its own choice by default. */
  readonly batchSize?: number;
  /** All reads of one snapshot see the same moment. */
  readonly snapshot?: MongoSnapshot;
}

/** One moment of a replica set; the server keeps it for five minutes unless told otherwise. FerretDB and single servers have none. */
export interface MongoSnapshot extends AsyncDisposable {
  /** Means something to the connection alone. */
  readonly session: unknown;
}

// The driver writes documents that are BSON already in this way; it has no other one, and exports the class to its own files only.
interface DocumentSequence {
  push(document: Document, bytes: Uint8Array): number;
}
interface CommandsModule {
  readonly DocumentSequence: new (field: string) => DocumentSequence;
}

/** Inserts documents as they are: the same bytes, whatever JavaScript could make of them. All or an error. */
export async function insertRaw(db: Db, collection: string, documents: readonly Uint8Array[]): Promise<void> {
  // @ts-expect-error the driver declares no types for its own files
  const commands: unknown = await import('mongodb/lib/cmap/commands.js');
  const { DocumentSequence } = (commands as { default: CommandsModule }).default;
  const sequence = new DocumentSequence('documents');
  for (const bytes of documents) sequence.push({}, bytes);
  const answer = await db.command({ insert: collection, documents: sequence, ordered: true });
  const { n, writeErrors } = answer as {
    readonly n?: number;
    readonly writeErrors?: readonly { readonly code?: number; readonly errmsg?: string }[];
  };
  if (n === documents.length && writeErrors === undefined) return;
  const [first] = writeErrors ?? [];
  const why = first?.errmsg ?? `${String(n)} of ${String(documents.length)} documents were inserted`;
  throw Object.assign(new Error(why), { code: first?.code ?? 0 });
}

/** All documents of a collection as the server sent them. */
export async function* streamRaw(
  lifetime: Lifetime<MongoClient>,
  database: string,
  collection: string,
  { batchSize, snapshot }: MongoRawOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const cursor = lifetime.driver
    .db(database)
    .collection(collection)
    .find(
      {},
      {
        raw: true,
        ...(batchSize === undefined ? {} : { batchSize }),
        ...(snapshot === undefined ? {} : { session: snapshot.session as ClientSession }),
      },
    );
  try {
    for (;;) {
      const first: unknown = await lifetime.run(async () => cursor.next());
      if (first === null) return;
      yield first as Uint8Array;
      // What came in the same answer needs no waiting.
      yield* cursor.readBufferedDocuments() as unknown as Uint8Array[];
    }
  } finally {
    await lifetime.run(async () => cursor.close()).catch(() => undefined);
  }
}
