import { isDevstackError } from '@devstack-core/errors';
import { DatabaseBackupErrorCode } from '../errors.ts';
import { hasOwnRows, type Catalog } from './catalog.ts';
import { readCounters, type Counters } from './counters.ts';
import { prepareTableDump, type TableDump } from './dump-program.ts';
import { qualified } from './quote.ts';
import { openSession, type MariadbSession, type SessionOptions } from './session.ts';

/** One moment of several databases: their dumps, and the session that sums them up, see the same rows. */
export interface Moment extends AsyncDisposable {
  /** In a transaction of that moment. */
  readonly session: MariadbSession;
  /** UTC, by the server's clock. */
  readonly at: string;
  readonly databases: readonly HeldDatabase[];
}

/** One of them; its locks are gone at the end of the scope. */
export interface HeldDatabase extends AsyncDisposable {
  readonly catalog: Catalog;
  readonly counters: Counters;
  readonly dump: TableDump;
  /** Why its dump and its sums may differ; undefined when they cannot. */
  readonly approximate: string | undefined;
}

export interface MomentOptions extends Omit<SessionOptions, 'code'> {
  readonly catalogs: readonly Catalog[];
  /** Engines that keep versions of rows. */
  readonly transactional: ReadonlySet<string>;
  readonly isMariadb: boolean;
}

/** Tables that a transaction gives no moment of. */
export function versionlessTables({ tables }: Catalog, transactional: ReadonlySet<string>): readonly string[] {
  return tables.filter((table) => !transactional.has(table.engine) && hasOwnRows(table)).map(({ name }) => name);
}

/**
 * Holds all commits back for as long as every dump's transaction and one more take to begin, and keeps writers out of the tables whose
 * engine has no transactions until their database is done with. A lock that the server refuses makes the moment approximate.
 */
