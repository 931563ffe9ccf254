/** Thrown where a stream is not made of zstd frames. */
export class FrameError extends Error {
  readonly fault: 'notZstd' | 'trailingData';

  constructor(fault: 'notZstd' | 'trailingData') {
    super(fault === 'notZstd' ? 'it does not begin like a zstd stream' : 'something that is no zstd frame follows');
    this.fault = fault;
  }
}

type State = 'magic' | 'descriptor' | 'block' | 'checksum' | 'skippable' | 'done';

const magic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;

/**
 * Cuts a stream at the ends of its zstd frames (RFC 8878 3.1). Node's decompressor stops without an error at the end of the first frame, whatever
 * follows in the same piece: unless every frame ends with a piece, content is lost.
 */
export class FrameSplitter {
  #state: State = 'magic';
  #wanted = 4;
  #value = 0;
  #got = 0;
  #skip = 0;
  #hasChecksum = false;
  #frames = 0;

  /** True between frames, when there was one: the stream may end here. */
  get isAtBoundary(): boolean {
    return this.#frames > 0 && this.#state === 'magic' && this.#got === 0;
  }

  /** The parts of this piece, each of one frame. Throws a `FrameError`. */
  *split(chunk: Uint8Array): Generator<Uint8Array> {
    let start = 0;
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - offset);
        this.#skip -= skipped;
        offset += skipped;
      } else {
        // Little-endian.
        this.#value += (chunk[offset] ?? 0) * 256 ** this.#got;
        this.#got += 1;
        offset += 1;
        if (this.#got === this.#wanted) this.#read(this.#value);
      }
      if (this.#skip > 0 || this.#state !== 'done') continue;
      this.#frames += 1;
      this.#expect('magic', 4);
      yield chunk.subarray(start, offset);
      start = offset;
    }
    if (start < chunk.length) yield chunk.subarray(start);
  }

  #read(value: number): void {
    if (this.#state === 'magic') {
      if (value === magic) this.#expect('descriptor', 1);
      else if (value - (value % 16) === skippableMagic) this.#expect('skippable', 4);
      else throw new FrameError(this.#frames === 0 ? 'notZstd' : 'trailingData');
    } else if (this.#state === 'descriptor') {
      const isSingleSegment = (value & 0x20) !== 0;
      const sizeFlag = value >> 6;
      const sizeBytes = sizeFlag > 0 ? 2 ** sizeFlag : isSingleSegment ? 1 : 0;
      this.#hasChecksum = (value & 4) !== 0;
      this.#expect('block', 3, sizeBytes + (dictionaryBytes[value & 3] ?? 0) + (isSingleSegment ? 0 : 1));
    } else if (this.#state === 'block') {
      // Run-length blocks hold one byte, whatever their size.
      const size = ((value >> 1) & 3) === 1 ? 1 : value >> 3;
      if ((value & 1) === 0) this.#expect('block', 3, size);
      else if (this.#hasChecksum) this.#expect('checksum', 4, size);
      else this.#expect('done', 0, size);
    } else this.#expect('done', 0, this.#state === 'skippable' ? value : 0);
  }

  #expect(state: State, bytes: number, skip = 0): void {
    this.#state = state;
    this.#wanted = bytes;
    this.#skip = skip;
    this.#value = 0;
    this.#got = 0;
  }
}

const dictionaryBytes = [0, 1, 2, 4];
