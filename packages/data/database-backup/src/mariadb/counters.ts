import type { FingerprintItem } from '../types.ts';
import type { Catalog } from './catalog.ts';
import { identifier, literal, qualified } from './quote.ts';
import type { MariadbSession } from './session.ts';

/** The next numbers of a database at one moment. No transaction holds them: they move while a dump is at work. */
export interface Counters {
  /** The next AUTO_INCREMENT by table; tables that have not counted yet are left out. */
  readonly tables: ReadonlyMap<string, bigint>;
  readonly sequences: ReadonlyMap<string, { readonly next: bigint; readonly isExhausted: boolean }>;
}

export async function readCounters(session: MariadbSession, { database, sequences }: Catalog): Promise<Counters> {
  const rows = await session.query(
    `SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${literal(database)} AND TABLE_TYPE <> 'SEQUENCE' AND AUTO_INCREMENT > 1`,
  );
  const values = new Map<string, { next: bigint; isExhausted: boolean }>();
  for (const name of sequences) {
    // Back to the savepoint, nobody who wants to change the sequence has to wait for this transaction.
    const [row = []] = await session.query(
      `SAVEPOINT devstack;\nSELECT next_not_cached_value, next_not_cached_value NOT BETWEEN minimum_value AND maximum_value FROM ${qualified(database, name)};\nROLLBACK TO SAVEPOINT devstack`,
    );
    values.set(name, { next: BigInt(row[0] ?? 0), isExhausted: row[1] === '1' });
  }
  return {
    tables: new Map(rows.map(([name = '', next = '0']) => [name, BigInt(next)])),
    sequences: values,
  };
}

export function counterItems({ tables, sequences }: Counters): readonly FingerprintItem[] {
  return [
    ...[...tables].map(([name, next]) => counterItem('auto-increment', name, next)),
    ...[...sequences].map(([name, { next }]) => counterItem('sequence-value', name, next)),
  ];
}

function counterItem(kind: string, name: string, next: bigint): FingerprintItem {
  const count = Number(next);
  return { kind, name, count: Number.isSafeInteger(count) ? count : 0, checksum: String(next) };
}

/**
 * Statements that set those counters back that moved after the moment: the dump has them as they were when it came to each table.
 * InnoDB never sets one below what the rows need. `settable` are the tables that writers were let into.
 */
export function counterStatements(moment: Counters, later: Counters, settable: ReadonlySet<string>): readonly string[] {
  const tables = [...moment.tables].filter(([name, next]) => settable.has(name) && later.tables.get(name) !== next);
  const sequences = [...moment.sequences].filter(
    ([name, { next, isExhausted }]) => !isExhausted && later.sequences.get(name)?.next !== next,
  );
  return [
    ...tables.map(([name, next]) => `ALTER TABLE ${identifier(name)} AUTO_INCREMENT = ${String(next)};`),
    ...sequences.map(([name, { next }]) => `ALTER SEQUENCE ${identifier(name)} RESTART WITH ${String(next)};`),
  ];
}
