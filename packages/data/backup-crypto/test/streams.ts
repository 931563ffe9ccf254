import { createHash, createHmac } from 'node:crypto';
import type { Measure } from '../src/index.ts';

/** The bytes as a stream of pieces of that size. */
export async function* pieces(bytes: Uint8Array, size: number = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

/** All that a stream gives. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Bytes that look random and are the same each time (xorshift32). */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length + 4);
  let state = seed;
  for (let at = 0; at < length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, at);
  }
  return bytes.subarray(0, length);
}

/** What the package should measure of these bytes. */
export function measureOf(bytes: Uint8Array, key?: Uint8Array): Measure {
  const hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  return { bytes: bytes.length, sha256: hash.update(bytes).digest('hex') };
}

/** The code of the error that something ends with; `none` where it does not. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  );
}
