import { DatabaseBackupErrorCode } from '../errors.ts';
import { isFloat, type Column, type Table } from './checksum-sql.ts';
import { mariadbFailure } from './failure.ts';
import { identifier, qualified } from './quote.ts';
import type { MariadbSession } from './session.ts';

/** Tables that the dump program would round: it prints a FLOAT with six digits, and nine are needed to tell two of them apart. */
export function hasFloats({ columns }: Table): boolean {
  return columns.some(isFloat);
}

const numbers = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'numeric', 'year']);
const texts = new Set(['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'json', 'enum', 'set']);
const binaries = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob', 'vector']);
const quoted = new Set(['date', 'time', 'datetime', 'timestamp', 'inet4', 'inet6', 'uuid']);

/** The rows of such a table as INSERT statements of about a MiB, each float with all its digits. Throws DUMP_FAILED. */
export async function* floatRows(
  session: MariadbSession,
  database: string,
  table: Table,
): AsyncGenerator<Uint8Array, void, undefined> {
  const columns = table.columns.filter((column) => !column.isGenerated || isPeriod(table, column));
  const tuple = columns.map((column) => `IFNULL(${valueLiteral(column)}, 'NULL')`).join(", ',', ");
  const history = table.isVersioned ? ' FOR SYSTEM_TIME ALL' : '';
  const head = `INSERT INTO ${identifier(table.name)} (${columns.map(({ name }) => identifier(name)).join(', ')}) VALUES\n`;
  let rows: string[] = [];
  let length = 0;
  for await (const [row = 'NULL'] of session.stream(
    // Back to the savepoint, the table's structure is free again for whoever wants to change it.
    `SAVEPOINT devstack;\nSELECT CONCAT('(', ${tuple}, ')') FROM ${qualified(database, table.name)}${history};\nROLLBACK TO SAVEPOINT devstack`,
  )) {
    if (row === 'NULL')
      throw mariadbFailure(
        DatabaseBackupErrorCode.dumpFailed,
        `A row of table "${table.name}" of database "${database}" is longer than a packet of the server`,
        '',
        'Raise max_allowed_packet of the server.',
      );
    rows.push(row);
    length += row.length;
    if (length < 1024 ** 2) continue;
    yield Buffer.from(`${head}${rows.join(',\n')};\n`);
    rows = [];
    length = 0;
  }
  if (rows.length > 0) yield Buffer.from(`${head}${rows.join(',\n')};\n`);
}

// A history goes back into its table with the moments that it had.
function isPeriod(table: Table, { name }: Column): boolean {
  return table.isVersioned && (name === 'row_start' || name === 'row_end');
}

function valueLiteral({ name, type }: Column): string {
  const column = identifier(name);
  if (numbers.has(type)) return column;
  // An exponent makes it a double for the parser too: as a decimal, -0 would lose its sign and 1e-40 its digits.
  if (type === 'float' || type === 'double')
    return `CONCAT(CAST(${column} AS DOUBLE), IF(LOCATE('e', CAST(${column} AS DOUBLE)) = 0, 'e0', ''))`;
  if (type === 'bit') return `CAST(${column} AS UNSIGNED)`;
  if (quoted.has(type)) return `QUOTE(CAST(${column} AS CHAR))`;
  if (texts.has(type))
    return `IF(OCTET_LENGTH(${column}) = 0, QUOTE(''), CONCAT('_utf8mb4 0x', HEX(CONVERT(${column} USING utf8mb4))))`;
  if (binaries.has(type)) return `IF(OCTET_LENGTH(${column}) = 0, QUOTE(''), CONCAT('0x', HEX(${column})))`;
  return `CONCAT('0x', HEX(${column}))`;
}
