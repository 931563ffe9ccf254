import { sweepCredentialFiles } from '../credential-file.ts';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { BackupPart, EngineAdapter, EngineIdentity, Fingerprint, StoredPart } from '../types.ts';
import { readCatalog, type Catalog } from './catalog.ts';
import { checkDatabase } from './check.ts';
import { readCounters } from './counters.ts';
import { inDependencyOrder } from './dependency-order.ts';
import { databasePart } from './database-part.ts';
import { mariadbFailure } from './failure.ts';
import { readFingerprint } from './fingerprint.ts';
import { accountsFingerprint, readAccounts, renderAccounts } from './globals.ts';
import { putLogin } from './login.ts';
import { holdMoment } from './moment.ts';
import { systemDatabases, workPrefix, type MariadbPlace } from './place.ts';
import { identifier } from './quote.ts';
import { findPrograms } from './programs.ts';
import { restoreDatabase } from './restore.ts';
import { restoreAccounts } from './restore-globals.ts';
import { identify, refuseOtherEngine } from './server.ts';
import { openSession, type MariadbSession, type SessionOptions } from './session.ts';
import { mariadbThrowaway } from './throwaway.ts';

/** At most so many databases share one moment: each has a waiting dump program. */
const perMoment = 16;

/** MariaDB, and MySQL by the same programs under its names. */
export const mariadbAdapter: EngineAdapter<MariadbPlace> = {
  engines: ['mariadb', 'mysql'],
  // Rights may be given to a table only that is there.
  kinds: ['mariadb-database', 'mariadb-globals'],
  async *open(place, { signal, now = () => new Date() } = {}): AsyncGenerator<BackupPart, void, undefined> {
    await sweepCredentialFiles(place);
    await using entry = await enter(place, signal, DatabaseBackupErrorCode.dumpFailed);
    const { session, engine, options } = entry;
    const isMariadb = engine.name === 'mariadb';
    const transactional = await transactionalEngines(session);
    const catalogs = await catalogsOf(session, place);
    for (let at = 0; at < catalogs.length; at += perMoment) {
      const momentOptions = { ...options, catalogs: catalogs.slice(at, at + perMoment), transactional, isMariadb };
      await using moment = await holdMoment(momentOptions);
      for (const database of moment.databases) {
        await using held = database;
        yield databasePart(moment, held, engine, momentOptions);
      }
    }
    yield await accountsPart(session, place, engine, now());
  },
  async restore(place, part, content, { signal } = {}): Promise<void> {
    await sweepCredentialFiles(place);
    // Its session is not cut off by an abort: what was begun is taken back first.
    await using entry = await enter(place, undefined, DatabaseBackupErrorCode.restoreFailed);
    refuseOtherEngine(part, entry.engine);
    refuseSystemDatabase(part);
    const options = {
      ...entry.options,
      isMariadb: entry.engine.name === 'mariadb',
      ...(signal === undefined ? {} : { signal }),
    };
    if (part.kind === 'mariadb-globals') await restoreAccounts(options, entry.session, content);
    else await restoreDatabase(options, entry.session, part, content);
  },
  async fingerprint(place, part, { signal } = {}): Promise<Fingerprint> {
    await using entry = await enter(place, signal, DatabaseBackupErrorCode.placeUnusable);
    const { session, engine } = entry;
    if (part.kind === 'mariadb-globals')
      return accountsFingerprint(await readAccounts(session, place, engine.name === 'mariadb'));
    const catalog = await readCatalog(session, part.name);
    if (catalog === undefined) return { schema: 'devstack/fingerprint/1', items: [] };
    await session.query(
      'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nSTART TRANSACTION WITH CONSISTENT SNAPSHOT',
    );
    return await readFingerprint(session, catalog, await readCounters(session, catalog));
  },
  async check(place, part, { signal } = {}): Promise<readonly string[]> {
    await using entry = await enter(place, signal, DatabaseBackupErrorCode.placeUnusable);
    if (part.kind === 'mariadb-globals') return [];
    return await checkDatabase(entry.options, entry.session, part.name);
  },
  throwaway: mariadbThrowaway,
};

