import {
  holds,
  leftToRight,
  mappedToNothing,
  nonAsciiSpaces,
  prohibited,
  rightToLeft,
  unassigned,
} from './stringprep-tables.ts';

/**
 * SASLprep (RFC 4013) as PostgreSQL does it: undefined for a password that it refuses, which PostgreSQL and its clients then use as it is.
 * The prohibited code points are looked for before the normalization, as in PostgreSQL's `pg_saslprep`, not after it as in the RFC:
 * the two differ for code points that normalization replaces, and only the server's way gives a verifier that it accepts.
 */
export function saslprep(password: string): string | undefined {
  // A lone surrogate becomes U+FFFD on its way to any server.
  const text = password.toWellFormed();
  if (isAscii(text)) return text;
  const mapped = Array.from(text).flatMap((character) => {
    const codePoint = codePointOf(character);
    if (holds(nonAsciiSpaces, codePoint)) return [' '];
    return holds(mappedToNothing, codePoint) ? [] : [character];
  });
  const codePoints = mapped.map(codePointOf);
  if (codePoints.length === 0) return undefined;
  if (codePoints.some((codePoint) => holds(prohibited, codePoint) || holds(unassigned, codePoint))) return undefined;
  if (!readsInOneDirection(codePoints)) return undefined;
  return mapped.join('').normalize('NFKC');
}

/** RFC 3454, section 6. */
function readsInOneDirection(codePoints: readonly number[]): boolean {
  if (!codePoints.some((codePoint) => holds(rightToLeft, codePoint))) return true;
  if (codePoints.some((codePoint) => holds(leftToRight, codePoint))) return false;
  return holds(rightToLeft, codePoints[0] ?? 0) && holds(rightToLeft, codePoints.at(-1) ?? 0);
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

function codePointOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}
