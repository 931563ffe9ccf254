/** Elements of a listpack (redis/src/listpack.c); numbers as their decimal digits. */
export function listpackElements(pack: Buffer): Buffer[] {
  const elements: Buffer[] = [];
  let at = 6;
  for (;;) {
    const first = byteAt(pack, at);
    if (first === 0xff) break;
    const start = at;
    if (first < 0x80) {
      elements.push(decimal(first));
      at += 1;
    } else if (first < 0xc0) {
      elements.push(slice(pack, at + 1, first & 0x3f));
      at += 1 + (first & 0x3f);
    } else if (first < 0xe0) {
      const value = ((first & 0x1f) << 8) | byteAt(pack, at + 1);
      elements.push(decimal(value >= 4096 ? value - 8192 : value));
      at += 2;
    } else if (first < 0xf0) {
      const length = ((first & 0x0f) << 8) | byteAt(pack, at + 1);
      elements.push(slice(pack, at + 2, length));
      at += 2 + length;
    } else if (first === 0xf0) {
      const length = slice(pack, at + 1, 4).readUInt32LE();
      elements.push(slice(pack, at + 5, length));
      at += 5 + length;
    } else if (first <= 0xf4) {
      const size = [2, 3, 4, 8][first - 0xf1] ?? 0;
      const bytes = slice(pack, at + 1, size);
      elements.push(size === 8 ? decimal(bytes.readBigInt64LE()) : decimal(bytes.readIntLE(0, size)));
      at += 1 + size;
    } else throw new Error('a listpack holds an element of an unknown form');
    at += backLength(at - start);
  }
  if (at !== pack.length - 1 || pack.readUInt32LE(0) !== pack.length) throw new Error('a listpack is damaged');
  return elements;
}

// Each element is followed by its own length, in groups of seven bits.
function backLength(size: number): number {
  return size < 128 ? 1 : size < 16_384 ? 2 : size < 2_097_152 ? 3 : size < 268_435_456 ? 4 : 5;
}

/** Elements of a ziplist (redis/src/ziplist.c), which servers before 7.0 wrote. */
export function ziplistElements(list: Buffer): Buffer[] {
  const elements: Buffer[] = [];
  let at = 10;
  while (byteAt(list, at) !== 0xff) {
    at += byteAt(list, at) < 254 ? 1 : 5;
    const first = byteAt(list, at);
    at += 1;
    if (first < 0xc0) {
      let length = first & 0x3f;
      if (first >= 0x80) {
        length = slice(list, at, 4).readUInt32BE();
        at += 4;
      } else if (first >= 0x40) {
        length = (length << 8) | byteAt(list, at);
        at += 1;
      }
      elements.push(slice(list, at, length));
      at += length;
    } else if (first >= 0xf1 && first <= 0xfd) elements.push(decimal((first & 0x0f) - 1));
    else {
      const size = { 0xc0: 2, 0xd0: 4, 0xe0: 8, 0xf0: 3, 0xfe: 1 }[first];
      if (size === undefined) throw new Error('a ziplist holds an element of an unknown form');
      const bytes = slice(list, at, size);
      elements.push(size === 8 ? decimal(bytes.readBigInt64LE()) : decimal(bytes.readIntLE(0, size)));
      at += size;
    }
  }
  if (at !== list.length - 1) throw new Error('a ziplist is damaged');
  return elements;
}

/** Elements of an intset (redis/src/intset.c). */
export function intsetElements(set: Buffer): Buffer[] {
  const size = set.readUInt32LE(0);
  const count = set.readUInt32LE(4);
  if (![2, 4, 8].includes(size) || set.length !== 8 + size * count) throw new Error('an intset is damaged');
  return Array.from({ length: count }, (_, index) => {
    const at = 8 + index * size;
    return size === 8 ? decimal(set.readBigInt64LE(at)) : decimal(set.readIntLE(at, size));
  });
}

function decimal(value: number | bigint): Buffer {
  return Buffer.from(String(value), 'latin1');
}

function byteAt(bytes: Buffer, at: number): number {
  const value = bytes[at];
  if (value === undefined) throw new Error('a packed value ends too early');
  return value;
}

function slice(bytes: Buffer, at: number, length: number): Buffer {
  if (at + length > bytes.length) throw new Error('a packed value ends too early');
  return bytes.subarray(at, at + length);
}
