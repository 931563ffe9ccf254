import type { BlockHit } from './block-stream.ts';
import { Matcher } from './matcher.ts';
import type { PatternRule } from './patterns.ts';

/** A match of a rule. */
export interface PatternHit {
  readonly rule: PatternRule;
  readonly offset: number;
  readonly text: string;
}

/** How far around an anchor an expression may look, in bytes. */
export const patternReach: { readonly behind: number; readonly ahead: number } = { behind: 192, ahead: 512 };

/** Searches for the anchors of the rules in one pass, and tries an expression only around its anchors. */
export class PatternSearch {
  readonly matcher: Matcher;
  readonly #anchors: readonly { readonly length: number; readonly rules: readonly PatternRule[] }[];

  constructor(rules: readonly PatternRule[]) {
    const byAnchor = Map.groupBy(
      rules.flatMap((rule) => rule.anchors.map((anchor) => ({ anchor, rule }))),
      ({ anchor }) => anchor,
    );
    this.matcher = new Matcher([...byAnchor.keys()].map((anchor) => Buffer.from(anchor, 'latin1')));
    this.#anchors = [...byAnchor].map(([anchor, pairs]) => ({
      length: anchor.length,
      rules: pairs.map(({ rule }) => rule),
    }));
  }

  /** The matches that contain this anchor. Two anchors in one match give it twice: readers tell them apart by offset. */
  hits({ pattern, offset, block, start, length }: BlockHit): PatternHit[] {
    const from = Math.max(0, start - patternReach.behind);
    const to = Math.min(length, start + patternReach.ahead);
    const anchor = this.#anchors[pattern];
    if (anchor === undefined) return [];
    const rules = anchor.rules.filter((rule) => rule.mayFollow?.(block, start + anchor.length, to) !== false);
    if (rules.length === 0) return [];
    const text = Buffer.from(block.buffer, block.byteOffset + from, to - from).toString('latin1');
    const at = start - from;
    return rules.flatMap((rule) => {
      const hits: PatternHit[] = [];
      for (const match of text.matchAll(rule.expression)) {
        const holdsAnchor = match.index <= at && at < match.index + match[0].length;
        if (holdsAnchor && rule.accepts?.(match) !== false)
          hits.push({ rule, offset: offset - at + match.index, text: match[0] });
      }
      return hits;
    });
  }

  search(text: Uint8Array): PatternHit[] {
    const hits: PatternHit[] = [];
    this.matcher.scan(text, text.length, (pattern, start) => {
      hits.push(...this.hits({ pattern, offset: start, block: text, start, length: text.length }));
    });
    return hits;
  }
}
