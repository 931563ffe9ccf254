/** Follows a tar archive as it passes by, keeps one file of it, and knows at the end whether it came to its end. */
export class TarWatcher {
  readonly #wanted: string;
  readonly #kept: Uint8Array[] = [];
  #header = Buffer.alloc(0);
  #remaining = 0;
  #padding = 0;
  #isKept = false;
  #hasKept = false;
  #zeroBlocks = 0;

  constructor(wanted: string) {
    this.#wanted = wanted;
  }

  /** Undefined until the file has passed. */
  get kept(): Uint8Array | undefined {
    return this.#hasKept && this.#remaining === 0 ? Buffer.concat(this.#kept) : undefined;
  }

  /** The archive has its end mark, and nothing is missing of the last file. */
  get isComplete(): boolean {
    return this.#zeroBlocks >= 2;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#remaining > 0) {
        const part = chunk.subarray(at, at + this.#remaining);
        if (this.#isKept) this.#kept.push(Buffer.from(part));
        this.#remaining -= part.length;
        at += part.length;
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, chunk.length - at);
        this.#padding -= skipped;
        at += skipped;
      } else {
        const part = chunk.subarray(at, at + 512 - this.#header.length);
        this.#header = Buffer.concat([this.#header, part]);
        at += part.length;
        if (this.#header.length === 512) this.#readHeader();
      }
    }
  }

  #readHeader(): void {
    const header = this.#header;
    this.#header = Buffer.alloc(0);
    if (header.every((byte) => byte === 0)) {
      this.#zeroBlocks += 1;
      return;
    }
    this.#zeroBlocks = 0;
    const name = header.toString('utf8', 0, 100).replace(/\0.*$/s, '');
    const size = sizeIn(header);
    this.#isKept = name === this.#wanted;
    this.#hasKept ||= this.#isKept;
    this.#remaining = size;
    this.#padding = (512 - (size % 512)) % 512;
  }
}

// Octal text, or base 256 for what that cannot hold.
function sizeIn(header: Buffer): number {
  if ((header.readUInt8(124) & 0x80) !== 0) return Number(header.readBigUInt64BE(128));
  return Number.parseInt(header.toString('latin1', 124, 136).replace(/[\0 ].*$/s, ''), 8) || 0;
}
