import type { Db, MongoClient } from 'mongodb';
import type { Classify, Failure, ForeignError } from './failure.ts';
import { Lifetime } from './lifetime.ts';
import { insertRaw, streamRaw, type MongoRawOptions, type MongoSnapshot } from './mongo-raw.ts';
import { passwordOf, tlsOptions, type Connection, type ConnectionOptions } from './options.ts';

/** A document, as the server keeps it. */
export type MongoDocument = Record<string, unknown>;

/** How a search is cut and ordered. */
export interface MongoFindOptions {
  readonly limit?: number;
  readonly sort?: Readonly<Record<string, 1 | -1>>;
  readonly projection?: MongoDocument;
}

/** One collection. Filters and updates are the server's own. */
export interface MongoCollection {
  insertOne(document: MongoDocument): Promise<void>;
  insertMany(documents: readonly MongoDocument[]): Promise<void>;
  findOne(filter?: MongoDocument): Promise<MongoDocument | undefined>;
  find(filter?: MongoDocument, options?: MongoFindOptions): Promise<MongoDocument[]>;
  /** One document after another, however many there are. */
  stream(filter?: MongoDocument, options?: MongoFindOptions): AsyncIterable<MongoDocument>;
  updateOne(
    filter: MongoDocument,
    update: MongoDocument,
    options?: { readonly upsert?: boolean },
  ): Promise<{ matched: number; modified: number }>;
  deleteMany(filter: MongoDocument): Promise<number>;
  countDocuments(filter?: MongoDocument): Promise<number>;
  /** Every document as BSON, byte for byte as the server keeps it. */
  streamRaw(options?: MongoRawOptions): AsyncIterable<Uint8Array>;
  /** Documents that are BSON already; the same bytes go to the server. 48 MB in one call at most. */
  insertRaw(documents: readonly Uint8Array[]): Promise<void>;
}

/** One database. */
export interface MongoDatabase {
  command(document: MongoDocument, secrets?: readonly unknown[]): Promise<MongoDocument>;
  /** The same in canonical Extended JSON (v2), in and out: every number keeps its type. */
  commandJson(document: string): Promise<string>;
  collection(name: string): MongoCollection;
  listCollections(): Promise<string[]>;
}

/** A connection to MongoDB or FerretDB. */
export interface MongoConnection extends Connection {
  /** A database by name; the connection's own by default. */
  db(name?: string): MongoDatabase;
  /** A moment that raw reads can share; the first of them chooses it. */
  snapshot(): MongoSnapshot;
}

/** Options of `connectMongo`. */
export interface MongoOptions extends ConnectionOptions {
  /** The database that the user was made in; `admin` by default. */
  readonly authSource?: string;
}

/** Connects to one MongoDB or FerretDB server (SCRAM-SHA-256), without sessions, retried writes or transactions: FerretDB has none. */
export async function connectMongo(options: MongoOptions): Promise<MongoConnection> {
  const {
    host,
    port,
    username,
    database = 'test',
    authSource = 'admin',
    connectTimeoutMs = 5000,
    commandTimeoutMs,
    signal,
  } = options;
  const password = await passwordOf(options.password);
  // Through `default`: a bundle of ES modules does not give the names of a CommonJS module.
  const { default: driver } = await import('mongodb');
  const tls = tlsOptions(options);
  const firstFailure = Promise.withResolvers<never>();
  firstFailure.promise.catch(() => undefined);
  const lifetime = await Lifetime.open<MongoClient>({
    target: { engine: 'MongoDB', host, port, username, password },
    classify,
    connectTimeoutMs,
    commandTimeoutMs,
    signal,
    create: () => {
      const client = new driver.MongoClient(`mongodb://${host.includes(':') ? `[${host}]` : host}:${String(port)}/`, {
        auth: { username, password: password.reveal() },
        authMechanism: 'SCRAM-SHA-256',
        authSource,
        directConnection: true,
        retryWrites: false,
        retryReads: false,
        maxPoolSize: 4,
        appName: 'devstack',
        // A socket that is being opened cannot be ended from outside; it ends by itself in this time.
        serverSelectionTimeoutMS: connectTimeoutMs + 1000,
        connectTimeoutMS: connectTimeoutMs,
        ...(tls === undefined ? {} : { tls: true, ...tls }),
      });
      // The driver goes on trying until its own time is up; the first failure is the answer.
      client.on('serverHeartbeatFailed', ({ failure }) => {
        firstFailure.reject(failure);
      });
      return client;
    },
    login: async (client) => Promise.race([client.connect(), firstFailure.promise]),
    leave: async (client) => client.close(),
    destroy: (client) => {
      void client.close(true).catch(() => undefined);
    },
  });
  return {
    db: (name = database) => databaseOf(lifetime, name),
    snapshot: () => {
      const session = lifetime.driver.startSession({ snapshot: true });
      return { session, [Symbol.asyncDispose]: async () => session.endSession() };
    },
    close: async () => lifetime.close(),
    [Symbol.asyncDispose]: async () => lifetime.close(),
  };
}

