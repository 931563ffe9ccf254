/**
 * CRC-64 as Redis has it at the end of RDB files and DUMP payloads (polynomial 0xad93d23594c935a9, reflected, no inversion; redis/src/crc64.c).
 * Eight tables, so that eight bytes are taken at once; 64 bits as two halves, as numbers of JavaScript hold 53.
 */
export class Crc64 {
  readonly #variant: Variant;
  #low: number;
  #high: number;

  constructor(variant: Variant = redis) {
    this.#variant = variant;
    this.#low = variant.inversion;
    this.#high = variant.inversion;
  }

  update(bytes: Uint8Array): this {
    let low = this.#low;
    let high = this.#high;
    const { lows, highs } = this.#variant.tables;
    const whole = bytes.length - (bytes.length % 8);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < whole; at += 8) {
      const a = view.getUint32(at, true) ^ low;
      const b = view.getUint32(at + 4, true) ^ high;
      const i0 = 1792 + (a & 0xff);
      const i1 = 1536 + ((a >>> 8) & 0xff);
      const i2 = 1280 + ((a >>> 16) & 0xff);
      const i3 = 1024 + (a >>> 24);
      const i4 = 768 + (b & 0xff);
      const i5 = 512 + ((b >>> 8) & 0xff);
      const i6 = 256 + ((b >>> 16) & 0xff);
      const i7 = b >>> 24;
      low =
        at8(lows, i0) ^
        at8(lows, i1) ^
        at8(lows, i2) ^
        at8(lows, i3) ^
        at8(lows, i4) ^
        at8(lows, i5) ^
        at8(lows, i6) ^
        at8(lows, i7);
      high =
        at8(highs, i0) ^
        at8(highs, i1) ^
        at8(highs, i2) ^
        at8(highs, i3) ^
        at8(highs, i4) ^
        at8(highs, i5) ^
        at8(highs, i6) ^
        at8(highs, i7);
    }
    for (let at = whole; at < bytes.length; at += 1) {
      const index = (low ^ (bytes[at] ?? 0)) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ at8(lows, index);
      high = (high >>> 8) ^ at8(highs, index);
    }
    this.#low = low;
    this.#high = high;
    return this;
  }

  /** Eight bytes, little-endian, as they stand in files. */
  bytes(): Buffer {
    const bytes = Buffer.alloc(8);
    const { inversion } = this.#variant;
    bytes.writeUInt32LE((this.#low ^ inversion) >>> 0, 0);
    bytes.writeUInt32LE((this.#high ^ inversion) >>> 0, 4);
    return bytes;
  }
}

function at8(table: Uint32Array, index: number): number {
  return table[index] ?? 0;
}

/** Polynomial, and what the register is inverted with before and after. */
interface Variant {
  readonly tables: { readonly lows: Uint32Array; readonly highs: Uint32Array };
  readonly inversion: number;
}

const redis: Variant = { tables: makeTables(0x95ac9329ac4bc9b5n), inversion: 0 };

/** The one of ECMA-182 as Go's `hash/crc64` has it, for mongodump's archives. */
export const ecma: Variant = { tables: makeTables(0xc96c5795d7870f42n), inversion: 0xffffffff };

function makeTables(polynomial: bigint): { readonly lows: Uint32Array; readonly highs: Uint32Array } {
  const lows = new Uint32Array(8 * 256);
  const highs = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
    lows[byte] = Number(crc & 0xffffffffn);
    highs[byte] = Number(crc >> 32n);
  }
  for (let table = 1; table < 8; table += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const low = lows[(table - 1) * 256 + byte] ?? 0;
      const high = highs[(table - 1) * 256 + byte] ?? 0;
      const index = low & 0xff;
      lows[table * 256 + byte] = ((low >>> 8) | (high << 24)) ^ (lows[index] ?? 0);
      highs[table * 256 + byte] = (high >>> 8) ^ (highs[index] ?? 0);
    }
  }
  return { lows, highs };
}
