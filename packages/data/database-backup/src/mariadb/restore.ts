import type { ExecStreamOptions } from '@devstack-core/docker-engine';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { StoredPart } from '../types.ts';
import { readCatalog } from './catalog.ts';
import { dumpObjects } from './dump-program.ts';
import { mariadbFailure } from './failure.ts';
import { identifier, literal, qualified } from './quote.ts';
import { DumpSections, stubComment } from './sections.ts';
import { openSession, type MariadbSession, type SessionOptions } from './session.ts';
import * as swap from './swap.ts';

export interface RestoreDatabaseOptions extends Omit<SessionOptions, 'code'> {
  readonly isMariadb: boolean;
}

type Options = RestoreDatabaseOptions;

/**
 * Loads a dump into a database of another name and moves its tables in when all of it is there; the old ones are moved aside before and
 * dropped at the very end. Whatever fails, here or because this process dies, the old content is put back: at once, or by the next restore.
 */
export async function restoreDatabase(
  options: Options,
  session: MariadbSession,
  part: StoredPart,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { name: database } = part;
  await using sections = new DumpSections(database, content);
  await undoEarlier(options, session, database);
  try {
    await using _room = await allowLongPackets(options, session);
    await load(options, session, part, sections);
    await swapIn(options, session, part, sections.objects);
  } catch (error) {
    try {
      // Not cut off by an abort; the session may have ended with what failed.
      await using another = await openSession({
        ...withoutSignal(options),
        code: DatabaseBackupErrorCode.restoreFailed,
      });
      await undoEarlier(options, another, database);
    } catch (why) {
      throw mariadbFailure(
        DatabaseBackupErrorCode.restoreFailed,
        `Database "${database}" could not be restored, nor what it held before be put back yet`,
        `ERROR ${why instanceof Error ? why.message : ''} ${error instanceof Error ? error.message : ''}`,
        'Look whether the service is healthy and restore again: that begins with putting back what was there.',
      );
    }
    throw error;
  }
  await dropWork(session, swap.workDatabases(database));
}

async function load(
  options: Options,
  session: MariadbSession,
  { name: database, metadata = {} }: StoredPart,
  sections: DumpSections,
): Promise<void> {
  const { fresh } = swap.workDatabases(database);
  const { isMariadb } = options;
  await session.query(
    `CREATE DATABASE ${identifier(fresh)}${properties(metadata, isMariadb)};\nCREATE DATABASE IF NOT EXISTS ${identifier(database)}${properties({ ...metadata, comment: stubComment }, isMariadb)}`,
  );
  await runClient(options, fresh, sections.tables(), `Database "${database}" could not be loaded`);
}

async function swapIn(
  options: Options,
  session: MariadbSession,
  { name: database, metadata = {} }: StoredPart,
  objects: Buffer,
): Promise<void> {
  const work = swap.workDatabases(database);
  const old = await readCatalog(session, database);
  if (old === undefined) throw new Error(`database ${database} is gone`);
  const names = await swap.movableNames(session, database);
  const state = {
    tables: names.length,
    characterSet: old.characterSet,
    collation: old.collation,
    comment: old.comment,
    objects: await collect(dumpObjects({ ...options, catalog: old })),
  };
  const referrers = await swap.readReferrers(session, database);
  await session.query(`CREATE DATABASE ${identifier(work.aside)}`);
  await swap.writeJournal(session, work, state);
  await swap.dropObjects(session, old);
  await swap.moveTables(session, [
    { from: database, to: work.aside, names },
    { from: work.fresh, to: database, names: await swap.movableNames(session, work.fresh) },
  ]);
  await session.query(`ALTER DATABASE ${identifier(database)}${properties(metadata, options.isMariadb)}`);
  await runClient(
    options,
    database,
    [objects],
    `Views, routines, triggers and events of database "${database}" could not be made`,
  );
  await swap.redirect(session, referrers);
  await swap.markDone(session, work);
}

