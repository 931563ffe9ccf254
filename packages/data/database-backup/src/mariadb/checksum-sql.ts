import { identifier, qualified } from './quote.ts';

/** One column of a table, as `information_schema.COLUMNS` tells it. */
export interface Column {
  readonly name: string;
  /** `DATA_TYPE`, e.g. `varchar`. */
  readonly type: string;
  readonly isGenerated: boolean;
}

/** A table that has rows. */
export interface Table {
  readonly name: string;
  readonly engine: string;
  readonly columns: readonly Column[];
  /** Keeps the history of its rows. */
  readonly isVersioned: boolean;
}

const exactNumbers = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'numeric', 'year']);
const moments = new Set(['date', 'time', 'datetime', 'timestamp']);
const large = new Set([
  'tinytext',
  'text',
  'mediumtext',
  'longtext',
  'json',
  'tinyblob',
  'blob',
  'mediumblob',
  'longblob',
]);
const spatial = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geometrycollection',
  'geomcollection',
]);

/** Numbers that the engine prints with six digits, whatever they hold. */
export function isFloat({ type }: Column): boolean {
  return type === 'float';
}

/**
 * Count, sum and failures of a table in one row: the sum of the first 64 bits of MD5 over every column of a row, so that order does not
 * matter and equal rows do not cancel out. NULL differs from every value and no value can run into its neighbour. The third number counts
 * rows that could not be hashed; it must be 0.
 */
export function checksumQuery(database: string, table: Table): string {
  const row = table.columns.map((column) => columnText(column)).join(', ');
  const hash = `CAST(CONV(LEFT(MD5(CONCAT(${row === '' ? "''" : row})), 16), 16, 10) AS UNSIGNED)`;
  const history = table.isVersioned ? ' FOR SYSTEM_TIME ALL' : '';
  // Not behind writers that wait for a table without transactions: they wait for its dump, and the dump for this.
  return `SELECT HIGH_PRIORITY COUNT(*), IFNULL(SUM(${hash}), 0), COUNT(*) - COUNT(${hash}) FROM ${qualified(database, table.name)}${history}`;
}

// A value that ends by itself: N, or V and digits up to a comma, or V, a length, a colon and that many bytes.
function columnText(column: Column): string {
  const name = identifier(column.name);
  return `IFNULL(CONCAT('V', ${valueText(column, name)}), 'N')`;
}

function valueText({ type }: Column, name: string): string {
  if (exactNumbers.has(type) || moments.has(type)) return `${name}, ','`;
  // As a double a float shows all its bits; adding 0 makes one of the two zeros, which are the same to every comparison.
  if (type === 'float' || type === 'double') return `${name} + 0e0, ','`;
  if (type === 'bit') return `CAST(${name} AS UNSIGNED), ','`;
  // Too long to be put together in one packet: the hash of the value instead of the value.
  if (large.has(type) || spatial.has(type)) return `MD5(${name}), ','`;
  return `OCTET_LENGTH(${name}), ':', CAST(${name} AS BINARY)`;
}
