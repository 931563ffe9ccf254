/** How many hash slots every Redis cluster has. */
export const slotCount = 16_384;

/** The slot of a key: CRC-16/XMODEM of it, or of its first `{tag}` (Redis cluster specification, “Hash tags”). */
export function slotOf(key: Uint8Array): number {
  const open = key.indexOf(0x7b);
  const close = open < 0 ? -1 : key.indexOf(0x7d, open + 1);
  const hashed = close > open + 1 ? key.subarray(open + 1, close) : key;
  let crc = 0;
  for (const byte of hashed) crc = ((crc << 8) & 0xffff) ^ (table[(crc >> 8) ^ byte] ?? 0);
  return crc % slotCount;
}

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc & 0xffff;
});

/** Slots that somebody holds; written as ranges, e.g. `0-5460`. */
export class SlotSet {
  readonly #held = new Uint8Array(slotCount);

  /** Reads ranges; throws an `Error` for what is none. */
  static of(ranges: readonly string[]): SlotSet {
    const set = new SlotSet();
    for (const range of ranges) {
      const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
      const from = Number(match?.[1] ?? NaN);
      const to = Number(match?.[2] ?? from);
      if (!(from <= to && to < slotCount)) throw new Error(`"${range}" is no range of slots`);
      set.#held.fill(1, from, to + 1);
    }
    return set;
  }

  has(slot: number): boolean {
    return this.#held[slot] === 1;
  }

  get size(): number {
    return this.#held.reduce((sum, held) => sum + held, 0);
  }

  /** Those that both have. */
  and(other: SlotSet): number[] {
    return this.list().filter((slot) => other.has(slot));
  }

  list(): number[] {
    return [...this.#held.keys()].filter((slot) => this.has(slot));
  }

  ranges(): string[] {
    const ranges: [number, number][] = [];
    for (const slot of this.list()) {
      const last = ranges.at(-1);
      if (last?.[1] === slot - 1) last[1] = slot;
      else ranges.push([slot, slot]);
    }
    return ranges.map(([from, to]) => (from === to ? String(from) : `${String(from)}-${String(to)}`));
  }
}

/** Every slot: what a server has that is no part of a cluster. */
export const allSlots = ['0-16383'] as const;
