import { createHash, type Hash } from 'node:crypto';
import { intsetElements, listpackElements, ziplistElements } from './packed.ts';
import { RdbCursor } from './rdb-cursor.ts';
import type { RdbKey } from './rdb-reader.ts';

/** Digest of a key with its value, and from when on some of it may go by itself. */
export interface ValueDigest {
  readonly sha256: Buffer;
  /** Milliseconds since 1970; the earliest of the key's own time and those of a hash's fields. */
  readonly goesAt?: number;
}

/**
 * Digests a value by what it means and not by how it is stored: two servers keep the same set in different orders, and a short hash as a
 * listpack or a table. Undefined for what has expired at `now`: a server would not restore it.
 */
export function digestKey(record: RdbKey, now: number): ValueDigest | undefined {
  if (record.expiresAt !== undefined && record.expiresAt <= now) return undefined;
  const cursor = new RdbCursor(record.value);
  const hash = createHash('sha256');
  put(hash, record.key);
  hash.update(`${String(record.database)}\0${String(record.expiresAt ?? '')}\0`);
  const fields = { goesAt: record.expiresAt, count: -1 };
  digestValue(hash, cursor, record.type, now, fields);
  // A hash all of whose fields have gone is gone.
  if (fields.count === 0) return undefined;
  return { sha256: hash.digest(), ...(fields.goesAt === undefined ? {} : { goesAt: fields.goesAt }) };
}

function digestValue(
  hash: Hash,
  cursor: RdbCursor,
  type: number,
  now: number,
  fields: { goesAt: number | undefined; count: number },
): void {
  const strings = (count: number): Buffer[] => Array.from({ length: count }, () => cursor.string());
  switch (type) {
    case 0:
      put(hash, cursor.string());
      return;
    case 1:
      putAll(hash, strings(cursor.count()));
      return;
    case 10:
      putAll(hash, ziplistElements(cursor.string()));
      return;
    case 14:
      putAll(hash, strings(cursor.count()).flatMap(ziplistElements));
      return;
    case 18:
      putAll(hash, quicklist(cursor));
      return;
    case 2:
      putAll(hash, strings(cursor.count()).toSorted(compare));
      return;
    case 11:
      putAll(hash, intsetElements(cursor.string()).toSorted(compare));
      return;
    case 20:
      putAll(hash, listpackElements(cursor.string()).toSorted(compare));
      return;
    case 3:
    case 5:
      putPairs(hash, scored(cursor, type));
      return;
    case 12:
      putPairs(hash, scores(ziplistElements(cursor.string())));
      return;
    case 17:
      putPairs(hash, scores(listpackElements(cursor.string())));
      return;
    case 4:
      putPairs(hash, inGroups(strings(2 * cursor.count()), 2));
      return;
    case 13:
      putPairs(hash, inGroups(ziplistElements(cursor.string()), 2));
      return;
    case 16:
      putPairs(hash, inGroups(listpackElements(cursor.string()), 2));
      return;
    case 24:
    case 25: {
      const alive = fieldsOf(cursor, type).filter(({ expiresAt }) => expiresAt === 0 || expiresAt > now);
      fields.count = alive.length;
      for (const { expiresAt } of alive)
        if (expiresAt !== 0) fields.goesAt = Math.min(fields.goesAt ?? Infinity, expiresAt);
      const times = alive.some(({ expiresAt }) => expiresAt !== 0);
      putPairs(
        hash,
        alive.map(({ field, value, expiresAt }) => [field, value, ...(times ? [Buffer.from(String(expiresAt))] : [])]),
      );
      return;
    }
    case 15:
    case 19:
    case 21:
      putStream(hash, cursor, type);
      return;
    default:
      // What a module wrote has no order that is not its own.
      hash.update(cursor.buffer);
  }
}

function quicklist(cursor: RdbCursor): Buffer[] {
  const elements: Buffer[] = [];
  for (let nodes = cursor.count(); nodes > 0; nodes -= 1) {
    const isPlain = cursor.count() === 1;
    const node = cursor.string();
    if (isPlain) elements.push(node);
    else for (const element of listpackElements(node)) elements.push(element);
  }
  return elements;
}

function scored(cursor: RdbCursor, type: number): Buffer[][] {
  return Array.from({ length: cursor.count() }, () => {
    const member = cursor.string();
    if (type === 5) return [member, double(cursor.bytes(8).readDoubleLE())];
    const length = cursor.byte();
    const special = { 253: NaN, 254: Infinity, 255: -Infinity }[length];
    return [member, double(special ?? Number(cursor.bytes(length).toString('latin1')))];
  });
}

function scores(elements: readonly Buffer[]): Buffer[][] {
  return inGroups(elements, 2).map(([member = empty, score = empty]) => [member, double(numberOf(score))]);
}

function numberOf(text: Buffer): number {
  const value = text.toString('latin1');
  return value === 'inf' ? Infinity : value === '-inf' ? -Infinity : Number(value);
}

const empty = Buffer.alloc(0);

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

interface HashField {
  readonly field: Buffer;
  readonly value: Buffer;
  /** Milliseconds since 1970, or 0. */
  readonly expiresAt: number;
}

// In a table, times count from the earliest one, plus one, so that 0 is none.
function fieldsOf(cursor: RdbCursor, type: number): HashField[] {
  const earliest = cursor.milliseconds();
  if (type === 25)
    return inGroups(listpackElements(cursor.string()), 3).map(([field = empty, value = empty, time = empty]) => ({
      field,
      value,
      expiresAt: numberOf(time),
    }));
  return Array.from({ length: cursor.count() }, () => {
    const time = cursor.count();
    return { field: cursor.string(), value: cursor.string(), expiresAt: time === 0 ? 0 : earliest + time - 1 };
  });
}

// Entries, ids and groups in the order of their ids and names, as the server writes them.
function putStream(hash: Hash, cursor: RdbCursor, type: number): void {
  const lengths = (count: number): void => {
    for (let index = 0; index < count; index += 1) hash.update(`${String(cursor.length())};`);
  };
  const counted = (each: () => void): void => {
    const count = cursor.count();
    hash.update(`${String(count)}:`);
    for (let index = 0; index < count; index += 1) each();
  };
  counted(() => {
    put(hash, cursor.string());
    put(hash, cursor.string());
  });
  lengths(type === 15 ? 3 : 8);
  counted(() => {
    put(hash, cursor.string());
    lengths(type === 15 ? 2 : 3);
    counted(() => {
      hash.update(cursor.bytes(16 + 8));
      lengths(1);
    });
    counted(() => {
      put(hash, cursor.string());
      hash.update(cursor.bytes(type === 21 ? 16 : 8));
      counted(() => hash.update(cursor.bytes(16)));
    });
  });
}

function inGroups(elements: readonly Buffer[], size: number): Buffer[][] {
  if (elements.length % size !== 0) throw new Error('a packed value lacks an element');
  return Array.from({ length: elements.length / size }, (_, index) => elements.slice(index * size, (index + 1) * size));
}

function putPairs(hash: Hash, pairs: readonly (readonly Buffer[])[]): void {
  const sorted = pairs.toSorted(([a = empty], [b = empty]) => compare(a, b));
  for (const pair of sorted) putAll(hash, pair);
}

function putAll(hash: Hash, elements: readonly Buffer[]): void {
  for (const element of elements) put(hash, element);
}

// With its length before it, so that no two lists of strings look alike.
function put(hash: Hash, bytes: Uint8Array): void {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  hash.update(length).update(bytes);
}

function compare(a: Buffer, b: Buffer): number {
  return Buffer.compare(a, b);
}
