/** The records of a pax header, `length key=value\n` each. Values stay bytes: attributes are not text. */
export function decodePax(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(32, at);
    const length = space < 0 ? NaN : Number(content.toString('latin1', at, space));
    const equals = content.indexOf(61, space);
    const end = at + length;
    if (!Number.isInteger(length) || end > content.length || equals < 0 || equals >= end || content[end - 1] !== 10)
      throw new Error('a pax header cannot be read');
    records.set(content.toString('utf8', space + 1, equals), content.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** A field of a header up to its first zero. */
export function fieldText(header: Buffer, offset: number, length: number): Buffer {
  const field = header.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

/** Octal digits, or GNU's binary form for large values. */
export function numberIn(header: Buffer, offset: number, length: number): number {
  const first = header[offset] ?? 0;
  if ((first & 0x80) !== 0) {
    if (first !== 0x80) throw new Error('a header holds a negative number');
    const value = header.subarray(offset + 1, offset + length).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value)) throw new Error('a header holds a number that is too large');
    return value;
  }
  const text = fieldText(header, offset, length).toString('latin1').trim();
  if (!/^[0-7]*$/.test(text)) throw new Error('a header holds a number that cannot be read');
  return text === '' ? 0 : Number.parseInt(text, 8);
}

/** Whether the sum of the header's bytes, its own field taken as spaces, is what it says. */
export function checksumFits(header: Buffer): boolean {
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  return sum === numberIn(header, 148, 8);
}

/** Whether there are zeros only. */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A name as text; what is not UTF-8 as `hex:…`, so that different names stay different. */
export function nameText(name: Uint8Array): string {
  try {
    return utf8.decode(name);
  } catch {
    return `hex:${Buffer.from(name).toString('hex')}`;
  }
}
