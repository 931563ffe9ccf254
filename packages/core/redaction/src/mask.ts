import type { NeedleMatch, NeedleScanner } from './needle-scanner.ts';

/** What stands in the place of a secret. */
export const mask: string = '[secret]';

/** What came out of masking a piece of a longer text. */
export interface MaskedPiece {
  readonly text: string;
  /** The end of the piece that may be the beginning of a secret: it has to go before the next piece. */
  readonly rest: string;
  /** How many characters at the beginning of `rest` a mask in `text` stands for already. */
  readonly covered: number;
}

/**
 * Masks the union of all matches, so that of two secrets which overlap neither end stays readable.
 * Cutting a text anywhere and masking the pieces gives what masking the whole gives.
 */
export function maskPiece(scanner: NeedleScanner, input: string, covered: number, isLast: boolean): MaskedPiece {
  const limit = isLast ? input.length : scanner.openTail(input);
  let text = '';
  // Everything before `done` is written, or stands under a mask.
  let done = covered;
  for (const match of scanner.find(input)) {
    if (match.start >= limit) break;
    ({ text, done } = append(text, done, input, match));
  }
  if (done < limit) text += input.slice(done, limit);
  return { text, rest: input.slice(limit), covered: Math.max(0, done - limit) };
}

function append(text: string, done: number, input: string, match: NeedleMatch): { text: string; done: number } {
  if (match.start < done) return { text, done: Math.max(done, match.end) };
  return { text: text + input.slice(done, match.start) + mask, done: match.end };
}
