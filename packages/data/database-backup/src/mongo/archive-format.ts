import { encodeBson } from './bson.ts';

/** mongodump's `--archive` (common/archive/spec.md of mongo-tools): this number, a prelude, then documents in blocks, each of one collection. */
export const magic: Buffer = Buffer.from([0x6d, 0xe2, 0x99, 0x81]);

/** Ends the prelude and every block. */
export const terminator: Buffer = Buffer.from([0xff, 0xff, 0xff, 0xff]);

export const formatVersion = '0.1';

/** One collection of an archive. */
export interface CollectionInfo {
  readonly database: string;
  readonly name: string;
  /** Options and indexes in canonical Extended JSON, as in mongodump's `.metadata.json`. */
  readonly metadata: string;
  /** `collection` or `view`. */
  readonly type: string;
}

/** Everything before the first block. */
export function encodePrelude(serverVersion: string, collections: readonly CollectionInfo[]): Buffer {
  return Buffer.concat([
    magic,
    encodeBson({
      concurrent_collections: 1,
      version: formatVersion,
      server_version: serverVersion,
      tool_version: 'devstack',
    }),
    ...collections.map(({ database, name, metadata, type }) =>
      encodeBson({ db: database, collection: name, metadata, size: 0, type }),
    ),
    terminator,
  ]);
}

/** Begins a block of documents. */
export function encodeBlock(database: string, collection: string): Buffer {
  return encodeBson({ db: database, collection, EOF: false, CRC: 0n });
}

/** Says that a collection has no more documents, and the checksum of all it had. */
export function encodeEnd(database: string, collection: string, crc: Buffer): Buffer {
  return Buffer.concat([encodeBson({ db: database, collection, EOF: true, CRC: crc.readBigInt64LE() }), terminator]);
}
