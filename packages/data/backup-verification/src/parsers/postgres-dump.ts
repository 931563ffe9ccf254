import type { ByteReader } from './byte-reader.ts';
import { malformed, structured, type Parsed, type Parser } from './parser.ts';

/**
 * The custom format of `pg_dump -Fc` (pg_backup_archiver.c and pg_backup_custom.c of PostgreSQL, archive versions 1.12 to 1.16): header,
 * table of contents, and one block of data for each entry that has data, up to the last byte. `pg_restore --list` reads the first two only
 * and finds nothing wrong with half a dump.
 */
export const parsePostgresDump: Parser = structured('PostgreSQL dump', async (reader) => {
  if ((await reader.read(5)).toString('latin1') !== 'PGDMP') throw malformed('it does not begin with PGDMP');
  const header = await readHeader(reader);
  const wanted = await readContents(reader, header);
  const found = await readBlocks(reader, header);
  const missing = [...wanted].filter((id) => !found.has(id));
  if (missing.length > 0)
    throw malformed(
      `${String(missing.length)} of ${String(wanted.size)} entries of its table of contents have no data, the first is ${String(missing[0])}`,
    );
  return {
    format: `PostgreSQL custom-format dump 1.${String(header.minor)}`,
    entries: header.entries,
  } satisfies Parsed;
});

interface Header {
  readonly minor: number;
  readonly intSize: number;
  readonly offsetSize: number;
  readonly entries: number;
}

async function readHeader(reader: ByteReader): Promise<Header> {
  const [major = 0, minor = 0, , intSize = 0, offsetSize = 0, format] = await reader.read(6);
  if (major !== 1 || minor < 12 || minor > 16)
    throw malformed(`its archive version ${String(major)}.${String(minor)} is not one of 1.12 to 1.16`);
  if (format !== 1) throw malformed('it is not in the custom format');
  if (![4, 8].includes(intSize) || ![4, 8].includes(offsetSize))
    throw malformed('its sizes of integers are impossible');
  if (minor >= 15) await reader.skip(1);
  else await readInt(reader, intSize);
  // When it was made: seven numbers; then the database and both versions.
  for (let field = 0; field < 7; field += 1) await readInt(reader, intSize);
  for (let field = 0; field < 3; field += 1) await skipText(reader, intSize);
  const entries = await readInt(reader, intSize);
  if (entries < 0) throw malformed('its table of contents has a negative length');
  return { minor, intSize, offsetSize, entries };
}

const noData = 3;

/** The ids of the entries that have data. */
async function readContents(reader: ByteReader, header: Header): Promise<Set<number>> {
  const { minor, intSize, offsetSize } = header;
  const withData = new Set<number>();
  for (let entry = 0; entry < header.entries; entry += 1) {
    const id = await readInt(reader, intSize);
    await readInt(reader, intSize);
    // Two object ids, tag and description.
    for (let field = 0; field < 4; field += 1) await skipText(reader, intSize);
    await readInt(reader, intSize);
    // Definition, drop and copy statement, schema, tablespace.
    for (let field = 0; field < 5; field += 1) await skipText(reader, intSize);
    if (minor >= 14) await skipText(reader, intSize);
    if (minor >= 16) await readInt(reader, intSize);
    // Owner, and a field that is always `false`.
    for (let field = 0; field < 2; field += 1) await skipText(reader, intSize);
    while ((await skipText(reader, intSize)) >= 0);
    const state = await reader.byte();
    await reader.skip(offsetSize);
    if (state < 1 || state > noData) throw malformed(`entry ${String(id)} of its table of contents is unreadable`);
    if (state !== noData) withData.add(id);
  }
  return withData;
}

const tableData = 1;
const largeObjects = 3;

async function readBlocks(reader: ByteReader, { intSize }: Header): Promise<Set<number>> {
  const found = new Set<number>();
  while (!(await reader.atEnd())) {
    const type = await reader.byte();
    const id = await readInt(reader, intSize);
    if (type === tableData) await skipChunks(reader, intSize);
    else if (type === largeObjects) while ((await readInt(reader, intSize)) !== 0) await skipChunks(reader, intSize);
    else throw malformed(`at byte ${String(reader.offset)} is no block of data`);
    found.add(id);
  }
  return found;
}

async function skipChunks(reader: ByteReader, intSize: number): Promise<void> {
  for (;;) {
    const length = await readInt(reader, intSize);
    if (length === 0) return;
    if (length < 0) throw malformed(`at byte ${String(reader.offset)} is a negative length`);
    await reader.skip(length);
  }
}

/** A sign, then the magnitude, the lowest byte first. */
async function readInt(reader: ByteReader, size: number): Promise<number> {
  const bytes = await reader.read(size + 1);
  const magnitude = bytes.readUIntLE(1, Math.min(size, 6));
  return bytes[0] === 0 ? magnitude : -magnitude;
}

/** Its length; -1 for none at all. */
async function skipText(reader: ByteReader, size: number): Promise<number> {
  const length = await readInt(reader, size);
  if (length > 0) await reader.skip(length);
  return length;
}
