import { decompressLzf } from './lzf.ts';

/** Thrown when a value goes on behind the bytes that are there; `needed` counts from the start of the buffer. */
export class MoreBytesNeeded extends Error {
  readonly needed: number;

  constructor(needed: number) {
    super('the data ends in the middle of a value');
    this.needed = needed;
  }
}

/** Reads the building blocks of an RDB file (redis/src/rdb.h, “Defines related to the dump file format”) out of a buffer. */
export class RdbCursor {
  readonly buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer;
    this.at = at;
  }

  bytes(count: number): Buffer {
    this.#need(count);
    const bytes = this.buffer.subarray(this.at, this.at + count);
    this.at += count;
    return bytes;
  }

  byte(): number {
    this.#need(1);
    const value = this.buffer.readUInt8(this.at);
    this.at += 1;
    return value;
  }

  /** A count or any other unsigned number of up to 64 bits. */
  length(): bigint {
    const first = this.byte();
    switch (first >> 6) {
      case 0:
        return BigInt(first & 0x3f);
      case 1:
        return BigInt(((first & 0x3f) << 8) | this.byte());
      case 2:
        if (first === 0x80) return BigInt(this.bytes(4).readUInt32BE());
        if (first === 0x81) return this.bytes(8).readBigUInt64BE();
        throw new Error('a length is of an unknown form');
      default:
        throw new Error('a string stands where a length should');
    }
  }

  count(): number {
    const length = this.length();
    if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error('a count is too large');
    return Number(length);
  }

  /** A time in milliseconds since 1970. */
  milliseconds(): number {
    const value = this.bytes(8).readBigInt64LE();
    return Number(value);
  }

  skipString(): void {
    this.bytes(this.#stringHeader().stored);
  }

  /** Decompressed; numbers as their decimal digits, so that a string is the same however it is stored. */
  string(): Buffer {
    const { compressed, stored, integer } = this.#stringHeader();
    const bytes = this.bytes(stored);
    if (integer) return Buffer.from(String(bytes.readIntLE(0, stored)), 'latin1');
    return compressed === undefined ? bytes : decompressLzf(bytes, compressed);
  }

  #stringHeader(): { readonly stored: number; readonly compressed?: number; readonly integer: boolean } {
    this.#need(1);
    const first = this.buffer.readUInt8(this.at);
    if (first >> 6 !== 3) return { stored: this.count(), integer: false };
    this.at += 1;
    switch (first & 0x3f) {
      case 0:
        return { stored: 1, integer: true };
      case 1:
        return { stored: 2, integer: true };
      case 2:
        return { stored: 4, integer: true };
      case 3: {
        const stored = this.count();
        return { stored, compressed: this.count(), integer: false };
      }
      default:
        throw new Error('a string is of an unknown form');
    }
  }

  #need(count: number): void {
    if (this.at + count > this.buffer.length) throw new MoreBytesNeeded(this.at + count);
  }
}
