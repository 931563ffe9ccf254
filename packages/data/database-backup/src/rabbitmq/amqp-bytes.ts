/** Writes the few types that methods of AMQP 0-9-1 need (specification, section 4.2). */
export class AmqpWriter {
  readonly #parts: Buffer[] = [];

  octet(value: number): this {
    this.#parts.push(Buffer.from([value]));
    return this;
  }

  short(value: number): this {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16BE(value);
    this.#parts.push(bytes);
    return this;
  }

  long(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    this.#parts.push(bytes);
    return this;
  }

  longlong(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    this.#parts.push(bytes);
    return this;
  }

  shortString(value: string): this {
    const bytes = Buffer.from(value, 'utf8');
    if (bytes.length > 255) throw new Error(`a name of ${String(bytes.length)} bytes is too long for AMQP`);
    return this.octet(bytes.length).raw(bytes);
  }

  longString(value: Uint8Array): this {
    return this.long(value.length).raw(value);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Reads them; throws an `Error` at the end of the bytes. */
export class AmqpReader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  octet(): number {
    return this.raw(1).readUInt8();
  }

  short(): number {
    return this.raw(2).readUInt16BE();
  }

  long(): number {
    return this.raw(4).readUInt32BE();
  }

  longlong(): number {
    return Number(this.raw(8).readBigUInt64BE());
  }

  shortString(): string {
    return this.raw(this.octet()).toString('utf8');
  }

  /** The same, or undefined for bytes that are no text. */
  shortText(): string | undefined {
    const bytes = this.raw(this.octet());
    const text = bytes.toString('utf8');
    return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined;
  }

  raw(length: number): Buffer {
    if (this.at + length > this.#bytes.length) throw new Error('an AMQP frame ends too early');
    const bytes = this.#bytes.subarray(this.at, this.at + length);
    this.at += length;
    return bytes;
  }

  rest(): Buffer {
    return this.raw(this.#bytes.length - this.at);
  }

  get isAtEnd(): boolean {
    return this.at === this.#bytes.length;
  }
}