export async function holdMoment(options: MomentOptions): Promise<Moment> {
  const { catalogs, signal } = options;
  const aborting = signal === undefined ? {} : { signal };
  await using made = new AsyncDisposableStack();
  const open = (): Promise<MariadbSession> => openSession({ ...options, code: DatabaseBackupErrorCode.dumpFailed });
  const session = made.use(await open());
  const dumps = new Map<string, TableDump>();
  const locks = new Map<string, MariadbSession>();
  for (const catalog of catalogs) {
    dumps.set(catalog.database, made.use(await prepareTableDump({ ...options, ...aborting, catalog })));
    if (versionlessTables(catalog, options.transactional).length > 0)
      locks.set(catalog.database, made.use(await open()));
  }
  const refusals = new Map<string, string>();
  const counters = new Map<string, Counters>();
  const takeMoment = async (): Promise<string> => {
    // In this order: the lock is given back first.
    await using _patience = await allowPauses(open);
    for (const catalog of catalogs) {
      const refusal = await lockVersionless(catalog, options.transactional, locks.get(catalog.database));
      if (refusal !== undefined) refusals.set(catalog.database, refusal);
    }
    await using lock = await lockCommits(open, options.isMariadb);
    await session.query(
      'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nSTART TRANSACTION WITH CONSISTENT SNAPSHOT',
    );
    const begun = Promise.all([...dumps.values()].map((dump) => dump.begin()));
    begun.catch(() => undefined);
    await begun;
    const moment = await clock(session);
    // Held until now, or not to be relied on.
    const refusal = await lock.release();
    if (refusal !== undefined) for (const { database } of catalogs) refusals.set(database, refusal);
    return moment;
  };
  const at = await takeMoment();
  // Later than the rows is as good, earlier would not be; and who counts a sequence on holds it while commits are held back.
  for (const catalog of catalogs) counters.set(catalog.database, await readCounters(session, catalog));
  const owned = made.move();
  return {
    session,
    at,
    databases: catalogs.map((catalog) => held(catalog, counters, dumps, locks, refusals.get(catalog.database))),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function held(
  catalog: Catalog,
  counters: ReadonlyMap<string, Counters>,
  dumps: ReadonlyMap<string, TableDump>,
  locks: ReadonlyMap<string, MariadbSession>,
  approximate: string | undefined,
): HeldDatabase {
  const { database } = catalog;
  const dump = dumps.get(database);
  const counted = counters.get(database);
  if (dump === undefined || counted === undefined) throw new Error(`no dump of ${database} was prepared`);
  return {
    catalog,
    counters: counted,
    dump,
    approximate,
    [Symbol.asyncDispose]: async () => {
      await dump[Symbol.asyncDispose]();
      await locks.get(database)?.[Symbol.asyncDispose]();
    },
  };
}

async function clock(session: MariadbSession): Promise<string> {
  const [row] = await session.query("SELECT DATE_FORMAT(UTC_TIMESTAMP(3), '%Y-%m-%dT%T.%f')");
  return `${(row?.[0] ?? '').slice(0, 23)}Z`;
}

const lockWithinSeconds = '10';

// Before commits are held back: a writer that has such a table and waits to commit would keep it. And by this statement, which lets no
// writer queue up for the table itself, where it would keep readers waiting behind it.
async function lockVersionless(
  catalog: Catalog,
  transactional: ReadonlySet<string>,
  session: MariadbSession | undefined,
): Promise<string | undefined> {
  const names = versionlessTables(catalog, transactional);
  const list = names.map((name) => qualified(catalog.database, name)).join(', ');
  const refusal = await refusalOf(
    session,
    `SET SESSION lock_wait_timeout=${lockWithinSeconds};\nFLUSH TABLES ${list} WITH READ LOCK`,
  );
  return refusal === undefined
    ? undefined
    : `Tables without transactions (${names.join(', ')}) could not be locked: ${refusal}`;
}

interface CommitLock extends AsyncDisposable {
  /** Why it was not held all the time. */
  release(): Promise<string | undefined>;
}

// The server takes it back by itself when the session says nothing for a minute, and when the session's program is gone.
async function lockCommits(open: () => Promise<MariadbSession>, isMariadb: boolean): Promise<CommitLock> {
  const session = await open();
  const [begin, end] = isMariadb
    ? ['BACKUP STAGE START;\nBACKUP STAGE BLOCK_COMMIT', 'BACKUP STAGE END']
    : ['FLUSH TABLES WITH READ LOCK', 'UNLOCK TABLES'];
  const refused = await refusalOf(
    session,
    `SET SESSION wait_timeout=60;\nSET SESSION lock_wait_timeout=${lockWithinSeconds};\n${begin}`,
  );
  const release = async (): Promise<string | undefined> => {
    const refusal = refused ?? (await refusalOf(session, end));
    return refusal === undefined ? undefined : `Commits could not be held back for a moment: ${refusal}`;
  };
  return { release, [Symbol.asyncDispose]: () => session[Symbol.asyncDispose]() };
}

async function refusalOf(session: MariadbSession | undefined, statement: string): Promise<string | undefined> {
  try {
    await session?.query(statement);
    return undefined;
  } catch (error) {
    if (!isDevstackError(error, DatabaseBackupErrorCode.dumpFailed)) throw error;
    return error.message.replace(/^[^:]*: /, '');
  }
}

// A dump waits while others are read and summed up, and the server gives up on a client that takes nothing for a minute. Sessions take
// this value over when they begin, so it goes back at once. Where it may not be set, such a wait ends in DUMP_FAILED.
async function allowPauses(open: () => Promise<MariadbSession>): Promise<AsyncDisposable> {
  const session = await open();
  const [row] = await session.query('SELECT @@GLOBAL.net_write_timeout');
  const before = Number(row?.[0]);
  const isSet = before < 3600 && (await refusalOf(session, 'SET GLOBAL net_write_timeout=86400')) === undefined;
  return {
    [Symbol.asyncDispose]: async () => {
      // A server that is gone has forgotten it.
      if (isSet) await session.query(`SET GLOBAL net_write_timeout=${String(before)}`).catch(() => undefined);
      await session[Symbol.asyncDispose]();
    },
  };
}
