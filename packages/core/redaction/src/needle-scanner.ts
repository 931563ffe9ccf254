/** Where a needle lies in a text: `[start, end)` in UTF-16 code units, and the index of the needle. */
export interface NeedleMatch {
  readonly start: number;
  readonly end: number;
  readonly needle: number;
}

const blockLength = 3;
const tableSize = 1 << 15;

/**
 * Finds many needles in one pass that mostly skips: Wu and Manber, "A fast algorithm for multi-pattern searching" (TR 94-17),
 * with blocks of three characters hashed into one shift table. The time hardly depends on the number of needles.
 * Needles must be at least three characters long; the longer the shortest one, the longer the skips.
 */
export class NeedleScanner {
  readonly #needles: readonly string[];
  readonly #window: number;
  readonly #longest: number;
  readonly #shift: Uint8Array;
  readonly #buckets = new Map<number, number[]>();
  readonly #byFirst = new Map<number, string[]>();

  constructor(needles: readonly string[]) {
    this.#needles = needles;
    // A shift is kept in one byte.
    this.#window = needles.reduce((least, needle) => Math.min(least, needle.length), 255);
    this.#longest = needles.reduce((most, needle) => Math.max(most, needle.length), 0);
    this.#shift = new Uint8Array(tableSize).fill(this.#window - blockLength + 1);
    for (const [index, needle] of needles.entries()) this.#insert(needle, index);
  }

  /** The longest match at each start, in order of the starts; matches may overlap. */
  find(text: string): NeedleMatch[] {
    const matches: NeedleMatch[] = [];
    if (this.#needles.length === 0) return matches;
    const shift = this.#shift;
    const last = this.#window - 1;
    let position = last;
    while (position < text.length) {
      const block = hashBlock(text, position);
      const skip = shift[block] ?? 1;
      if (skip > 0) {
        position += skip;
        continue;
      }
      const match = this.#matchAt(text, position - last, block);
      if (match !== undefined) matches.push(match);
      position += 1;
    }
    return matches;
  }

  /** Where the earliest end of `text` begins that may grow into a needle; `text.length` when none does. */
  openTail(text: string): number {
    for (let start = Math.max(0, text.length - this.#longest + 1); start < text.length; start += 1) {
      const candidates = this.#byFirst.get(text.charCodeAt(start));
      if (candidates?.some((needle) => isOpen(text, start, needle)) === true) return start;
    }
    return text.length;
  }

  #insert(needle: string, index: number): void {
    const window = this.#window;
    for (let position = blockLength - 1; position < window; position += 1) {
      const block = hashBlock(needle, position);
      this.#shift[block] = Math.min(this.#shift[block] ?? 0, window - 1 - position);
    }
    push(this.#buckets, hashBlock(needle, window - 1), index);
    push(this.#byFirst, needle.charCodeAt(0), needle);
  }

  #matchAt(text: string, start: number, block: number): NeedleMatch | undefined {
    let found: NeedleMatch | undefined;
    for (const index of this.#buckets.get(block) ?? []) {
      const needle = this.#needles[index] ?? '';
      const end = start + needle.length;
      if ((found === undefined || end > found.end) && text.startsWith(needle, start))
        found = { start, end, needle: index };
    }
    return found;
  }
}

function hashBlock(text: string, end: number): number {
  return ((text.charCodeAt(end) << 10) ^ (text.charCodeAt(end - 1) << 5) ^ text.charCodeAt(end - 2)) & (tableSize - 1);
}

function isOpen(text: string, start: number, needle: string): boolean {
  const length = text.length - start;
  if (length >= needle.length) return false;
  for (let offset = 1; offset < length; offset += 1) {
    if (text.charCodeAt(start + offset) !== needle.charCodeAt(offset)) return false;
  }
  return true;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
