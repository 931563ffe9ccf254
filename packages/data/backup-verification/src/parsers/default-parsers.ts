import type { StoredPart } from '@devstack-core/database-backup';
import { parseJson, parseJsonLines } from './json.ts';
import { parseMongoArchive } from './mongo-archive.ts';
import type { Parser } from './parser.ts';
import { parsePostgresDump } from './postgres-dump.ts';
import { parseRdb } from './rdb.ts';
import { parseSql } from './sql.ts';
import { parseTar } from './tar.ts';

/** By kind of part, and by the extension of the plain content where the kind is not there. */
export type Parsers = Readonly<Record<string, Parser>>;

/** What artifacts of these extensions look like. */
export const defaultParsers: Parsers = {
  dump: parsePostgresDump,
  sql: parseSql,
  tar: parseTar,
  rdb: parseRdb,
  json: parseJson,
  jsonl: parseJsonLines,
  archive: parseMongoArchive,
};

/** The parser of a part; undefined where nobody knows what it looks like. */
export function parserFor(
  { kind, extension }: Pick<StoredPart, 'kind' | 'extension'>,
  parsers: Parsers,
): Parser | undefined {
  return parsers[kind] ?? parsers[extension];
}
