import type { MongoConnection } from '@devstack-core/database-connections';
import type { JsonObject } from './collections.ts';

const batchBytes = 8 * 1024 ** 2;
const batchDocuments = 1000;

/** Documents on their way into a collection, a few at a time. */
export class DocumentBatch {
  readonly #connection: MongoConnection;
  readonly #database: string;
  readonly #collection: string;
  #documents: Uint8Array[] = [];
  #length = 0;

  constructor(connection: MongoConnection, database: string, collection: string) {
    this.#connection = connection;
    this.#database = database;
    this.#collection = collection;
  }

  async add(document: Uint8Array): Promise<void> {
    this.#documents.push(document);
    this.#length += document.length;
    if (this.#length >= batchBytes || this.#documents.length >= batchDocuments) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#documents.length === 0) return;
    await this.#connection.db(this.#database).collection(this.#collection).insertRaw(this.#documents);
    this.#documents = [];
    this.#length = 0;
  }
}

export async function createCollection(
  connection: MongoConnection,
  database: string,
  name: string,
  options: JsonObject,
): Promise<void> {
  await connection.db(database).commandJson(JSON.stringify({ create: name, ...options }));
}

/** The one on _id is there. `v` and `ns` are the server's own words, which FerretDB does not take back. */
export async function createIndexes(
  connection: MongoConnection,
  database: string,
  name: string,
  indexes: readonly JsonObject[],
): Promise<void> {
  const wanted = indexes
    .filter((index) => index['name'] !== '_id_')
    .map((index) => Object.fromEntries(Object.entries(index).filter(([field]) => field !== 'v' && field !== 'ns')));
  if (wanted.length > 0)
    await connection.db(database).commandJson(JSON.stringify({ createIndexes: name, indexes: wanted }));
}

/** Makes `to` what `from` is. */
export async function copyCollection(
  connection: MongoConnection,
  database: string,
  { from, to, options, indexes }: { from: string; to: string; options: JsonObject; indexes: readonly JsonObject[] },
): Promise<void> {
  await createCollection(connection, database, to, options);
  const batch = new DocumentBatch(connection, database, to);
  for await (const document of connection.db(database).collection(from).streamRaw()) await batch.add(document);
  await batch.flush();
  await createIndexes(connection, database, to, indexes);
}
