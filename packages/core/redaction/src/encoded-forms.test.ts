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

  it.each([
    ['python json', ['python3', '-c', 'import json,sys; print(json.dumps(sys.stdin.read()))']],
    ['python quote', ['python3', '-c', 'import urllib.parse,sys; print(urllib.parse.quote(sys.stdin.read()))']],
    [
      'python quote_plus',
      ['python3', '-c', 'import urllib.parse,sys; print(urllib.parse.quote_plus(sys.stdin.read()))'],
    ],
    ['python shlex', ['python3', '-c', 'import shlex,sys; print(shlex.quote(sys.stdin.read()))']],
    ['python html', ['python3', '-c', 'import html,sys; print(html.escape(sys.stdin.read()))']],
    ['bash printf %q', ['bash', '-c', `printf %q "$(cat)"`]],
    ['base64', ['base64', '-w0']],
  ] as const)('cover what %s writes', (_, [program, ...args]) => {
    // Bash switches to $'…' for bytes that are not printable in the locale.
    const text = program === 'bash' ? `a"b'c d\\e<f>&g/h:i#j$k%l+m~n(o)p!q*` : value;
    expect(
      isCovered(
        text,
        execFileSync(program, args, { input: text, env: { ...process.env, PYTHONIOENCODING: 'utf-8' } }).toString(),
      ),
    ).toBe(true);
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
