import { constants, createZstdCompress, createZstdDecompress, type ZstdCompress, type ZstdDecompress } from 'node:zlib';
import { FrameSplitter } from './zstd-frames.ts';

// Twice the window of level 3: that each frame begins anew costs next to nothing (measured: under 0.1 % on text).
const frameBytes = 1024 * 1024;
// As many frames as are compressed at once, each in a thread of Node's pool.
const framesAtOnce = 2;
/** Size of the memory that the decompressor fills, piece by piece. */
export const decompressedBytes: number = 512 * 1024;
const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 };

/** Where the content of a zstd stream does not end with a frame. */
export class EndsEarlyError extends Error {
  constructor() {
    super('the zstd stream ends in the middle');
  }
}

/**
 * Zstandard at level 3 as a row of frames of 4 MiB, two at a time; `zstd -d` and every other decompressor reads them as one. Each piece is an
 * `ArrayBuffer` of its own. Where a cut between two frames must be found without an outer format, take `compressOneFrame`.
 */
export async function* compressFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const running: { readonly frame: Promise<Uint8Array>; readonly input: Buffer }[] = [];
  const free: Buffer[] = [];
  let input: Buffer = Buffer.allocUnsafeSlow(frameBytes);
  let filled = 0;
  let started = 0;
  const start = (): void => {
    const frame = compressed(input.subarray(0, filled));
    // It is awaited later, or never when another one fails first.
    frame.catch(() => undefined);
    running.push({ frame, input });
    started += 1;
    filled = 0;
  };
  const finished = async (): Promise<Uint8Array> => {
    const first = running.shift();
    if (first === undefined) throw new Error('No frame is being compressed.');
    const frame = await first.frame;
    free.push(first.input);
    return frame;
  };
  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + frameBytes - filled);
        input.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < frameBytes) continue;
        start();
        if (running.length >= framesAtOnce) yield await finished();
        input = free.pop() ?? Buffer.allocUnsafeSlow(frameBytes);
      }
    }
    if (filled > 0 || started === 0) start();
    while (running.length > 0) yield await finished();
  } finally {
    // The pool still writes there.
    await Promise.allSettled(running.map(({ frame }) => frame));
  }
}

/** Zstandard at level 3 as one frame, which shows where it was cut. */
export async function* compressOneFrame(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const engine = quiet(createZstdCompress({ chunkSize: decompressedBytes, params }));
  for await (const chunk of source) yield* worked(engine, chunk, false);
  yield* worked(engine, new Uint8Array(0), true);
}

/** Decompresses any row of frames. Throws an `EndsEarlyError`, a `FrameError` or what zlib says of damaged data. */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const splitter = new FrameSplitter();
  // A piece that ends with its frame leaves the engine ready for the next one.
  const engine = quiet(createZstdDecompress({ chunkSize: decompressedBytes }));
  try {
    for await (const chunk of source) for (const part of splitter.split(chunk)) yield* worked(engine, part, false);
    if (!splitter.isAtBoundary) throw new EndsEarlyError();
  } finally {
    engine.destroy();
  }
}

// Node's own function for this copies the frame, as it comes in two parts of one memory.
async function compressed(input: Uint8Array): Promise<Uint8Array> {
  const engine = createZstdCompress({ chunkSize: boundOf(input.length), pledgedSrcSize: input.length, params });
  engine.end(input);
  const parts: Uint8Array[] = [];
  for await (const part of engine as AsyncIterable<Uint8Array>) parts.push(part);
  const [{ buffer, byteOffset } = new Uint8Array(0)] = parts;
  const isOnePart = parts.every(
    (part, index) => part.buffer === buffer && (index === 0 || part.byteOffset === endOf(parts[index - 1])),
  );
  return isOnePart ? new Uint8Array(buffer, byteOffset, endOf(parts.at(-1)) - byteOffset) : Buffer.concat(parts);
}

function endOf({ byteOffset, length }: Uint8Array = new Uint8Array(0)): number {
  return byteOffset + length;
}

// ZSTD_COMPRESSBOUND of zstd.h, so that a frame has room in one memory.
function boundOf(bytes: number): number {
  return Math.max(1024, bytes + Math.ceil(bytes / 256) + 128);
}

// An error that nobody waits for is no crash.
function quiet<T extends ZstdDecompress | ZstdCompress>(engine: T): T {
  engine.on('error', () => undefined);
  return engine;
}

/** Gives one piece to the engine and gives what comes out until all of it is taken; with `ends`, until the end. */
async function* worked(
  engine: ZstdCompress | ZstdDecompress,
  bytes: Uint8Array,
  ends: boolean,
): AsyncGenerator<Uint8Array> {
  let isTaken = false;
  let failed: { readonly error: unknown } | undefined;
  let wake: () => void = () => undefined;
  const changed = (): void => {
    wake();
  };
  const fail = (error: unknown): void => {
    failed ??= { error };
    wake();
  };
  engine.on('readable', changed).on('end', changed).on('error', fail);
  try {
    engine.write(bytes, (error) => {
      if (error) fail(error);
      isTaken = true;
      wake();
    });
    if (ends) engine.end();
    for (;;) {
      const output = engine.read() as Buffer | null;
      if (output !== null) yield output;
      else if (failed !== undefined) throw failed.error;
      else if (ends ? engine.readableEnded : isTaken) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    engine.off('readable', changed).off('end', changed).off('error', fail);
  }
}
