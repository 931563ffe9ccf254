import fc from 'fast-check';
import { expect, it } from 'vitest';
import { displayCommand } from './index.ts';
import { LineSplitter, OutputBuffer } from './output.ts';

it('lines are the same wherever the chunks are cut', () => {
  const piece = fc.constantFrom('a', 'ä', '€', '\n', '\r\n', '\r', ' ');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(120), { maxLength: 10 }), (pieces, positions) => {
      const bytes = Buffer.from(pieces.join(''));
      const edges = [0, ...positions.filter((position) => position < bytes.length).sort((a, b) => a - b), bytes.length];
      const lines: string[] = [];
      const splitter = new LineSplitter((text) => lines.push(text));
      for (const [index, end] of edges.slice(1).entries()) splitter.add(bytes.subarray(edges[index], end));
      splitter.end();
      const expected = bytes.toString().split(/\r\n|\n|\r/);
      if (expected.at(-1) === '') expected.pop();
      expect(lines).toEqual(expected);
    }),
  );
});

it('a buffer keeps the last bytes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 20 })),
      fc.integer({ min: 1, max: 50 }),
      (chunks, limit) => {
        const buffer = new OutputBuffer(limit);
        for (const chunk of chunks) buffer.add(Buffer.from(chunk));
        expect(buffer.text()).toBe(chunks.join('').slice(-limit));
        expect(buffer.isTruncated).toBe(chunks.join('').length > limit);
      },
    ),
  );
});

it('a command is shown as a shell would take it', () => {
  expect(displayCommand(['docker', 'run', '--name=x', "it's", 'a b', ''])).toBe(
    `docker run --name=x 'it'\\''s' 'a b' ''`,
  );
});
