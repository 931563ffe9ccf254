/** Where a pattern begins in a block, and its index. */
export type OnHit = (pattern: number, start: number) => void;

/**
 * Finds thousands of byte patterns in one pass that looks at few places. A window of each pattern is cut into overlapping grams; of the
 * text only every `stride`-th gram is looked up, and since the window is `stride + gram - 1` bytes long, each occurrence has exactly one
 * gram at such a place (the idea of Wu and Manber's blocks, with a fixed step in place of a shift table, which fills up with that many
 * patterns). Patterns are grouped by length, so that a short one does not slow the search for the long ones.
 */
export class Matcher {
  readonly longest: number;
  readonly #patterns: readonly Uint8Array[];
  readonly #groups: readonly Group[];

  /** Patterns must be at least four bytes long. */
  constructor(patterns: readonly Uint8Array[]) {
    this.#patterns = patterns;
    this.longest = patterns.reduce((most, pattern) => Math.max(most, pattern.length), 0);
    const byLength = Map.groupBy(patterns.keys(), (index) => groupOf(patterns[index]?.length ?? 0));
    this.#groups = [...byLength.values()].map((members) => buildGroup(patterns, members));
  }

  /** Calls for every occurrence that lies wholly in the first `length` bytes. */
  scan(text: Uint8Array, length: number, onHit: OnHit): void {
    for (const group of this.#groups) {
      if (group.gram === 4) this.#scanFours(group, text, length, onHit);
      else this.#scanTwos(group, text, length, onHit);
    }
  }

  #scanFours(group: Group, text: Uint8Array, length: number, onHit: OnHit): void {
    const { stride, filter, shift } = group;
    const view = new DataView(text.buffer, text.byteOffset, length);
    const end = length - 3;
    for (let at = 0; at < end; at += stride) {
      const value = view.getInt32(at, true);
      const slot = Math.imul(value, multiplier) >>> shift;
      if (((filter[slot >>> 5] ?? 0) & (1 << (slot & 31))) !== 0) this.#verify(group, text, length, at, value, onHit);
    }
  }

  // Pairs of bytes need no hash: the filter has a bit for each.
  #scanTwos(group: Group, text: Uint8Array, length: number, onHit: OnHit): void {
    const { stride, filter } = group;
    const view = new DataView(text.buffer, text.byteOffset, length);
    const end = length - 1;
    for (let at = 0; at < end; at += stride) {
      const value = view.getUint16(at, true);
      if (((filter[value >>> 5] ?? 0) & (1 << (value & 31))) !== 0) this.#verify(group, text, length, at, value, onHit);
    }
  }

  #verify(group: Group, text: Uint8Array, length: number, at: number, value: number, onHit: OnHit): void {
    const { heads, next, grams, owners, offsets, headShift } = group;
    let entry = heads[Math.imul(value, multiplier) >>> headShift] ?? -1;
    while (entry >= 0) {
      if (grams[entry] === value) {
        const owner = owners[entry] ?? 0;
        const pattern = this.#patterns[owner];
        const start = at - (offsets[entry] ?? 0);
        if (pattern !== undefined && start >= 0 && start + pattern.length <= length && isAt(text, start, pattern))
          onHit(owner, start);
      }
      entry = next[entry] ?? -1;
    }
  }
}

const multiplier = 0x9e3779b1 | 0;
// Beyond this a longer window saves little and costs memory for each pattern.
const longestStride = 16;

/** The patterns of like length, and their grams in a filter of bits before a chained table. */
interface Group {
  readonly gram: 2 | 4;
  readonly stride: number;
  readonly filter: Int32Array;
  readonly shift: number;
  readonly heads: Int32Array;
  readonly headShift: number;
  readonly next: Int32Array;
  readonly grams: Int32Array;
  readonly owners: Int32Array;
  readonly offsets: Int32Array;
}

function groupOf(length: number): number {
  return [8, 12, 20].filter((least) => length >= least).length;
}

function buildGroup(patterns: readonly Uint8Array[], members: readonly number[]): Group {
  const shortest = members.reduce((least, index) => Math.min(least, patterns[index]?.length ?? 0), Infinity);
  const gram = shortest < 8 ? 2 : 4;
  const stride = Math.min(shortest - gram + 1, longestStride);
  const count = members.length * stride;
  // A table of about the size of its entries, a filter of 16 bits for each.
  const headBits = Math.min(Math.max(Math.ceil(Math.log2(count + 1)), 8), 22);
  const filterBits = gram === 2 ? 16 : Math.min(headBits + 4, 24);
  const group: Group = {
    gram,
    stride,
    filter: new Int32Array(1 << (filterBits - 5)),
    shift: 32 - filterBits,
    heads: new Int32Array(1 << headBits).fill(-1),
    headShift: 32 - headBits,
    next: new Int32Array(count).fill(-1),
    grams: new Int32Array(count),
    owners: new Int32Array(count),
    offsets: new Int32Array(count),
  };
  fill(group, patterns, members);
  return group;
}

function fill(group: Group, patterns: readonly Uint8Array[], members: readonly number[]): void {
  const { gram, stride, filter, shift, heads, headShift } = group;
  const frequency = new Uint16Array(1 << 16);
  let entry = 0;
  for (const index of members) {
    const pattern = patterns[index] ?? new Uint8Array();
    const from = rarestWindow(pattern, stride, gram, frequency);
    for (let offset = from; offset < from + stride; offset += 1) {
      const value = gramAt(pattern, offset, gram);
      const hash = Math.imul(value, multiplier);
      const slot = gram === 2 ? value : hash >>> shift;
      filter[slot >>> 5] = (filter[slot >>> 5] ?? 0) | (1 << (slot & 31));
      group.grams[entry] = value;
      group.owners[entry] = index;
      group.offsets[entry] = offset;
      group.next[entry] = heads[hash >>> headShift] ?? -1;
      heads[hash >>> headShift] = entry;
      const bucket = hash >>> 16;
      frequency[bucket] = Math.min((frequency[bucket] ?? 0) + 1, 0xffff);
      entry += 1;
    }
  }
}

// Values with a common beginning (`hvs.CAES…`) are told apart by another part, or every look-up of it would try them all.
function rarestWindow(pattern: Uint8Array, stride: number, gram: number, frequency: Uint16Array): number {
  const last = pattern.length - (stride + gram - 1);
  let best = 0;
  let least = Infinity;
  for (const from of new Set([0, last >> 1, last])) {
    let cost = 0;
    for (let offset = from; offset < from + stride; offset += 1)
      cost += frequency[Math.imul(gramAt(pattern, offset, gram), multiplier) >>> 16] ?? 0;
    if (cost < least) {
      least = cost;
      best = from;
    }
  }
  return best;
}

function gramAt(bytes: Uint8Array, at: number, gram: number): number {
  const two = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  return gram === 2 ? two : two | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

function isAt(text: Uint8Array, start: number, pattern: Uint8Array): boolean {
  for (let index = 0; index < pattern.length; index += 1) if (text[start + index] !== pattern[index]) return false;
  return true;
}
