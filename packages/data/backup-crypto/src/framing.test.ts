import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import * as openpgp from 'openpgp';
import { describe, expect, it } from 'vitest';
import { collect, noise, pieces } from '../test/streams.ts';
import { PacketScanner } from './packet-scanner.ts';
import { compressFrames, compressOneFrame, decompress } from './zstd.ts';
import { FrameSplitter } from './zstd-frames.ts';

/** A packet with a length in that form. */
function packet(tag: number, body: Buffer, form: 'new' | 'two' | 'five' | 'old1' | 'old2' | 'old4' = 'new'): Buffer {
  const { length } = body;
  const header = {
    new: [0xc0 | tag, length],
    two: [0xc0 | tag, 192 + ((length - 192) >> 8), (length - 192) & 0xff],
    five: [0xc0 | tag, 255, 0, 0, length >> 8, length & 0xff],
    old1: [0x80 | (tag << 2), length],
    old2: [0x81 | (tag << 2), length >> 8, length & 0xff],
    old4: [0x82 | (tag << 2), 0, 0, length >> 8, length & 0xff],
  }[form];
  return Buffer.concat([Buffer.from(header), body]);
}

const sessionKey = Buffer.concat([Buffer.from([4, 9, 3, 8]), noise(42)]);
const data = (length: number): Buffer => Buffer.concat([Buffer.from([1]), noise(length - 1)]);
const scan = (bytes: Buffer, size = bytes.length): PacketScanner => {
  const scanner = new PacketScanner();
  for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size));
  return scanner;
};

describe('the framing of a message', () => {
  const partial = Buffer.concat([
    Buffer.from([0xd2, 0xe9]),
    data(512),
    Buffer.from([0xea]),
    noise(1024),
    Buffer.from([5]),
    noise(5),
  ]);

  it.each([
    ['a length of one byte', packet(18, data(100))],
    ['a length of two bytes', packet(18, data(192), 'two')],
    ['the longest length of two bytes', packet(18, data(8383), 'two')],
    ['a length of four bytes', packet(18, data(20_000), 'five')],
    ['parts', partial],
  ])('may have %s, in pieces of any size', (_, body) => {
    for (const form of ['new', 'two', 'five', 'old1', 'old2', 'old4'] as const) {
      // Keys of 4,096 bits have more than 256 bytes.
      const isLong = ['two', 'five', 'old2', 'old4'].includes(form);
      const recipient = packet(1, noise(isLong ? 524 : 100), form);
      const whole = Buffer.concat([recipient, packet(3, sessionKey, form === 'two' ? 'new' : form), body]);
      for (const size of [1, 7, 1000]) expect(scan(whole, size).isComplete).toBe(true);
      expect(scan(whole.subarray(0, -1)).isComplete).toBe(false);
      expect(() => scan(Buffer.concat([whole, Buffer.from([0])]))).toThrow('goes on');
    }
  });

  it('tells what can open it', () => {
    expect(scan(packet(1, noise(100)))).toMatchObject({ hasPassphrase: false, isKeyUnchecked: false });
    expect(scan(packet(3, sessionKey))).toMatchObject({ hasPassphrase: true, isKeyUnchecked: false });
    expect(scan(packet(3, sessionKey.subarray(0, 13)))).toMatchObject({ hasPassphrase: true, isKeyUnchecked: true });
  });

  it.each([
    ['no packet', Buffer.from([0x2d]), 'notOpenPgp'],
    ['another packet', packet(11, noise(10)), 'notOpenPgp'],
    ['another packet behind the session key', Buffer.concat([packet(3, sessionKey), packet(10, noise(3))]), 'damaged'],
    ['a session key without end', Buffer.from([0x8f]), 'notOpenPgp'],
    ['a session key in parts', Buffer.from([0xc3, 0xe9]), 'notOpenPgp'],
    ['a huge session key', Buffer.concat([packet(3, sessionKey), Buffer.from([0x8e, 0, 1, 0, 0])]), 'damaged'],
    ['a newer version', packet(18, Buffer.concat([Buffer.from([2]), noise(50)])), 'notOpenPgp'],
  ])('must not have %s', (_, bytes, fault) => {
    expect(() => scan(bytes)).toThrow(expect.objectContaining({ fault }) as Error);
  });

  it('is found where openpgp.js writes it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 300_000 }), fc.boolean(), async (size, streamed) => {
        const binary = streamed ? ReadableStream.from<Uint8Array>(pieces(noise(size), 9999)) : noise(size);
        const output: unknown = await openpgp.encrypt({
          message: await openpgp.createMessage({ binary: binary as Uint8Array }),
          passwords: ['p'],
          format: 'binary',
          config: { aeadProtect: false, s2kType: openpgp.enums.s2k.iterated, s2kIterationCountByte: 0 },
        });
        const bytes = streamed
          ? await collect(output as ReadableStream<Uint8Array>)
          : Buffer.from(output as Uint8Array);
        expect(scan(bytes, 1013)).toMatchObject({ isComplete: true, hasPassphrase: true });
        expect(scan(bytes.subarray(0, -1)).isComplete).toBe(false);
      }),
      { numRuns: 25 },
    );
  });
});

