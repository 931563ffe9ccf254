import { describe, expect, test } from 'vitest';
import { printable, table } from './table.ts';

describe('a table', () => {
  test('has aligned columns and no trailing blanks', () => {
    expect(
      table(
        ['a', 'bb'],
        [
          ['long', ''],
          ['x', 'y'],
        ],
      ),
    ).toBe('A     BB\nlong\nx     y\n');
  });

  test('shows what a terminal would act on: nobody who names a container or a file draws in it', () => {
    const text = table(
      ['service', 'from\u001B[2J'],
      [
        ['web\n\u001B[2J\u001B]0;owned\u0007\r', 'up'],
        ['db', 'ok\u202Egnihton'],
      ],
    );
    expect(text.split('\n')).toHaveLength(4);
    expect(text).not.toMatch(/[^\P{Cc}\n]|\u202E/u);
    expect(text).toContain('web\\u{a}\\u{1b}[2J');
  });

  test('leaves letters of every script as they are', () => {
    expect(printable('Grüße, 日本語, ‘quotes’, 👩‍🚀')).toBe('Grüße, 日本語, ‘quotes’, 👩‍🚀');
    expect(printable('\uD800')).toBe('\\u{d800}');
  });
});
