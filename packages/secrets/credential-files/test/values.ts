import fc from 'fast-check';

/** Values that formats get wrong, each for a reason. */
export const awkwardValues: readonly string[] = [
  'plain',
  ' leading and trailing ',
  '\ttab\tinside\t',
  "'single'",
  '"double"',
  '`back`tick`',
  '`',
  '"""',
  `it's`,
  `'"'"'`,
  'colon:and\\:escaped',
  '\\',
  '\\\\',
  'ends with \\',
  '\\n is not a line end, \\s no space, \\x41 no A',
  '#comment',
  'a # comment',
  'a;b ; c',
  '$HOME ${HOME} $(id) $$',
  '%41 %s %d %% %(x',
  '%',
  'key = value',
  '[section]',
  '!include /etc/passwd',
  '%include /etc/passwd',
  '*',
  '0123',
  'true',
  'null',
  '~',
  '- list',
  '{a: b}',
  '&anchor *alias !tag |',
  '<<: *x',
  '@at',
  'zoë',
  'пароль',
  '密码',
  '𝄞€',
  '\u00a0nbsp ½ ﬁ',
  'SCRAM-SHA-256$not-a-verifier',
  'md5short',
  Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n)).join(''),
  Array.from({ length: 95 }, (_, n) => String.fromCharCode(126 - n)).join(''),
  'x'.repeat(200),
];

const printable = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code));
const tricky = fc.constantFrom(
  '\\',
  '"',
  "'",
  '`',
  ':',
  '#',
  ';',
  '$',
  '%',
  ' ',
  '\t',
  '=',
  '(',
  ')',
  's',
  '{',
  '}',
  '[',
  ']',
  '!',
  '@',
  '*',
  '\\"',
  '""',
  "''",
);
const foreign = fc.constantFrom('ë', 'ß', '€', 'я', '密', '𝄞', '🙂', 'é');

/** Any printable text, with what is special somewhere more often than by chance. */
export const printableValue: fc.Arbitrary<string> = fc
  .array(
    fc.oneof({ weight: 3, arbitrary: printable }, { weight: 3, arbitrary: tricky }, { weight: 1, arbitrary: foreign }),
    { minLength: 1, maxLength: 40 },
  )
  .map((parts) => parts.join(''));

/** The awkward values and so many random ones; the same ones in every run with a seed. */
export function manyValues(count: number, seed: number): readonly string[] {
  return [...awkwardValues, ...fc.sample(printableValue, { numRuns: count, seed })];
}
