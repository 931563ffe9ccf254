import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret, isSecret, secret } from './index.ts';

const copyOfThis: string = './secret.ts?copy';
const value = 'correct-horse-battery';

describe('a secret', () => {
  it('gives its value up only when asked by name', () => {
    expect(new Secret(value).reveal()).toBe(value);
    expect(new Secret({ a: 1 }).reveal()).toEqual({ a: 1 });
  });

  it('hides itself at every depth of whatever holds it', () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constant(null).map(() => new Secret(value)),
        fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
        fc.dictionary(fc.string({ maxLength: 5 }), tie('tree'), { minKeys: 1, maxKeys: 3 }),
        tie('tree').map((inner) => new Map([['key', inner]])),
        tie('tree').map((inner) => new Secret(inner)),
        tie('tree').map((inner) => Object.assign(new Error('x'), { inner })),
      ),
    }));
    fc.assert(
      fc.property(tree, (holder) => {
        const shown = [
          inspect(holder, { depth: Infinity, showHidden: true, getters: true }),
          JSON.stringify(holder),
          format('%s %o %O %j', holder, holder, holder, holder),
          String(new Error('x', { cause: holder }).stack),
          inspect(new Error('x', { cause: holder }), { depth: Infinity }),
        ];
        for (const text of shown) expect(text).not.toContain(value);
      }),
    );
  });

  it('hides itself in strings, keys and copies', () => {
    const hidden = new Secret(value);
    expect(String(hidden)).toBe('[secret]');
    expect(`<${hidden as unknown as string}>`).toBe('<[secret]>');
    expect(JSON.stringify({ hidden })).toBe('{"hidden":"[secret]"}');
    expect(Object.keys(hidden)).toEqual([]);
    expect(JSON.stringify(Object.assign({}, hidden))).toBe('{}');
    expect(JSON.stringify(structuredClone(hidden))).toBe('{}');
  });

  it('cannot be changed', () => {
    expect(Object.isFrozen(new Secret(value))).toBe(true);
  });
});

describe('wrapping', () => {
  it('makes a secret of a value once', () => {
    const hidden = secret(value);
    expect(hidden.reveal()).toBe(value);
    expect(secret(hidden)).toBe(hidden);
  });

  it('recognises the secrets of another copy of the package, and nothing else', async () => {
    const copy = (await import(copyOfThis)) as typeof import('./index.ts');
    expect(isSecret(new copy.Secret(value))).toBe(true);
    for (const other of [undefined, null, value, {}, { reveal: () => value }]) expect(isSecret(other)).toBe(false);
  });
});
