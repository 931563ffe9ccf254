import type { Fingerprint, FingerprintItem } from '../types.ts';
import { DatabaseBackupErrorCode } from '../errors.ts';
import { hasOwnRows, readDefinitions, type Catalog } from './catalog.ts';
import { checksumQuery } from './checksum-sql.ts';
import { counterItems, type Counters } from './counters.ts';
import { mariadbFailure } from './failure.ts';
import type { MariadbSession } from './session.ts';

/** Definitions, counters and the sums of all rows, as the session's transaction sees them. Throws DUMP_FAILED. */
export async function readFingerprint(
  session: MariadbSession,
  catalog: Catalog,
  counters: Counters,
  definitions?: readonly FingerprintItem[],
): Promise<Fingerprint> {
  const items = [...(definitions ?? (await readDefinitions(session, catalog))), ...counterItems(counters)];
  for (const table of catalog.tables) {
    if (!hasOwnRows(table)) continue;
    // Back to the savepoint, the table's structure is free again for whoever wants to change it.
    const rows = await session.query(
      `SAVEPOINT devstack;\n${checksumQuery(catalog.database, table)};\nROLLBACK TO SAVEPOINT devstack`,
    );
    const [count = '', sum = '', failed = ''] = rows[0] ?? [];
    if (failed !== '0')
      throw mariadbFailure(
        DatabaseBackupErrorCode.dumpFailed,
        `${failed} rows of table "${table.name}" of database "${catalog.database}" cannot be summed up`,
      );
    items.push({ kind: 'table', name: table.name, count: Number(count), checksum: BigInt(sum).toString(16) });
  }
  return { schema: 'devstack/fingerprint/1', items };
}
