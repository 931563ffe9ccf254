import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { pieces } from '../test/streams.ts';
import { checkPassphrase, generatePassphrase, readPassphraseFile, readPassphraseStream } from './index.ts';

const good = 'six words that nobody would guess';

describe('a passphrase', () => {
  it.each([
    good,
    'ä'.repeat(10) + 'öüßéèñ0123456789',
    'x1!y2@z3#w4$v5%u6^t7',
    '🐌🐙🦔🐢🦎🐊🐍🐠🐬🐳🦈🐅🐆🦓🦍🐘🦛🦏🐪🦒',
  ])('may be %s', (text) => {
    expect(() => {
      checkPassphrase(new Secret(text));
    }).not.toThrow();
  });

  it.each([
    ['', 'is empty'],
    ['nineteen characters', 'too short: 19 characters'],
    ['🐌'.repeat(10), 'too short: 10 characters'],
    ['a'.repeat(64), 'too easy'],
    ['abcdeabcdeabcdeabcdeabcde', 'too easy'],
    [`${good} `, 'blank'],
    [`${good}\r`, 'carriage return'],
    [`${good}\nmore`, 'more than one line'],
    [`${good}\0`, 'control character'],
    [`${good}\u007f`, 'control character'],
    [`${good}\ud800`, 'not UTF-8'],
    ['ab cd ef '.repeat(40) + 'x', 'longer than 255 bytes'],
  ])('must not be %j', (text, why) => {
    expect(() => {
      checkPassphrase(new Secret(text));
    }).toThrow(
      expect.objectContaining({ code: 'PASSPHRASE_INVALID', message: expect.stringContaining(why) as string }),
    );
  });

  it('is not told in the error about it', () => {
    try {
      checkPassphrase(new Secret('hunter2hunter2'));
      expect.unreachable();
    } catch (error) {
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2');
    }
  });

  it('that is generated is strong, and another one each time', () => {
    const all = Array.from({ length: 200 }, () => generatePassphrase());
    for (const one of all) checkPassphrase(one);
    expect(new Set(all.map((one) => one.reveal())).size).toBe(200);
    // 28 of 31 signs: 138 bits.
    expect(all[0]?.reveal()).toMatch(/^[2-9a-hj-km-np-z]{4}(-[2-9a-hj-km-np-z]{4}){6}$/);
  });
});

describe('a passphrase file', () => {
  it.each([
    [`${good}\n`, good],
    [good, good],
    [`${good}\nsecond line\r\n`, good],
    // Old backups must open, however weak theirs was.
    ['weak\n', 'weak'],
  ])('%j gives its first line', async (content, expected) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'passphrase');
    await writeFile(path, content, { mode: 0o600 });
    expect((await readPassphraseFile(path)).reveal()).toBe(expected);
  });

  it.each([
    ['', 'is empty'],
    ['\nsecond', 'is empty'],
    [`${good}\r\n`, 'carriage return'],
    [Buffer.from([0x61, 0xff, 0x62]), 'not UTF-8'],
  ])('%j is refused', async (content, why) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'passphrase');
    await writeFile(path, content, { mode: 0o600 });
    await expect(readPassphraseFile(path)).rejects.toMatchObject({
      code: 'PASSPHRASE_INVALID',
      message: expect.stringContaining(why) as string,
    });
  });

  it.each([0o640, 0o604, 0o660])('that others may read (%i) is refused, and the hint closes it', async (mode) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'passphrase');
    await writeFile(path, good);
    await chmod(path, mode);
    await expect(readPassphraseFile(path)).rejects.toMatchObject({
      code: 'FILE_TOO_OPEN',
      hint: expect.stringContaining('chmod 600') as string,
    });
    await chmod(path, 0o600);
    expect((await readPassphraseFile(path)).reveal()).toBe(good);
  });
});

describe('a passphrase on a stream', () => {
  it.each([1, 3, 1000])('is its first line, in pieces of %i', async (size) => {
    const read = await readPassphraseStream(pieces(Buffer.from(`${good} ä\nrest`), size));
    expect(read.reveal()).toBe(`${good} ä`);
  });

  it('is not waited for beyond its line', async () => {
    const endless = async function* (): AsyncGenerator<string> {
      yield `${good}\n`;
      await new Promise(() => undefined);
    };
    expect((await readPassphraseStream(endless())).reveal()).toBe(good);
  });

  it('that never ends its line is refused', async () => {
    const endless = async function* (): AsyncGenerator<string> {
      for (;;) {
        await Promise.resolve();
        yield good;
      }
    };
    await expect(readPassphraseStream(endless())).rejects.toMatchObject({ code: 'PASSPHRASE_INVALID' });
  });
});
