import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NeedleScanner, Secret, SecretRegistry } from './index.ts';

function registryOf(...values: string[]): SecretRegistry {
  const registry = new SecretRegistry();
  for (const value of values) registry.add(value);
  return registry;
}

describe('a registry of secrets', () => {
  it('masks a secret and each of its encodings', () => {
    const registry = new SecretRegistry();
    registry.add(new Secret('p@ss "word"'), 'postgres/password');
    expect(registry.redact('p@ss "word" in {"password":"p@ss \\"word\\""} or ?p=p%40ss+%22word%22')).toBe(
      '[secret] in {"password":"[secret]"} or ?p=[secret]',
    );
    for (const { text } of registry.needles()) expect(registry.redact(text.reveal())).toBe('[secret]');
  });

  it('changes nothing where there is no secret', () => {
    fc.assert(fc.property(fc.string(), (text) => registryOf('correct horse').redact(text) === text));
    expect(new SecretRegistry().redact('correct horse')).toBe('correct horse');
  });

  it('leaves no part readable of two secrets that overlap', () => {
    expect(registryOf('abcdefgh-middle', 'middle-12345678').redact('<abcdefgh-middle-12345678>')).toBe('<[secret]>');
  });

  it('prefers the longer of two secrets that begin alike, in either order', () => {
    expect(registryOf('password1', 'password1-long').redact('password1-long')).toBe('[secret]');
    expect(registryOf('password1-long', 'password1').redact('password1-long password1')).toBe('[secret] [secret]');
  });

  it('reports values that are too short to be searched for, and does not search for them', () => {
    const registry = new SecretRegistry();
    registry.add('short', 'redis/password');
    registry.add('');
    expect(registry.unscannable()).toEqual(['redis/password']);
    expect(registry.redact('a short story')).toBe('a short story');
  });

  it('masks the lines of a value that has several, but not the armour of PEM', () => {
    const pem =
      '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----\n';
    expect(registryOf(pem).redact('log | MIIEvQIBADANBgkqhkiG9w0BAQ\n-----BEGIN PRIVATE KEY-----')).toBe(
      'log | [secret]\n-----BEGIN PRIVATE KEY-----',
    );
  });

  it('says which secret it found where, and in what form', () => {
    const registry = new SecretRegistry();
    registry.add('correct horse', 'mysql/password');
    const encoded = Buffer.from('user:correct horse').toString('base64');
    expect(registry.find(`x correct horse ${encoded}`)).toMatchObject([
      { label: 'mysql/password', form: 'raw', start: 2, end: 15 },
      { label: 'mysql/password', form: 'base64' },
    ]);
  });

  it('knows a secret that was added later', () => {
    const registry = registryOf('correct horse');
    expect(registry.redact('battery staple')).toBe('battery staple');
    registry.add('battery staple');
    registry.add('battery staple');
    expect(registry.redact('battery staple correct horse')).toBe('[secret] [secret]');
  });

  it('shows no secret when it is printed', () => {
    const registry = registryOf('correct horse');
    expect(inspect(registry, { depth: Infinity, showHidden: true }) + JSON.stringify(registry)).not.toContain(
      'correct',
    );
    expect(inspect(registry.needles(), { depth: Infinity })).not.toContain('correct');
  });

  it('ignores a secret that is no text', () => {
    const registry = new SecretRegistry();
    registry.add(new Secret({ key: 1 }) as unknown as Secret);
    expect(registry.needles()).toEqual([]);
  });
});

describe('the scanner', () => {
  it('finds what a search for each needle finds, for any needles and text', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'ä'), minLength: 3, maxLength: 12 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'ä'), maxLength: 300 });
    fc.assert(
      fc.property(fc.uniqueArray(letters, { maxLength: 8 }), text, (needles, haystack) => {
        const found = new NeedleScanner(needles).find(haystack).map(({ start, end }) => [start, end]);
        expect(found).toEqual(findOneByOne(needles, haystack));
      }),
      { numRuns: 1000 },
    );
  });

  it('finds needles that are longer than a shift can be', () => {
    const needle = 'x'.repeat(300) + 'y'.repeat(300);
    expect(new NeedleScanner([needle]).find(`--${needle}--`)).toEqual([{ start: 2, end: 602, needle: 0 }]);
  });
});

/** The longest needle at each start. */
function findOneByOne(needles: readonly string[], text: string): number[][] {
  return Array.from(text, (_, start) => start).flatMap((start) => {
    const ends = needles.filter((needle) => text.startsWith(needle, start)).map((needle) => start + needle.length);
    return ends.length === 0 ? [] : [[start, Math.max(...ends)]];
  });
}
