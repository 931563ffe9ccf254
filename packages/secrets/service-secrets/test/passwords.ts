import fc from 'fast-check';

/** What a person may think of: every kind of quote, spaces of all kinds, marks, wide and right-to-left letters, and what SASLprep refuses or maps. */
const awkward: readonly string[] = [
  'pencil', "it's", '"quoted"', 'back\\slash', 'a b', ' edges ', 'a:b:c', '#hash', '$HOME', '100%', 'semi;colon', 'päss wörd', 'I\u00ADX', '\u00AA', '\u2168',
  'ﬁne', 'Å', 'A\u030A', 'x\u00A0y', '\u200B', 'a\u200Bb', '\u3000wide', 'пароль', '密码', 'ﾊﾟｽ', '🔑🔒', '\u0627\u0031', '\u06271\u0628', '\u0627a', '\u0340x', '\u{1D2C}x',
  'ẛ̣', '\uFB2C', '\uFFFD', '\uE000', 'a\u0007b', 'tab\tbed', 'new\nline', '\u{2F800}', '\u{1D400}', '\u0221', '\u180E', '\u{E0001}tag', 'é'.repeat(60),
]; // prettier-ignore

/** The awkward ones and random ones, the same for each seed; no NUL and not empty. */
export function passwords(count: number, seed: number): readonly string[] {
  const random = fc.sample(
    fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 24 }),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 24 }),
      fc.string({
        unit: fc.constantFrom('a', 'é', 'ﬁ', '\u0627', '\u00A0', '\u00AD', '\u0221', '\u200B', 'e\u0301', '\u2168'),
        minLength: 1,
        maxLength: 6,
      }),
    ),
    { numRuns: count, seed },
  );
  return [...awkward, ...random.map((text) => text.replaceAll('\0', '').toWellFormed()).filter((text) => text !== '')];
}
