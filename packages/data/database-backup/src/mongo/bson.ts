/** What the headers of an archive are made of. */
export type BsonScalar = string | number | bigint | boolean;

/** A flat document as BSON (bsonspec.org): a number becomes an int32, a bigint an int64. */
export function encodeBson(fields: Readonly<Record<string, BsonScalar>>): Buffer {
  const body = Buffer.concat(Object.entries(fields).map(([name, value]) => element(name, value)));
  const head = Buffer.alloc(4);
  head.writeInt32LE(body.length + 5);
  return Buffer.concat([head, body, Buffer.alloc(1)]);
}

function element(name: string, value: BsonScalar): Buffer {
  const key = Buffer.from(`${name}\0`, 'utf8');
  if (typeof value === 'string') {
    const text = Buffer.from(`${value}\0`, 'utf8');
    const length = Buffer.alloc(4);
    length.writeInt32LE(text.length);
    return Buffer.concat([Buffer.of(0x02), key, length, text]);
  }
  if (typeof value === 'boolean') return Buffer.concat([Buffer.of(0x08), key, Buffer.of(value ? 1 : 0)]);
  const number = Buffer.alloc(typeof value === 'bigint' ? 8 : 4);
  if (typeof value === 'bigint') number.writeBigInt64LE(BigInt.asIntN(64, value));
  else number.writeInt32LE(value);
  return Buffer.concat([Buffer.of(typeof value === 'bigint' ? 0x12 : 0x10), key, number]);
}

/** The strings, booleans, int32 and int64 of a flat document; undefined where it has anything else or is broken. */
export function decodeBson(bytes: Buffer): Readonly<Record<string, BsonScalar>> | undefined {
  const fields: Record<string, BsonScalar> = {};
  try {
    let at = 4;
    while (bytes[at] !== 0) {
      const type = bytes[at];
      const end = bytes.indexOf(0, at + 1);
      if (end < 0) return undefined;
      const name = bytes.toString('utf8', at + 1, end);
      at = end + 1;
      if (type === 0x02) {
        const length = bytes.readInt32LE(at);
        if (length < 1 || at + 4 + length > bytes.length) return undefined;
        fields[name] = bytes.toString('utf8', at + 4, at + 3 + length);
        at += 4 + length;
      } else if (type === 0x08) {
        fields[name] = bytes.readUInt8(at) === 1;
        at += 1;
      } else if (type === 0x10) {
        fields[name] = bytes.readInt32LE(at);
        at += 4;
      } else if (type === 0x12) {
        fields[name] = bytes.readBigInt64LE(at);
        at += 8;
      } else return undefined;
    }
    return at + 1 === bytes.length ? fields : undefined;
  } catch {
    // It ends in the middle.
    return undefined;
  }
}
