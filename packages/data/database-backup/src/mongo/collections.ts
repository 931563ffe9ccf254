import type { MongoConnection } from '@devstack-core/database-connections';
import { createHash, hash } from 'node:crypto';
import type { FingerprintItem } from '../types.ts';
import type { CollectionInfo } from './archive-format.ts';

/** An object of canonical Extended JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A collection with what it is made of besides documents. */
export interface Collection {
  readonly name: string;
  readonly type: string;
  readonly options: JsonObject;
  readonly indexes: readonly JsonObject[];
  readonly uuid: string | undefined;
}

/** How the collections begin that a restore works in. */
export const workPrefix = 'devstack_restore_';

/** All collections of a database but the server's own, in the order of their names. */
export async function readCollections(connection: MongoConnection, database: string): Promise<readonly Collection[]> {
  const entries = await cursor(connection, database, { listCollections: 1 });
  const collections: Collection[] = [];
  for (const entry of entries) {
    const name = textOf(entry['name']);
    if (name.startsWith('system.') || name.startsWith(workPrefix)) continue;
    const type = textOf(entry['type'] ?? 'collection');
    const indexes = type === 'view' ? [] : await cursor(connection, database, { listIndexes: name });
    collections.push({ name, type, options: objectOf(entry['options']), indexes, uuid: uuidOf(entry['info']) });
  }
  return collections.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The first answer and those that follow it. */
async function cursor(
  connection: MongoConnection,
  database: string,
  command: JsonObject,
): Promise<readonly JsonObject[]> {
  const db = connection.db(database);
  const ask = async (document: JsonObject): Promise<JsonObject> =>
    objectOf(objectOf(JSON.parse(await db.commandJson(JSON.stringify(document))))['cursor']);
  let answer = await ask(command);
  const rows = [...listOf(answer['firstBatch'])];
  const ns = textOf(answer['ns']);
  for (let id = answer['id']; !isZero(id); id = answer['id']) {
    answer = await ask({ getMore: id ?? null, collection: ns.slice(ns.indexOf('.') + 1) });
    rows.push(...listOf(answer['nextBatch']));
  }
  return rows.map(objectOf);
}

/** As in mongodump's `.metadata.json`. */
export function metadataOf(database: string, { name, type, options, indexes, uuid }: Collection): CollectionInfo {
  return {
    database,
    name,
    type,
    metadata: JSON.stringify({
      ...(Object.keys(options).length === 0 ? {} : { options }),
      indexes,
      ...(uuid === undefined ? {} : { uuid }),
      collectionName: name,
      type,
    }),
  };
}

/** Options and indexes as items; the counts are those of options and indexes. */
export function definitionItems({ name, type, options, indexes }: Collection): readonly FingerprintItem[] {
  const texts = indexes.map((index) => JSON.stringify({ ...index, ns: '' })).sort();
  return [
    { kind: 'options', name, count: Object.keys(options).length, checksum: digest([type, JSON.stringify(options)]) },
    { kind: 'indexes', name, count: indexes.length, checksum: digest(texts) },
  ];
}

function digest(texts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('hex');
}

/** Documents counted and summed in any order: 128 bits of SHA-256 of each, added up. */
export class DocumentSum {
  #count = 0;
  #low = 0n;
  #high = 0n;

  add(document: Uint8Array): void {
    const digest = hash('sha256', document, 'buffer');
    this.#count += 1;
    this.#low += digest.readBigUInt64LE(0);
    this.#high += digest.readBigUInt64LE(8);
  }

  item(name: string): FingerprintItem {
    const mask = (1n << 128n) - 1n;
    const sum = (this.#low + (this.#high << 64n)) & mask;
    return { kind: 'collection', name, count: this.#count, checksum: sum.toString(16) };
  }
}

export function objectOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isZero(value: unknown): boolean {
  return value === undefined || objectOf(value)['$numberLong'] === '0';
}

function uuidOf(info: unknown): string | undefined {
  const { base64 } = objectOf(objectOf(objectOf(info)['uuid'])['$binary']);
  return typeof base64 === 'string' ? Buffer.from(base64, 'base64').toString('hex') : undefined;
}
