import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameSplitter, LineJoiner, type OutputChunk } from './frames.ts';

function frame(stream: 'stdout' | 'stderr', payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream === 'stderr' ? 2 : 1;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

const parts = fc.array(
  fc.record({ stream: fc.constantFrom('stdout' as const, 'stderr' as const), text: fc.string({ unit: 'grapheme' }) }),
  { maxLength: 8 },
);

describe('frames', () => {
  it('are the same however the bytes are cut', () => {
    fc.assert(
      fc.property(parts, fc.infiniteStream(fc.integer({ min: 1, max: 20 })), (frames, sizes) => {
        const bytes = Buffer.concat(frames.map(({ stream, text }) => frame(stream, Buffer.from(text))));
        const splitter = new FrameSplitter();
        const seen: OutputChunk[] = [];
        for (let at = 0; at < bytes.length;) {
          const size = Number(sizes.next().value);
          seen.push(...splitter.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(seen.map(({ stream, bytes: payload }) => ({ stream, text: payload.toString() }))).toEqual(frames);
      }),
    );
  });

  it('do not exist on a terminal', () => {
    expect(new FrameSplitter(true).push(Buffer.from('\u0001'))).toEqual([
      { stream: 'stdout', bytes: Buffer.from('\u0001') },
    ]);
  });
});

describe('lines', () => {
  it('keep characters whole that are cut between chunks, per stream', () => {
    const joiner = new LineJoiner();
    const bytes = Buffer.from('grün\r\nx');
    const push = (stream: 'stdout' | 'stderr', from: number, to?: number): unknown =>
      joiner.push({ stream, bytes: bytes.subarray(from, to) });
    expect(push('stdout', 0, 3)).toEqual([]);
    expect(push('stderr', 0)).toEqual([{ stream: 'stderr', text: 'grün' }]);
    expect(push('stdout', 3)).toEqual([{ stream: 'stdout', text: 'grün' }]);
    expect(joiner.end()).toEqual([
      { stream: 'stdout', text: 'x' },
      { stream: 'stderr', text: 'x' },
    ]);
  });
});