interface Entry extends AsyncDisposable {
  readonly session: MariadbSession;
  readonly engine: EngineIdentity;
  readonly options: Omit<SessionOptions, 'code'>;
}

async function enter(
  place: MariadbPlace,
  signal: AbortSignal | undefined,
  code: SessionOptions['code'],
): Promise<Entry> {
  await using made = new AsyncDisposableStack();
  const programs = await findPrograms(place);
  const file = await putLogin(place);
  // Where it cannot be removed the container is gone, or the next run sweeps it; either way there is more to be told than that.
  made.defer(() => file[Symbol.asyncDispose]().then(undefined, () => undefined));
  const login = file.path;
  const options = { place, programs, login, ...(signal === undefined ? {} : { signal }) };
  const session = made.use(await openSession({ ...options, code }));
  const engine = await identify(place, session);
  const owned = made.move();
  return { session, engine, options, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function transactionalEngines(session: MariadbSession): Promise<ReadonlySet<string>> {
  const rows = await session.query("SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'");
  return new Set(rows.map(([engine = '']) => engine));
}

async function catalogsOf(session: MariadbSession, place: MariadbPlace): Promise<readonly Catalog[]> {
  const rows = await session.query('SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME');
  const present = rows.map(([name = '']) => name).filter((name) => !isSystem(name));
  const missing = place.databases?.find((name) => !present.includes(name));
  if (missing !== undefined)
    throw mariadbFailure(
      DatabaseBackupErrorCode.dumpFailed,
      `There is no database "${missing}"`,
      '',
      `There are: ${present.join(', ')}`,
    );
  const wanted = present.filter(
    (name) => (place.databases?.includes(name) ?? true) && !(place.excludeDatabases?.includes(name) ?? false),
  );
  const catalogs: Catalog[] = [];
  for (const name of wanted) {
    const catalog = await readCatalog(session, name);
    if (catalog !== undefined) catalogs.push(catalog);
  }
  return inOrder(catalogs);
}

// A database comes after those that its views read, and they are restored in this order.
function inOrder(catalogs: readonly Catalog[]): readonly Catalog[] {
  const mentions = new Map(
    catalogs.map(({ database, mentions }) => [database, [...mentions].map((name) => identifier(name)).join(' ')]),
  );
  const order = inDependencyOrder(mentions);
  return catalogs.toSorted((a, b) => order.indexOf(a.database) - order.indexOf(b.database));
}

async function accountsPart(
  session: MariadbSession,
  place: MariadbPlace,
  engine: EngineIdentity,
  at: Date,
): Promise<BackupPart> {
  const accounts = await readAccounts(session, place, engine.name === 'mariadb');
  return {
    name: 'globals',
    kind: 'mariadb-globals',
    extension: 'sql',
    engine,
    consistency: 'exact',
    snapshotAt: at.toISOString(),
    isSecret: true,
    restoreHint: [
      'Users and roles with the hashes of their passwords, and what they may; load it after the databases:',
      `${engine.name === 'mariadb' ? 'mariadb' : 'mysql'} --force mysql < FILE`,
    ],
    fingerprint: () => Promise.resolve(accountsFingerprint(accounts)),
    content: () => bytesOf(renderAccounts(accounts).reveal()),
  };
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(Buffer.from(text, 'utf8'));
}

function refuseSystemDatabase(part: StoredPart): void {
  if (part.kind === 'mariadb-globals' || !isSystem(part.name)) return;
  throw mariadbFailure(
    DatabaseBackupErrorCode.restoreFailed,
    `"${part.name}" is a database of the system`,
    '',
    'Nothing was touched.',
  );
}

function isSystem(name: string): boolean {
  return systemDatabases.includes(name.toLowerCase()) || name.startsWith(workPrefix);
}