function databaseOf(lifetime: Lifetime<MongoClient>, name: string): MongoDatabase {
  const on = async <T>(work: (db: Db) => Promise<T>, secrets: readonly unknown[] = []): Promise<T> =>
    lifetime.run(async (client) => work(client.db(name)), secrets);
  return {
    command: async (document, secrets) => on(async (db) => db.command(document), secrets),
    commandJson: async (document) => {
      const { EJSON } = (await import('mongodb')).default.BSON;
      return on(async (db) => {
        const answer = await db.command(EJSON.parse(document, { relaxed: false }) as MongoDocument, {
          promoteValues: false,
          promoteLongs: false,
        });
        return EJSON.stringify(answer, { relaxed: false });
      });
    },
    listCollections: async () =>
      on(async (db) =>
        (await db.listCollections({}, { nameOnly: true }).toArray()).map((collection) => collection.name),
      ),
    collection: (collection) => ({
      insertOne: async (document) =>
        on(async (db) => {
          await db.collection(collection).insertOne({ ...document });
        }),
      insertMany: async (documents) =>
        on(async (db) => {
          await db.collection(collection).insertMany(documents.map((document) => ({ ...document })));
        }),
      findOne: async (filter = {}) => on(async (db) => (await db.collection(collection).findOne(filter)) ?? undefined),
      find: async (filter = {}, options = {}) =>
        on(async (db) => db.collection(collection).find(filter, options).toArray()),
      stream: (filter = {}, options = {}) =>
        streamOf(lifetime, lifetime.driver.db(name).collection(collection).find(filter, options)),
      updateOne: async (filter, update, options = {}) =>
        on(async (db) => {
          const { matchedCount, modifiedCount } = await db.collection(collection).updateOne(filter, update, options);
          return { matched: matchedCount, modified: modifiedCount };
        }),
      deleteMany: async (filter) => on(async (db) => (await db.collection(collection).deleteMany(filter)).deletedCount),
      countDocuments: async (filter = {}) => on(async (db) => db.collection(collection).countDocuments(filter)),
      streamRaw: (options = {}) => streamRaw(lifetime, name, collection, options),
      insertRaw: async (documents) => on(async (db) => insertRaw(db, collection, documents)),
    }),
  };
}

async function* streamOf(
  lifetime: Lifetime<MongoClient>,
  cursor: { next(): Promise<MongoDocument | null>; close(): Promise<void> },
): AsyncGenerator<MongoDocument, void, undefined> {
  try {
    for (;;) {
      const document = await lifetime.run(async () => cursor.next());
      if (document === null) return;
      yield document;
    }
  } finally {
    await lifetime.run(async () => cursor.close()).catch(() => undefined);
  }
}

const classify: Classify = (error) => {
  const { code, name, message } = error;
  if (code === 18 || code === 11 || code === 8000)
    return { kind: 'authenticationFailed', serverCode: String(code), text: message };
  if (typeof code === 'number') return { kind: 'database', serverCode: String(code), text: message };
  if (name === 'MongoMissingCredentialsError' || /authentication fail|SASL|SCRAM|server signature/i.test(message))
    return { kind: 'authenticationFailed' };
  if (name === 'MongoServerSelectionError' || name.startsWith('MongoNetwork')) return networkFailure(error);
  if (name === 'MongoParseError' || name === 'MongoCompatibilityError')
    return { kind: 'protocolMismatch', text: message };
  return undefined;
};

// The driver wraps the socket's error, more than once, and puts its code into the text.
function networkFailure(error: ForeignError): Failure {
  const texts: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    texts.push(`${code ?? ''} ${at.message}`);
    if (at.cause instanceof AggregateError) texts.push(...at.cause.errors.map(String));
  }
  const text = texts.join(' ');
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return { kind: 'hostUnknown' };
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH/.test(text)) return { kind: 'refused', text: 'ECONNREFUSED' };
  if (/ERR_TLS|ERR_SSL|SELF_SIGNED|self-signed|certificate|UNABLE_TO|EPROTO|altnames|SSL routines|TLS/.test(text))
    return { kind: 'tlsFailed', text: error.message.split('\n')[0] ?? '' };
  if (/timed out|ETIMEDOUT/.test(text)) return { kind: 'timedOut' };
  if (/message|BSON|opcode|header|size/i.test(text) && !text.includes('closed')) return { kind: 'protocolMismatch' };
  return { kind: 'lost' };
}