/** Takes back, or finishes, what a restore that was killed or has failed left of a database. */
async function undoEarlier(options: Options, session: MariadbSession, database: string): Promise<void> {
  const work = swap.workDatabases(database);
  if ((await swap.phaseOf(session, work)) === 'ready') {
    const state = await swap.readJournal(session, work);
    const referrers = await swap.readReferrers(session, database);
    const now = await readCatalog(session, database);
    if (now !== undefined) await swap.dropObjects(session, now);
    const aside = await swap.movableNames(session, work.aside);
    const fresh = await swap.movableNames(session, work.fresh);
    // All tables moved in one step, or none has yet.
    if (state.tables > 0 ? aside.length > 0 : fresh.length === 0)
      await swap.moveTables(session, [
        { from: database, to: work.fresh, names: await swap.movableNames(session, database) },
        { from: work.aside, to: database, names: aside },
      ]);
    await session.query(`ALTER DATABASE ${identifier(database)}${properties({ ...state }, options.isMariadb)}`);
    await runClient(
      withoutSignal(options),
      database,
      [state.objects],
      `The old content of database "${database}" could not be put back`,
    );
    await swap.redirect(session, referrers);
    await swap.markDone(session, work);
  }
  await dropWork(session, work);
  await dropStubs(session, database);
}

async function dropWork(session: MariadbSession, { fresh, aside }: swap.WorkDatabases): Promise<void> {
  await session.query(
    `SET SESSION foreign_key_checks=0;\nDROP DATABASE IF EXISTS ${identifier(fresh)};\nDROP DATABASE IF EXISTS ${identifier(aside)}`,
  );
}

async function runClient(
  { place, programs, login, signal }: Options,
  database: string,
  input: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  what: string,
): Promise<void> {
  const options: ExecStreamOptions = {
    stdin: asStream(input),
    ...(signal === undefined ? {} : { signal }),
  };
  const running = await place.docker.execStream(
    place.container,
    [
      programs.client,
      `--defaults-extra-file=${login}`,
      // Without it the client has commands of its own, such as one that runs programs.
      '--binary-mode',
      '--default-character-set=utf8mb4',
      '--max-allowed-packet=1G',
      '--',
      database,
    ],
    options,
  );
  for await (const _ of running.stdout);
  const { exitCode, stderr } = await running.ended;
  if (exitCode !== 0) throw mariadbFailure(DatabaseBackupErrorCode.restoreFailed, what, stderr);
}

async function* asStream(
  input: AsyncIterable<Uint8Array> | readonly Uint8Array[],
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* input;
}

function properties(metadata: Readonly<Record<string, unknown>>, isMariadb: boolean): string {
  const { characterSet, collation, comment } = metadata;
  const word = (value: unknown): value is string => typeof value === 'string' && /^\w+$/.test(value);
  return [
    word(characterSet) ? ` CHARACTER SET ${characterSet}` : '',
    word(collation) ? ` COLLATE ${collation}` : '',
    isMariadb && typeof comment === 'string' ? ` COMMENT '${comment.replaceAll(/['\\]/g, '$&$&')}'` : '',
  ].join('');
}

// What loading makes under the final name: the database where there was none, and sequences that default values name.
async function dropStubs(session: MariadbSession, database: string): Promise<void> {
  const catalog = await readCatalog(session, database);
  if (catalog === undefined) return;
  if (catalog.comment === stubComment) {
    await session.query(`DROP DATABASE ${identifier(database)}`);
    return;
  }
  const stubs = await session.query(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${literal(database)} AND TABLE_COMMENT = ${literal(stubComment)}`,
  );
  for (const [name = ''] of stubs) await session.query(`DROP SEQUENCE ${qualified(database, name)}`);
}

// A row that the dump writes in hexadecimal is twice as long as it was when the server took it.
async function allowLongPackets(options: Options, session: MariadbSession): Promise<AsyncDisposable> {
  const wanted = 1024 ** 3;
  const [row] = await session.query('SELECT @@GLOBAL.max_allowed_packet');
  const before = Number(row?.[0]);
  if (before >= wanted) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  // Refused, it ends the session; rows that are too long are then refused by name.
  const setter = await openSession({ ...withoutSignal(options), code: DatabaseBackupErrorCode.restoreFailed });
  const set = (bytes: number): Promise<unknown> =>
    setter.query(`SET GLOBAL max_allowed_packet=${String(bytes)}`).catch(() => undefined);
  await set(wanted);
  return {
    [Symbol.asyncDispose]: async () => {
      await set(before);
      await setter[Symbol.asyncDispose]();
    },
  };
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks));
}

function withoutSignal({ place, programs, login, isMariadb }: Options): Options {
  return { place, programs, login, isMariadb };
}
