/**
 * Gives the memory of a piece back at once, where it has that for itself: left to the garbage collector, tens of megabytes of pieces that nobody
 * needs any more pile up. Only for a piece that nobody else has seen.
 */
export function release(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length) buffer.transfer(0);
}
