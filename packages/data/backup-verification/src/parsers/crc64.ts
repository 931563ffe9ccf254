/** CRC-64 as Redis computes it (crc64.c: polynomial of Jones, reflected, nothing added), with two halves as plain integers. */
export class Crc64 {
  #low = 0;
  #high = 0;

  update(bytes: Uint8Array): void {
    const { lows, highs } = tables;
    let low = this.#low;
    let high = this.#high;
    for (const byte of bytes) {
      const at = (low ^ byte) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (lows[at] ?? 0);
      high = (high >>> 8) ^ (highs[at] ?? 0);
    }
    this.#low = low;
    this.#high = high;
  }

  digest(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0);
  }
}

const polynomial = 0x95ac9329ac4bc9b5n;

const tables: { readonly lows: Int32Array; readonly highs: Int32Array } = makeTables();

function makeTables(): { lows: Int32Array; highs: Int32Array } {
  const lows = new Int32Array(256);
  const highs = new Int32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let value = BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1) value = (value & 1n) === 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    lows[byte] = Number(BigInt.asIntN(32, value));
    highs[byte] = Number(BigInt.asIntN(32, value >> 32n));
  }
  return { lows, highs };
}
