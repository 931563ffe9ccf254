/**
 * What a program wrote, up to the mark that was written after it, and no byte of the mark. A chunk is passed on at once, but for those of its
 * last bytes that may be the beginning of the mark. Reading goes on to the end; tells as soon as the mark was there.
 */
export async function* untilMark(
  chunks: AsyncIterable<Uint8Array>,
  mark: Uint8Array,
  onMark: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const kept = bytes.length - beginningsOf(mark, bytes);
    held = bytes.subarray(kept);
    if (held.length === mark.length) {
      onMark();
      held = new Uint8Array();
    }
    if (kept > 0) yield bytes.subarray(0, kept);
  }
  if (held.length > 0) yield held;
}

// How many of the last bytes are the first ones of the mark.
function beginningsOf(mark: Uint8Array, bytes: Uint8Array): number {
  for (let length = Math.min(mark.length, bytes.length); length > 0; length -= 1)
    if (Buffer.compare(bytes.subarray(-length), mark.subarray(0, length)) === 0) return length;
  return 0;
}
