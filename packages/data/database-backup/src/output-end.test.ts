import { describe, expect, it } from 'vitest';
import { untilMark } from './output-end.ts';

const mark = Buffer.from('\0end-of-it');

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size));
}

async function read(text: string, size: number): Promise<{ readonly text: string; readonly marks: number }> {
  let marks = 0;
  const found = await Array.fromAsync(untilMark(pieces(text, size), mark, () => (marks += 1)));
  return { text: Buffer.concat(found).toString(), marks };
}

describe('what a program wrote before its end mark', () => {
  it.each(['', 'rows', 'rows\0', 'rows\0end', '\0\0end-of-i', 'a'.repeat(100)])('is passed on: %j', async (text) => {
    for (let size = 1; size <= 120; size += 1)
      expect(await read(`${text}${mark.toString()}`, size)).toEqual({ text, marks: 1 });
  });

  it.each(['', 'rows', 'rows\0', 'rows\0end-of-i', '\0'])('is passed on without a mark: %j', async (text) => {
    for (let size = 1; size <= 20; size += 1) expect(await read(text, size)).toEqual({ text, marks: 0 });
  });

  it('is passed on as it comes', async () => {
    const steps: string[] = [];
    async function* slow(): AsyncGenerator<Uint8Array, void, undefined> {
      for (const text of ['one', 'two\0e', 'nd', '\0end-of-it']) {
        steps.push('reads');
        await Promise.resolve();
        yield Buffer.from(text);
      }
    }
    for await (const chunk of untilMark(slow(), mark, () => steps.push('mark')))
      steps.push(Buffer.from(chunk).toString());
    expect(steps).toEqual(['reads', 'one', 'reads', 'two', 'reads', 'reads', 'mark', '\0end']);
  });
});
