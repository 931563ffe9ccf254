import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InterpolationFailure, interpolate, type VariableUse } from './interpolate.ts';

const env = { A: 'va', E: '', a: 'lower' };

describe('a variable', () => {
  it.each([
    ['$A', 'va'],
    ['${A}', 'va'],
    ['$$A', '$A'],
    ['$$$A', '$va'],
    ['$', '$'],
    ['$ a', '$ a'],
    ['$1', '$1'],
    ['$_', ''],
    ['${a}', 'lower'],
    ['${U}', ''],
    ['${U:-d}', 'd'],
    ['${E:-d}', 'd'],
    ['${E-d}', ''],
    ['${A:-d}', 'va'],
    ['${U:-${A}}', 'va'],
    ['${U:-${U2:-x}y}z', 'xyz'],
    ['${U:-a:-b}', 'a:-b'],
    ['${U:-{x}}', '{x}'],
    ['${U:-a}b}', 'ab}'],
    ['${U:-a$$b}', 'a$b'],
    ['${A:+r}', 'r'],
    ['${E:+r}', ''],
    ['${E+r}', 'r'],
    ['${U+r}', ''],
    ['${A:?m}', 'va'],
    ['${E?m}', ''],
    ['x${A}y$A-z', 'xvayva-z'],
  ])('%s is %s', (text, expected) => {
    expect(interpolate(text, env)).toBe(expected);
  });

  it.each([
    ['${U:?msg}', 'required variable U is missing a value: msg', 0],
    ['ab${E:?}', 'required variable E is missing a value', 2],
    ['${U?need ${A}}', 'required variable U is missing a value: need va', 0],
    ['${A:-${}}', '"${}" is not a variable', 5],
    ['x${', '"${" is not a variable', 1],
    ['${}', '"${}" is not a variable', 0],
    ['${A!}', '"${A!}" is not a variable', 0],
    ['${1}', '"${1}" is not a variable', 0],
    ['${U:-\n}', 'is not a variable', 0],
  ])('%s is refused', (text, message, offset) => {
    let failure: unknown;
    try {
      interpolate(text, env);
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(InterpolationFailure);
    expect(failure).toMatchObject({ offset, message: expect.stringContaining(message) as unknown });
  });

  it('is reported with its default', () => {
    const uses: VariableUse[] = [];
    interpolate('${A:-1}${B:?m}$C${D+x}', { B: 'b' }, (use) => uses.push(use));
    expect(uses).toEqual([
      { name: 'A', default: '1', required: false },
      { name: 'B', required: true },
      { name: 'C', required: false },
      { name: 'D', required: false },
    ]);
  });

  it('does not come from what every object has', () => {
    expect(interpolate('${constructor}$toString', {})).toBe('');
  });

  it('leaves any text without a dollar as it is, and any text that is escaped', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(interpolate(text.replaceAll('$', '$$$$'), env)).toBe(text);
      }),
    );
  });
});
