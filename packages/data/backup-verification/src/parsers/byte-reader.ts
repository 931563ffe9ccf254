/** Reads a stream by counts of bytes, however it is cut into pieces. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();
  #at = 0;
  /** Bytes that were read or skipped so far. */
  offset = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** True at the end of the stream. */
  async atEnd(): Promise<boolean> {
    while (this.#at === this.#piece.byteLength) {
      const next = await this.#source.next();
      if (next.done === true) return true;
      this.#piece = next.value;
      this.#at = 0;
    }
    return false;
  }

  /** Exactly that many bytes. Throws `EndOfStream` where there are fewer. */
  async read(count: number): Promise<Buffer> {
    const rest = this.#piece.byteLength - this.#at;
    if (rest >= count) return this.#take(count);
    const parts: Uint8Array[] = [];
    for (let missing = count; missing > 0;) {
      if (await this.atEnd()) throw new EndOfStream(this.offset);
      const part = this.#take(Math.min(missing, this.#piece.byteLength - this.#at));
      parts.push(part);
      missing -= part.byteLength;
    }
    return Buffer.concat(parts, count);
  }

  /** The same, without keeping them. */
  async skip(count: number): Promise<void> {
    for (let missing = count; missing > 0;) {
      if (await this.atEnd()) throw new EndOfStream(this.offset);
      missing -= this.#take(Math.min(missing, this.#piece.byteLength - this.#at)).byteLength;
    }
  }

  /** One piece of what is left, as long as it comes; undefined at the end. */
  async piece(): Promise<Buffer | undefined> {
    return (await this.atEnd()) ? undefined : this.#take(this.#piece.byteLength - this.#at);
  }

  async byte(): Promise<number> {
    if (this.#at === this.#piece.byteLength && (await this.atEnd())) throw new EndOfStream(this.offset);
    return this.#take(1).readUInt8(0);
  }

  #take(count: number): Buffer {
    const { buffer, byteOffset } = this.#piece;
    const taken = Buffer.from(buffer, byteOffset + this.#at, count);
    this.#at += count;
    this.offset += count;
    return taken;
  }
}

/** The stream ended where more had to come. */
export class EndOfStream extends Error {
  constructor(offset: number) {
    super(`it ends after ${String(offset)} bytes, in the middle of something`);
  }
}
