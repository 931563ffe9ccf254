import { DatabaseBackupErrorCode } from '../errors.ts';
import type { BackupPart, EngineIdentity, FingerprintItem } from '../types.ts';
import { hasOwnRows, readCatalog, readDefinitions } from './catalog.ts';
import { counterStatements, readCounters } from './counters.ts';
import { dumpObjects } from './dump-program.ts';
import { mariadbFailure } from './failure.ts';
import { readFingerprint } from './fingerprint.ts';
import { floatRows, hasFloats } from './float-rows.ts';
import type { HeldDatabase, Moment, MomentOptions } from './moment.ts';
import { endMark, objectsMark } from './sections.ts';
import type { MariadbSession } from './session.ts';

const loading = [
  'SET NAMES utf8mb4;',
  "SET TIME_ZONE='+00:00', SQL_MODE='NO_AUTO_VALUE_ON_ZERO', FOREIGN_KEY_CHECKS=0, UNIQUE_CHECKS=0;",
  '/*M!100304 SET SYSTEM_VERSIONING_ALTER_HISTORY=KEEP */;',
  '/*M!101100 SET SYSTEM_VERSIONING_INSERT_HISTORY=1 */;',
];
const loaded = [
  '/*M!101100 SET SYSTEM_VERSIONING_INSERT_HISTORY=0 */;',
  '/*M!100304 SET SYSTEM_VERSIONING_ALTER_HISTORY=DEFAULT */;',
  'SET TIME_ZONE=DEFAULT, SQL_MODE=DEFAULT, FOREIGN_KEY_CHECKS=1, UNIQUE_CHECKS=1;',
];

/** A database as a part of a set. */
export function databasePart(
  moment: Moment,
  held: HeldDatabase,
  engine: EngineIdentity,
  options: MomentOptions,
): BackupPart {
  const { session } = moment;
  const { catalog, approximate } = held;
  let definitions: Promise<readonly FingerprintItem[]> | undefined;
  const define = (): Promise<readonly FingerprintItem[]> => (definitions ??= readDefinitions(session, catalog));
  async function* content(): AsyncGenerator<Uint8Array, void, undefined> {
    const before = await define();
    yield* held.dump.content();
    yield* rowsAndCounters(session, held, options);
    yield Buffer.from(`\n${objectsMark}`);
    yield* dumpObjects({ ...options, catalog });
    // The server keeps versions of rows, not of definitions: had one changed, the dump might hold the new one, or half of it.
    const after = await readCatalog(session, catalog.database);
    if (after === undefined || !isSame(before, await readDefinitions(session, after)))
      throw mariadbFailure(
        DatabaseBackupErrorCode.dumpFailed,
        `The definitions of database "${catalog.database}" were changed while it was dumped`,
        '',
        'Back up again when no migration is running.',
      );
    yield Buffer.from(endMark);
  }
  return {
    name: catalog.database,
    kind: 'mariadb-database',
    extension: 'sql',
    engine,
    consistency: approximate === undefined ? 'exact' : 'approximate',
    ...(approximate === undefined ? {} : { consistencyReason: approximate }),
    snapshotAt: moment.at,
    metadata: { characterSet: catalog.characterSet, collation: catalog.collation, comment: catalog.comment },
    restoreHint: [
      'The file creates the database and replaces its tables, views, routines, triggers and events:',
      `${engine.name === 'mariadb' ? 'mariadb' : 'mysql'} --binary-mode < FILE`,
      'It is whole when its last line is "-- DevStack: end of the dump".',
    ],
    fingerprint: async () => readFingerprint(session, catalog, held.counters, await define()),
    content,
  };
}

async function* rowsAndCounters(
  session: MariadbSession,
  { catalog, counters }: HeldDatabase,
  { transactional }: MomentOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const floats = catalog.tables.filter((table) => hasFloats(table) && hasOwnRows(table));
  const settable = new Set(catalog.tables.filter(({ engine }) => transactional.has(engine)).map(({ name }) => name));
  const statements = counterStatements(counters, await readCounters(session, catalog), settable);
  if (floats.length === 0 && statements.length === 0) return;
  yield Buffer.from(`\n${loading.join('\n')}\n`);
  for (const table of floats) yield* floatRows(session, catalog.database, table);
  yield Buffer.from([...statements, ...loaded, ''].join('\n'));
}

function isSame(before: readonly FingerprintItem[], after: readonly FingerprintItem[]): boolean {
  const text = (items: readonly FingerprintItem[]): string =>
    items
      .map(({ kind, name, checksum }) => JSON.stringify([kind, name, checksum]))
      .sort()
      .join('\n');
  return text(before) === text(after);
}
