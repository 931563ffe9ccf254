import { Crc64, ecma } from '../redis/crc64.ts';
import { DatabaseBackupErrorCode } from '../errors.ts';
import { formatVersion, magic, type CollectionInfo } from './archive-format.ts';
import { decodeBson, type BsonScalar } from './bson.ts';
import { mongoFailure } from './failure.ts';

/** What comes out of an archive, in its order. */
export type ArchiveEvent =
  | { readonly type: 'prelude'; readonly collections: readonly CollectionInfo[] }
  | { readonly type: 'document'; readonly database: string; readonly collection: string; readonly bytes: Buffer }
  | { readonly type: 'end'; readonly database: string; readonly collection: string };

const maximumDocument = 48 * 1024 ** 2;

/**
 * Reads an archive in constant memory. Throws RESTORE_FAILED where it is no archive, is damaged (a checksum of a collection differs), or
 * ends before every collection of its prelude has ended.
 */
export async function* readArchive(source: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveEvent, void, undefined> {
  const reader = new ByteReader(source);
  if (!(await reader.take(4))?.equals(magic)) throw damaged('it does not begin as one');
  const collections = await readPrelude(reader);
  yield { type: 'prelude', collections };
  const open = new Map(collections.map(({ database, name }) => [key(database, name), new Crc64(ecma)]));
  while (!(await reader.isAtEnd())) {
    const header = decodeBson((await reader.document()) ?? damage('a block has no header'));
    const { db, collection, EOF, CRC } = header ?? {};
    if (typeof db !== 'string' || typeof collection !== 'string' || typeof CRC !== 'bigint')
      throw damaged('the header of a block cannot be read');
    const crc = open.get(key(db, collection));
    if (crc === undefined) throw damaged(`collection "${collection}" has ended before, or is not in the prelude`);
    for (let bytes = await reader.document(); bytes !== undefined; bytes = await reader.document()) {
      if (EOF === true) throw damaged(`collection "${collection}" goes on after its end`);
      crc.update(bytes);
      yield { type: 'document', database: db, collection, bytes };
    }
    if (EOF !== true) continue;
    if (crc.bytes().readBigInt64LE() !== CRC) throw damaged(`the checksum of collection "${collection}" differs`);
    open.delete(key(db, collection));
    yield { type: 'end', database: db, collection };
  }
  if (open.size > 0) throw damaged('it ends before all of its collections do');
}

async function readPrelude(reader: ByteReader): Promise<readonly CollectionInfo[]> {
  const header = decodeBson((await reader.document()) ?? damage('it has no header'));
  if (header?.['version'] !== formatVersion) throw damaged(`its version is ${String(header?.['version'])}`);
  const collections: CollectionInfo[] = [];
  for (let bytes = await reader.document(); bytes !== undefined; bytes = await reader.document()) {
    const fields = decodeBson(bytes) ?? damage('its prelude cannot be read');
    collections.push({
      database: text(fields['db']),
      name: text(fields['collection']),
      metadata: text(fields['metadata']),
      type: text(fields['type']),
    });
  }
  return collections;
}

function text(value: BsonScalar | undefined): string {
  return typeof value === 'string' ? value : damage('its prelude cannot be read');
}

function key(database: string, collection: string): string {
  return `${database}\0${collection}`;
}

function damage(why: string): never {
  throw damaged(why);
}

function damaged(why: string): Error {
  return mongoFailure(DatabaseBackupErrorCode.restoreFailed, `The archive cannot be restored: ${why}.`);
}

/** Bytes and documents out of chunks of any size. */
class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async isAtEnd(): Promise<boolean> {
    return !(await this.#fill(1));
  }

  /** So many bytes; undefined where there are fewer. */
  async take(length: number): Promise<Buffer | undefined> {
    if (!(await this.#fill(length))) return undefined;
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    const [bytes = Buffer.alloc(0)] = this.#chunks;
    this.#chunks = [bytes.subarray(length)];
    this.#length -= length;
    return bytes.subarray(0, length);
  }

  /** The next document, or undefined at a terminator. */
  async document(): Promise<Buffer | undefined> {
    const head = (await this.take(4)) ?? damage('it ends in the middle');
    const length = head.readInt32LE();
    if (length === -1) return undefined;
    if (length < 5 || length > maximumDocument) throw damaged('a document has an impossible length');
    const rest = (await this.take(length - 4)) ?? damage('it ends in the middle');
    if (rest.at(-1) !== 0) throw damaged('a document does not end as one');
    return Buffer.concat([head, rest]);
  }

  async #fill(length: number): Promise<boolean> {
    while (this.#length < length) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      const { buffer, byteOffset, byteLength } = next.value;
      this.#chunks.push(Buffer.from(buffer, byteOffset, byteLength));
      this.#length += byteLength;
    }
    return true;
  }
}
