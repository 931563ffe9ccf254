import { Crc64 } from './crc64.ts';
import { MoreBytesNeeded, RdbCursor } from './rdb-cursor.ts';
import { skipModuleValue, skipValue } from './rdb-types.ts';

/** A key with its value as the file has it. */
export interface RdbKey {
  readonly kind: 'key';
  readonly database: number;
  readonly key: Buffer;
  readonly type: number;
  /** Without type and key. */
  readonly value: Buffer;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
  /** Seconds since the last access, where the server notes that. */
  readonly idle?: number;
  /** Logarithmic counter of accesses, where the server notes that. */
  readonly frequency?: number;
}

/** A library of functions, as its source. */
export interface RdbFunction {
  readonly kind: 'function';
  readonly code: Buffer;
}

/** What the file says of itself; comes first. */
export interface RdbHeader {
  readonly kind: 'header';
  readonly version: number;
}

export type RdbRecord = RdbHeader | RdbKey | RdbFunction;

const opcode = {
  slotInfo: 244,
  function: 245,
  moduleAux: 247,
  idle: 248,
  frequency: 249,
  aux: 250,
  resize: 251,
  expireMs: 252,
  expire: 253,
  database: 254,
  end: 255,
} as const;

/**
 * Reads an RDB file as it comes, in memory for its largest value. Throws an `Error` for a file that is cut, goes on behind its end, fails its
 * checksum, or holds what this reader does not know.
 */
export async function* readRdb(content: AsyncIterable<Uint8Array>): AsyncGenerator<RdbRecord, void, undefined> {
  const parser = new Parser();
  const waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  for await (const chunk of content) {
    waiting.push(chunk);
    waitingBytes += chunk.length;
    if (waitingBytes < parser.wanted) continue;
    parser.feed(waiting);
    waiting.length = 0;
    waitingBytes = 0;
    yield* parser.records();
  }
  parser.feed(waiting);
  yield* parser.records();
  parser.finish();
}

class Parser {
  #buffer: Buffer = Buffer.alloc(0);
  #state: 'header' | 'records' | 'end' = 'header';
  #database = 0;
  readonly #crc = new Crc64();
  /** How many more bytes are worth another look. */
  wanted = 1;

  feed(chunks: readonly Uint8Array[]): void {
    if (chunks.length > 0) this.#buffer = Buffer.concat([this.#buffer, ...chunks]);
  }

  *records(): Generator<RdbRecord, void, undefined> {
    const cursor = new RdbCursor(this.#buffer);
    let done = 0;
    try {
      for (;;) {
        if (this.#state === 'end') {
          if (cursor.at < this.#buffer.length) throw new Error('there is something behind the end of the file');
          break;
        }
        const record = this.#state === 'header' ? this.#header(cursor) : this.#record(cursor);
        if ((this.#state as string) !== 'end') this.#crc.update(this.#buffer.subarray(done, cursor.at));
        done = cursor.at;
        if (record !== undefined) yield record;
      }
      this.wanted = 1;
    } catch (error) {
      if (!(error instanceof MoreBytesNeeded)) throw error;
      const missing = error.needed - this.#buffer.length;
      // At least as much again, so that a value of many pieces is not begun anew for each of them.
      this.wanted = Math.max(missing, this.#buffer.length - done);
    }
    this.#buffer = this.#buffer.subarray(done);
  }

  finish(): void {
    if (this.#state !== 'end') throw new Error('the file ends before its end mark');
  }

  #header(cursor: RdbCursor): RdbHeader {
    const magic = cursor.bytes(9).toString('latin1');
    if (!/^REDIS\d{4}$/.test(magic)) throw new Error('this is no RDB file');
    this.#state = 'records';
    return { kind: 'header', version: Number(magic.slice(5)) };
  }

  // One record, or undefined for what is of no interest. Nothing is changed before all of it is there.
  #record(cursor: RdbCursor): RdbRecord | undefined {
    const attributes: { expiresAt?: number; idle?: number; frequency?: number } = {};
    for (;;) {
      const code = cursor.byte();
      switch (code) {
        case opcode.expireMs:
          attributes.expiresAt = cursor.milliseconds();
          break;
        case opcode.expire:
          attributes.expiresAt = cursor.bytes(4).readInt32LE() * 1000;
          break;
        case opcode.idle:
          attributes.idle = cursor.count();
          break;
        case opcode.frequency:
          attributes.frequency = cursor.byte();
          break;
        case opcode.aux:
          cursor.skipString();
          cursor.skipString();
          return undefined;
        case opcode.resize:
          cursor.length();
          cursor.length();
          return undefined;
        case opcode.slotInfo:
          cursor.length();
          cursor.length();
          cursor.length();
          return undefined;
        case opcode.database:
          this.#database = cursor.count();
          return undefined;
        case opcode.function:
          return { kind: 'function', code: cursor.string() };
        case opcode.moduleAux:
          cursor.length();
          skipModuleValue(cursor);
          return undefined;
        case opcode.end:
          this.#finishChecksum(cursor);
          return undefined;
        default:
          return this.#key(cursor, code, attributes);
      }
    }
  }

  #key(cursor: RdbCursor, type: number, attributes: Pick<RdbKey, 'expiresAt' | 'idle' | 'frequency'>): RdbKey {
    const key = cursor.string();
    const start = cursor.at;
    skipValue(cursor, type);
    return {
      kind: 'key',
      database: this.#database,
      key,
      type,
      value: cursor.buffer.subarray(start, cursor.at),
      ...attributes,
    };
  }

  // Zeros stand for a server that makes no checksums.
  #finishChecksum(cursor: RdbCursor): void {
    const expected = cursor.bytes(8);
    this.#crc.update(Buffer.from([opcode.end]));
    if (!expected.equals(Buffer.alloc(8)) && !expected.equals(this.#crc.bytes()))
      throw new Error('the checksum of the file is wrong');
    this.#state = 'end';
  }
}

/** What `RESTORE` takes: type and value, version, and checksum over all of it. */
export function dumpPayload({ type, value }: Pick<RdbKey, 'type' | 'value'>, version: number): Buffer {
  const payload = Buffer.alloc(1 + value.length + 10);
  payload[0] = type;
  value.copy(payload, 1);
  payload.writeUInt16LE(version, 1 + value.length);
  new Crc64()
    .update(payload.subarray(0, value.length + 3))
    .bytes()
    .copy(payload, value.length + 3);
  return payload;
}

/** Passes an RDB file on and throws at its end unless its checksum fits: without it the file is not whole. */
export async function* verifiedRdb(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const crc = new Crc64();
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of content) {
    tail = Buffer.concat([tail, chunk]);
    const summed = tail.subarray(0, Math.max(0, tail.length - 8));
    crc.update(summed);
    tail = tail.subarray(summed.length);
    yield chunk;
  }
  const isUnsummed = tail.length === 8 && tail.equals(Buffer.alloc(8));
  if (!isUnsummed && !tail.equals(crc.bytes())) throw new Error('the checksum of the RDB file is wrong');
}
