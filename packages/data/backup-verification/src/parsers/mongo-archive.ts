import type { ByteReader } from './byte-reader.ts';
import { malformed, structured, type Parser } from './parser.ts';

const magic = 0x8199e26d;
const terminator = 0xffffffff;
const longestDocument = 48 * 1024 * 1024;

/**
 * The archive of mongodump (mongo-tools, common/archive): a magic number, a prelude of documents that names the collections, then runs of
 * documents, each behind a header that names its collection; the last header of each says that it is complete.
 */
export const parseMongoArchive: Parser = structured('archive of mongodump', async (reader) => {
  if ((await reader.read(4)).readUInt32LE(0) !== magic)
    throw malformed('it does not begin as an archive of mongodump does');
  const open = new Set<string>();
  let isFirst = true;
  for (let document = await next(reader); document !== undefined; document = await next(reader)) {
    // The first tells of the server, the others of one collection each; views hold nothing.
    if (!isFirst && text(document, 'type') !== 'view') open.add(namespaceOf(document));
    isFirst = false;
  }
  if (isFirst) throw malformed('the archive of mongodump has no prelude');
  let entries = 0;
  while (!(await reader.atEnd())) {
    const header = await next(reader);
    if (header === undefined)
      throw malformed(`a run of documents without a name ends at byte ${String(reader.offset)}`);
    while ((await next(reader)) !== undefined) entries += 1;
    if (fields(header).get('EOF') === true) open.delete(namespaceOf(header));
  }
  const first = [...open][0];
  if (first !== undefined) throw malformed(`${String(open.size)} collections are not complete, the first is ${first}`);
  return { format: 'archive of mongodump', entries };
});

/** The next document, or undefined at a terminator. */
async function next(reader: ByteReader): Promise<Buffer | undefined> {
  const head = await reader.read(4);
  const length = head.readUInt32LE(0);
  if (length === terminator) return undefined;
  if (length < 5 || length > longestDocument)
    throw malformed(`before byte ${String(reader.offset)} is no length of a document`);
  const rest = await reader.read(length - 4);
  if (rest[rest.byteLength - 1] !== 0) throw malformed(`the document before byte ${String(reader.offset)} has no end`);
  return Buffer.concat([head, rest]);
}

function namespaceOf(document: Buffer): string {
  return `${text(document, 'db')}.${text(document, 'collection')}`;
}

function text(document: Buffer, name: string): string {
  const value = fields(document).get(name);
  return typeof value === 'string' ? value : '';
}

/** The top-level texts, numbers and truth values of a BSON document (bsonspec.org); reading stops at a type that headers do not have. */
function fields(document: Buffer): ReadonlyMap<string, string | boolean> {
  const found = new Map<string, string | boolean>();
  for (let at = 4; at < document.byteLength - 1;) {
    const type = document[at];
    const end = document.indexOf(0, at + 1);
    if (end === -1) break;
    const name = document.toString('utf8', at + 1, end);
    at = end + 1;
    if (type === 0x02) {
      const length = document.readUInt32LE(at);
      found.set(name, document.toString('utf8', at + 4, at + 4 + length - 1));
      at += 4 + length;
    } else if (type === 0x08) {
      found.set(name, document[at] === 1);
      at += 1;
    } else if (type === 0x10) at += 4;
    else if (type === 0x12 || type === 0x01 || type === 0x09) at += 8;
    else break;
  }
  return found;
}
