import { decompressedBytes } from './zstd.ts';

/**
 * Gives the memory of a piece back at once, where it has that for itself or is the last part of what the decompressor fills: left to the garbage
 * collector, tens of megabytes of pieces that nobody needs any more pile up. Only for a piece that nobody else has seen, in the order of the stream.
 */
export function release({ buffer, byteOffset, length }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer) || byteOffset + length !== buffer.byteLength) return;
  if (length === buffer.byteLength || buffer.byteLength === decompressedBytes) buffer.transfer(0);
}
