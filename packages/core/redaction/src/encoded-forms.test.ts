import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodedForms } from './index.ts';

const value = `a"b'c d\\e<f>&g/h:i#j$k%l+m~n(o)p!q*ü€😀`;

/** Whether one of the forms lies in what an encoder wrote, whatever stands around the value. */
function isCovered(of: string, written: string): boolean {
  return encodedForms(of).some(({ text }) => written.includes(text));
}

const encoders: readonly (readonly [name: string, encode: (text: string) => string])[] = [
  ['as it is', (text) => `before ${text} after`],
  ['JSON.stringify', (text) => JSON.stringify({ text })],
  ['JSON in JSON', (text) => JSON.stringify(JSON.stringify({ text }))],
  ['encodeURIComponent', encodeURIComponent],
  [
    'encodeURIComponent in lower case',
    (text) => encodeURIComponent(text).replace(/%../g, (code) => code.toLowerCase()),
  ],
  ['encodeURI', encodeURI],
  ['URLSearchParams', (text) => new URLSearchParams({ text }).toString()],
  ['base64', (text) => Buffer.from(text).toString('base64')],
  ['base64url', (text) => Buffer.from(text).toString('base64url')],
  ['basic authentication', (text) => `Basic ${Buffer.from(`user:${text}`).toString('base64')}`],
  ['base64 of a longer text', (text) => Buffer.from(`{"a":"${text}","b":1}`).toString('base64')],
  ['hex', (text) => Buffer.from(`xx${text}yy`).toString('hex')],
  ['upper-case hex', (text) => Buffer.from(text).toString('hex').toUpperCase()],
  ['single quotes of a shell', (text) => `'${text.replaceAll("'", `'\\''`)}'`],
  ['double quotes of a shell', (text) => `"${text.replace(/[\\"$`]/g, '\\$&')}"`],
  [
    'XML',
    (text) =>
      `<a b="${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')}"/>`,
  ],
];

describe('the encoded forms of a value', () => {
  it.each(encoders)('cover %s, for every printable value', (_, encode) => {
    // A lone surrogate is no text: UTF-8 cannot hold it, so it cannot be a password.
    const printable = fc.string({ unit: 'binary', minLength: 8, maxLength: 40 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(fc.oneof(fc.constant(value), printable), (text) => {
        expect(isCovered(text, encode(text))).toBe(true);
      }),
    );
  });

  // Recorded from Python 3.11; not every machine has one.
  it.each([
    [`python's json.dumps`, String.raw`"a\"b'c d\\e<f>&g/h:i#j$k%l+m~n(o)p!q*\u00fc\u20ac\ud83d\ude00"`],
    [
      `python's urllib.parse.quote`,
      String.raw`a%22b%27c%20d%5Ce%3Cf%3E%26g/h%3Ai%23j%24k%25l%2Bm~n%28o%29p%21q%2A%C3%BC%E2%82%AC%F0%9F%98%80`,
    ],
    [
      `python's urllib.parse.quote_plus`,
      String.raw`a%22b%27c+d%5Ce%3Cf%3E%26g%2Fh%3Ai%23j%24k%25l%2Bm~n%28o%29p%21q%2A%C3%BC%E2%82%AC%F0%9F%98%80`,
    ],
    [`python's shlex.quote`, String.raw`'a"b'"'"'c d\e<f>&g/h:i#j$k%l+m~n(o)p!q*ü€😀'`],
    [`python's html.escape`, String.raw`a&quot;b&#x27;c d\e&lt;f&gt;&amp;g/h:i#j$k%l+m~n(o)p!q*ü€😀`],
  ])('cover what %s writes', (_, written) => {
    expect(isCovered(value, written)).toBe(true);
  });

  it.each([
    ['bash printf %q', ['bash', '-c', `printf %q "$(cat)"`]],
    ['base64', ['base64', '-w0']],
  ] as const)('cover what %s writes', (_, [program, ...args]) => {
    // Bash switches to $'…' for bytes that are not printable in the locale.
    const text = program === 'bash' ? `a"b'c d\\e<f>&g/h:i#j$k%l+m~n(o)p!q*` : value;
    expect(isCovered(text, execFileSync(program, args, { input: text }).toString())).toBe(true);
  });

  it('lists each text once, under the plainest name', () => {
    const texts = encodedForms('abcdefgh').map(({ text }) => text);
    expect(new Set(texts).size).toBe(texts.length);
    expect(encodedForms('abcdefgh')[0]).toEqual({ form: 'raw', text: 'abcdefgh' });
  });

  it('leave out the characters of base64 that depend on the neighbours', () => {
    for (const before of ['', 'x', 'xy', 'xyz']) {
      for (const after of ['', 'x', 'xy']) {
        expect(isCovered('abcdefgh', Buffer.from(before + 'abcdefgh' + after).toString('base64'))).toBe(true);
      }
    }
  });
});
