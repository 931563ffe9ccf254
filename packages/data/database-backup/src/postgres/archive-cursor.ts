/** There is not enough of it yet. */
export class NeedMore extends Error {}

/** Reads the primitives of pg_dump's custom format. */
export class ArchiveCursor {
  at: number;
  intBytes: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number, intBytes: number) {
    this.#bytes = bytes;
    this.at = at;
    this.intBytes = intBytes;
  }

  byte(): number {
    const value = this.#bytes[this.at];
    if (value === undefined) throw new NeedMore();
    this.at += 1;
    return value;
  }

  /** A sign and a magnitude. */
  int(): number {
    const sign = this.#bytes[this.at];
    const end = this.at + 1 + this.intBytes;
    if (sign === undefined || end > this.#bytes.length) throw new NeedMore();
    let value = 0;
    for (let index = end - 1; index > this.at; index -= 1) value = value * 256 + (this.#bytes[index] ?? 0);
    this.at = end;
    return sign === 0 ? value : -value;
  }

  /** An object's id may be any 32 bits; only its being zero matters. */
  isZeroInt(): boolean {
    return Math.abs(this.int()) === 0;
  }

  take(length: number): Uint8Array {
    if (this.at + length > this.#bytes.length) throw new NeedMore();
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  text(length: number): string {
    return Buffer.from(this.take(length)).toString('utf8');
  }

  /** Undefined for none. */
  string(): string | undefined {
    const length = this.int();
    return length < 0 ? undefined : this.text(length);
  }
}