describe('zstd frames', () => {
  it('come back the same, cut anywhere, and a cut inside of one is told', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 70_000 }),
        fc.boolean(),
        async (sizes, cut, isNoise) => {
          const contents = sizes.map((size) => (isNoise ? noise(size, size + 1) : Buffer.alloc(size, 'text ')));
          const bytes = Buffer.concat(contents.map((content) => zstdCompressSync(content)));
          const content = Buffer.concat(contents);
          const inPieces = pieces(bytes, Math.max(cut, Math.ceil(bytes.length / 500)));
          expect((await collect(decompress(inPieces))).equals(content)).toBe(true);
          await expect(collect(decompress(pieces(bytes.subarray(0, -1), 30_000)))).rejects.toThrow('in the middle');
        },
      ),
      { numRuns: 25 },
    );
  });

  it.each([0, 1, 1_048_576, 3_500_000])('of %i bytes are made two at a time, and one as one', async (size) => {
    const content = noise(size);
    const frames = await collect(compressFrames(pieces(content, 100_001)));
    expect((await collect(decompress(pieces(frames)))).equals(content)).toBe(true);
    const parts = [...new FrameSplitter().split(frames)];
    expect(parts).toHaveLength(Math.max(1, Math.ceil(size / 1_048_576)));
    const one = await collect(compressOneFrame(pieces(content, 100_001)));
    expect([...new FrameSplitter().split(one)]).toHaveLength(1);
    expect((await collect(decompress(pieces(one)))).equals(content)).toBe(true);
  });

  it('with a dictionary, a window or a size of any width are followed', () => {
    const last = Buffer.from([1, 0, 0]);
    const magic = Buffer.from('28b52ffd', 'hex');
    for (const [descriptor, header] of [
      [0x00, 1],
      [0x20, 1],
      [0x40, 3],
      [0x80, 5],
      [0xc0, 9],
      [0x01, 2],
      [0x02, 3],
      [0x03, 5],
    ] as const) {
      const frame = Buffer.concat([magic, Buffer.from([descriptor]), noise(header), last]);
      const splitter = new FrameSplitter();
      expect([...splitter.split(frame)]).toEqual([frame]);
      expect(splitter.isAtBoundary).toBe(true);
      expect([...splitter.split(frame.subarray(0, -1))]).toHaveLength(1);
      expect(splitter.isAtBoundary).toBe(false);
    }
    // A block of one repeated byte.
    const repeated = Buffer.concat([magic, Buffer.from([0x20, 9]), Buffer.from([0x4b, 0, 0, 0x61])]);
    expect([...new FrameSplitter().split(repeated)]).toEqual([repeated]);
  });
});
