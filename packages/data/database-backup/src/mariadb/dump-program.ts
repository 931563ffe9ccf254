import type { RunningProgram } from '@devstack-core/docker-engine';
import { DatabaseBackupErrorCode } from '../errors.ts';
import { execSupervised } from '../supervised-program.ts';
import type { Catalog } from './catalog.ts';
import { mariadbFailure } from './failure.ts';
import { hasFloats } from './float-rows.ts';
import type { MariadbPlace } from './place.ts';
import type { MariadbPrograms } from './programs.ts';

export interface DumpProgramOptions {
  readonly place: MariadbPlace;
  readonly programs: MariadbPrograms;
  readonly login: string;
  readonly catalog: Catalog;
  readonly signal?: AbortSignal;
}

/** The dump of a database's tables: its process is there, its transaction begins when it is told to. */
export interface TableDump extends AsyncDisposable {
  /** Lets it begin; resolves when its transaction has begun, or the program has ended. */
  begin(): Promise<void>;
  /** What it writes. Throws DUMP_FAILED unless the program ended well and wrote its end mark. */
  content(): AsyncIterable<Uint8Array>;
}

const common = [
  '--single-transaction',
  '--skip-lock-tables',
  // A table whose default takes from a sequence cannot be loaded under a lock that leaves the sequence out.
  '--skip-add-locks',
  '--hex-blob',
  '--skip-dump-date',
  '--default-character-set=utf8mb4',
  '--max-allowed-packet=1G',
  '--loose-set-gtid-purged=OFF',
  '--loose-column-statistics=0',
];

/** Starts the program up to the point where it would log in. The signal cuts it off. */
export async function prepareTableDump(options: DumpProgramOptions): Promise<TableDump> {
  const { place, programs, login, catalog, signal } = options;
  const { database } = catalog;
  const go = Promise.withResolvers<undefined>();
  const cut = new AbortController();
  const running = await execSupervised(
    place,
    [
      programs.dump,
      `--defaults-extra-file=${login}`,
      ...common,
      '--skip-triggers',
      ...(catalog.tables.some(({ isVersioned }) => isVersioned) ? ['--dump-history'] : []),
      ...catalog.views.map((view) => `--ignore-table=${database}.${view}`),
      ...catalog.tables.filter(hasFloats).map(({ name }) => `--ignore-table-data=${database}.${name}`),
      '--databases',
      '--',
      database,
    ],
    { begin: go.promise, signal: signal === undefined ? cut.signal : AbortSignal.any([signal, cut.signal]) },
  );
  const chunks = running.stdout[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  return {
    begin: async () => {
      go.resolve(undefined);
      // It says which database is current after its transaction has begun, and not before.
      while (!Buffer.concat(first).includes('-- Current Database: ')) {
        const next = await chunks.next();
        if (next.done === true) return;
        first.push(next.value);
      }
    },
    content: () => checked(`The dump of database "${database}"`, running, joined(first, chunks)),
    [Symbol.asyncDispose]: async () => {
      // Either ends its input, and thereby the program.
      go.resolve(undefined);
      cut.abort();
      await running.ended.catch(() => undefined);
    },
  };
}

/** Views, routines, triggers and events: text without rows, and without a moment, as the server keeps no older versions of them. */
export async function* dumpObjects(options: DumpProgramOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const { place, programs, login, catalog, signal } = options;
  const { database, views } = catalog;
  const run = async (argv: readonly string[]): Promise<RunningProgram> =>
    execSupervised(place, [programs.dump, `--defaults-extra-file=${login}`, ...common, '--no-data', ...argv], {
      signal,
    });
  const what = `The dump of what belongs to database "${database}" besides its tables`;
  // Functions before views, which may call them.
  const other = await run([
    '--no-create-info',
    '--routines',
    '--events',
    '--triggers',
    ...views.map((view) => `--ignore-table=${database}.${view}`),
    '--',
    database,
  ]);
  yield* checked(what, other, other.stdout);
  if (views.length === 0) return;
  // In an order in which each finds those that it reads: a stand-in, as the program makes them, does not take every definition.
  const last = await run(['--skip-triggers', '--', database, ...views]);
  yield* checked(what, last, last.stdout);
}

async function* checked(
  what: string,
  running: RunningProgram,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let tail = Buffer.alloc(0);
  for await (const chunk of chunks) {
    tail = Buffer.concat([tail, chunk.subarray(-64)]).subarray(-64);
    yield chunk;
  }
  const { exitCode, stderr } = await running.ended;
  if (exitCode !== 0)
    throw mariadbFailure(
      DatabaseBackupErrorCode.dumpFailed,
      `${what} failed with exit code ${String(exitCode)}`,
      stderr,
    );
  if (!tail.toString('latin1').trimEnd().endsWith('-- Dump completed'))
    throw mariadbFailure(DatabaseBackupErrorCode.dumpFailed, `${what} ended without its end mark`, stderr);
}

async function* joined(
  first: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
