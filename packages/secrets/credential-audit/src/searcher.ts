import { BlockStream } from './block-stream.ts';
import { Matcher } from './matcher.ts';
import type { ExpandedNeedle } from './needles.ts';

/** An occurrence of a needle. */
export interface NeedleHit {
  /** Every needle that reads like this: two secrets may have one value, two encodings one text. */
  readonly needles: readonly ExpandedNeedle[];
  /** From the beginning of the text, in bytes. */
  readonly offset: number;
  readonly lengthBytes: number;
}

/** A text that arrives in pieces. */
export interface NeedleStream {
  write(chunk: Uint8Array): void;
  /** Looks at what is left; gives the length of the text in bytes. */
  end(): number;
}

/** A prepared search for many needles. */
export interface Searcher {
  /** How many different texts are searched for. */
  readonly patternCount: number;
  search(text: Uint8Array): readonly NeedleHit[];
  /** Occurrences are told as soon as they are sure, whatever the pieces. Memory: about 256 KiB. */
  stream(onHit: (hit: NeedleHit) => void): NeedleStream;
}

/** Prepares a search for needles, as `expandNeedles` gives them, in one pass over any bytes. */
export function createSearcher(needles: readonly ExpandedNeedle[]): Searcher {
  return new NeedleSearcher(needles);
}

/** The searcher, with its matcher for those who search for other things in the same pass. */
export class NeedleSearcher implements Searcher {
  readonly matcher: Matcher;
  readonly #groups: readonly (readonly ExpandedNeedle[])[];
  readonly #lengths: readonly number[];

  constructor(needles: readonly ExpandedNeedle[]) {
    const byText = Map.groupBy(needles, (needle) => needle.text.reveal());
    const patterns = [...byText.keys()].map((text) => Buffer.from(text, 'utf8'));
    this.#groups = [...byText.values()];
    this.#lengths = patterns.map((pattern) => pattern.length);
    this.matcher = new Matcher(patterns);
  }

  get patternCount(): number {
    return this.#groups.length;
  }

  search(text: Uint8Array): readonly NeedleHit[] {
    const hits: NeedleHit[] = [];
    this.matcher.scan(text, text.length, (pattern, offset) => hits.push(this.hit(pattern, offset)));
    return hits.toSorted((a, b) => a.offset - b.offset);
  }

  stream(onHit: (hit: NeedleHit) => void): NeedleStream {
    return new BlockStream({
      matchers: [
        {
          matcher: this.matcher,
          onHit: ({ pattern, offset }) => {
            onHit(this.hit(pattern, offset));
          },
        },
      ],
      lookahead: this.matcher.longest,
      lookbehind: 0,
    });
  }

  /** The hit for a pattern of the matcher. */
  hit(pattern: number, offset: number): NeedleHit {
    return { needles: this.#groups[pattern] ?? [], offset, lengthBytes: this.#lengths[pattern] ?? 0 };
  }
}
