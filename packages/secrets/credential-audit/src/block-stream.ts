import type { Matcher } from './matcher.ts';

/** A hit in a stream: the block shows what stands around it, and is overwritten afterwards. */
export interface BlockHit {
  readonly pattern: number;
  /** From the beginning of the stream, in bytes. */
  readonly offset: number;
  readonly block: Uint8Array;
  /** Where it is in the block. */
  readonly start: number;
  /** How much of the block is filled. */
  readonly length: number;
}

export interface BlockStreamOptions {
  readonly matchers: readonly { readonly matcher: Matcher; readonly onHit: (hit: BlockHit) => void }[];
  /** How many bytes must be known after the beginning of a hit: at least the longest pattern. */
  readonly lookahead: number;
  /** How many bytes before a hit must stay visible. */
  readonly lookbehind: number;
}

const blockBytes = 256 * 1024;

/**
 * Gathers chunks of any size into blocks and scans each once. The end of a block that may still be the beginning of something goes before
 * the next one, so that a hit is found wherever chunks are cut, and never twice. Memory: one block.
 */
export class BlockStream {
  readonly #options: BlockStreamOptions;
  readonly #block: Buffer;
  #length = 0;
  /** What in the block was dealt with already. */
  #done = 0;
  /** Of the block's first byte, in the stream. */
  #base = 0;

  constructor(options: BlockStreamOptions) {
    this.#options = options;
    this.#block = Buffer.allocUnsafe(blockBytes + options.lookahead + options.lookbehind);
  }

  write(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const taken = Math.min(chunk.length - at, this.#block.length - this.#length);
      this.#block.set(chunk.subarray(at, at + taken), this.#length);
      this.#length += taken;
      at += taken;
      if (this.#length === this.#block.length) this.#scan(false);
    }
  }

  /** Scans what is left. Gives the length of the whole stream in bytes. */
  end(): number {
    this.#scan(true);
    return this.#base + this.#length;
  }

  #scan(isLast: boolean): void {
    const { matchers, lookahead, lookbehind } = this.#options;
    const limit = isLast ? this.#length : this.#length - lookahead;
    const [block, length, base, done] = [this.#block, this.#length, this.#base, this.#done];
    for (const { matcher, onHit } of matchers) {
      matcher.scan(block, length, (pattern, start) => {
        if (start >= done && start < limit) onHit({ pattern, offset: base + start, block, start, length });
      });
    }
    if (isLast) {
      this.#done = this.#length;
      return;
    }
    const keep = Math.max(0, limit - lookbehind);
    block.copyWithin(0, keep, length);
    this.#base += keep;
    this.#length -= keep;
    this.#done = limit - keep;
  }
}
