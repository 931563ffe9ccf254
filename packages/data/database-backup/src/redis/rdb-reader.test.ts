import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chunked, collect } from '../../test/parts.ts';
import { compareFingerprints } from '../fingerprint.ts';
import type { Fingerprint } from '../types.ts';
import { Crc64 } from './crc64.ts';
import { KeysFingerprint } from './keys-fingerprint.ts';
import { decompressLzf } from './lzf.ts';
import { intsetElements, listpackElements, ziplistElements } from './packed.ts';
import { dumpPayload, readRdb, verifiedRdb, type RdbKey, type RdbRecord } from './rdb-reader.ts';
import { allSlots, SlotSet, slotOf } from './slots.ts';
import { digestKey } from './value-digest.ts';

// Written by Redis 8.0.2: every type, short and long, with times to live and names that are no text.
const file = readFileSync(new URL('../../test/redis-8.0.rdb', import.meta.url));
const snapshotAt = new Date('2026-11-21T11:00:00Z');

async function records(bytes: Uint8Array, chunk = 64 * 1024): Promise<RdbRecord[]> {
  const list: RdbRecord[] = [];
  for await (const record of readRdb(chunked(bytes, chunk))) list.push(record);
  return list;
}

async function fingerprint(bytes: Uint8Array): Promise<Fingerprint> {
  const sum = new KeysFingerprint({ slots: SlotSet.of(allSlots), snapshotAt });
  for (const record of await records(bytes)) sum.add(record);
  return sum.finish();
}

// A file of one record, so that what older servers wrote can be read too.
function fileOf(...parts: readonly (readonly number[] | Buffer | string)[]): Buffer {
  const body = Buffer.concat([
    Buffer.from('REDIS0012'),
    ...parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))),
    Buffer.from([255]),
  ]);
  return Buffer.concat([body, new Crc64().update(body).bytes()]);
}

async function digestOf(type: number, value: readonly number[] | Buffer, key = 'k'): Promise<string | undefined> {
  const [, record] = await records(fileOf([type, key.length], key, value));
  if (record?.kind !== 'key') throw new Error('there is no key');
  return digestKey(record, snapshotAt.getTime())?.sha256.toString('hex');
}

// A string of less than 64 bytes, as RDB files have it.
const text = (value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value);
  return bytes.length < 64
    ? Buffer.concat([Buffer.from([bytes.length]), bytes])
    : Buffer.concat([Buffer.from([0x40 | (bytes.length >> 8), bytes.length & 0xff]), bytes]);
};

describe('an RDB file', () => {
  it.each([1, 2, 7, 1000, 1_000_000])('is read in pieces of %i bytes', async (chunk) => {
    const list = await records(file, chunk);
    const keys = list.filter((record): record is RdbKey => record.kind === 'key');
    expect(list[0]).toEqual({ kind: 'header', version: 12 });
    expect(keys).toHaveLength(30);
    expect(keys.map(({ key }) => key.toString('latin1'))).toContain('bin\0\xff\xfe key');
    expect(keys.map(({ key }) => key.toString())).toContain('日本 ключ');
    expect(keys.find(({ key }) => key.toString() === 'expiring')).toMatchObject({ expiresAt: 4_102_444_800_000 });
    expect(keys.find(({ key }) => key.toString() === 'other:db')).toMatchObject({ database: 3 });
    expect(list.filter(({ kind }) => kind === 'function')).toHaveLength(1);
    expect(new Set(keys.map(({ type }) => type))).toEqual(new Set([0, 2, 4, 5, 11, 16, 17, 18, 20, 21, 24, 25]));
  });

  it('is told from one with a single byte changed, wherever it is', async () => {
    const expected = await fingerprint(file);
    expect(compareFingerprints(expected, await fingerprint(file))).toEqual([]);
    for (let at = 0; at < file.length; at += at < 1000 ? 1 : 97) {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      // All zeros in place of the checksum would mean that there is none.
      await expect(records(changed), String(at)).rejects.toThrow();
      await expect(collect(verifiedRdb(chunked(changed))), String(at)).rejects.toThrow('checksum');
    }
  });

  it('that is cut, or goes on behind its end, is refused', async () => {
    for (const length of [0, 5, 9, 100, file.length >> 1, file.length - 9, file.length - 8, file.length - 1])
      await expect(records(file.subarray(0, length)), String(length)).rejects.toThrow();
    await expect(records(Buffer.concat([file, Buffer.from([0])]))).rejects.toThrow('behind the end');
    await expect(records(Buffer.from('not an RDB file at all'))).rejects.toThrow('no RDB file');
    await expect(collect(verifiedRdb(chunked(file.subarray(0, 1000))))).rejects.toThrow('checksum');
    expect((await collect(verifiedRdb(chunked(file, 100)))).equals(file)).toBe(true);
  });

  it('without a checksum, or with what is unknown, is read or refused by what it holds', async () => {
    const unsummed = Buffer.concat([file.subarray(0, -8), Buffer.alloc(8)]);
    expect(await records(unsummed)).toHaveLength(32);
    await expect(collect(verifiedRdb(chunked(unsummed)))).resolves.toHaveLength(file.length);
    await expect(records(fileOf([6, 1, 107, 0]))).rejects.toThrow('type 6');
    await expect(records(fileOf([0, 1, 107, 0xff]))).rejects.toThrow('unknown form');
    await expect(records(fileOf([0, 0x82, 1, 1]))).rejects.toThrow('unknown form');
    await expect(records(fileOf([2, 1, 107, 0xc0, 1]))).rejects.toThrow('where a length should');
    await expect(records(fileOf([7, 1, 107, 5, 9, 0]))).rejects.toThrow('module');
  });

  it('with everything else that may stand there is read to its end', async () => {
    const list = await records(
      fileOf(
        [250, 1, 97, 1, 98], // aux
        [247, 5, 2, 7, 1, 3, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 120, 0], // a module's own
        [254, 2, 251, 1, 0], // database 2, sizes
        [244, 3, 1, 0], // a slot
        [253, 0xff, 0xff, 0xff, 0x7f, 248, 9, 249, 7, 0, 1, 107, 1, 118], // seconds, idle, frequency
        [7, 1, 109, 5, 5, 1, 120, 0], // a module's value
      ),
    );
    expect(list).toMatchObject([
      { kind: 'header' },
      { kind: 'key', database: 2, expiresAt: 2_147_483_647_000, idle: 9, frequency: 7 },
      { kind: 'key', type: 7 },
    ]);
  });
});

describe('a value', () => {
  it('has one digest however it is stored', async () => {
    const forms: Readonly<Record<string, readonly (readonly [number, Buffer])[]>> = {
      string: [
        [0, text('123')],
        [0, Buffer.from([0xc0, 123])],
        [0, Buffer.from([0xc1, 123, 0])],
        [0, Buffer.from([0xc2, 123, 0, 0, 0])],
      ],
      list: [
        [1, Buffer.concat([Buffer.from([2]), text('a'), text('5')])],
        [10, text(ziplist(['a', 5]))],
        [14, Buffer.concat([Buffer.from([2]), text(ziplist(['a'])), text(ziplist([5]))])],
        [18, Buffer.concat([Buffer.from([2, 2]), text(listpack(['a'])), Buffer.from([1]), text('5')])],
      ],
      set: [
        [2, Buffer.concat([Buffer.from([2]), text('7'), text('-3')])],
        [11, text(Buffer.from([2, 0, 0, 0, 2, 0, 0, 0, 0xfd, 0xff, 7, 0]))],
        [20, text(listpack([7, -3]))],
      ],
      'sorted set': [
        [3, Buffer.concat([Buffer.from([2]), text('m'), text('2.5'), text('n'), Buffer.from([254])])],
        [12, text(ziplist(['m', '2.5', 'n', 'inf']))],
        [17, text(listpack(['m', '2.5', 'n', 'inf']))],
        [5, Buffer.concat([Buffer.from([2]), text('n'), double(Infinity), text('m'), double(2.5)])],
      ],
      hash: [
        [4, Buffer.concat([Buffer.from([2]), text('f'), text('1'), text('g'), text('x')])],
        [13, text(ziplist(['g', 'x', 'f', 1]))],
        [16, text(listpack(['g', 'x', 'f', 1]))],
        [25, Buffer.concat([Buffer.alloc(8), text(listpack(['f', 1, 0, 'g', 'x', 0]))])],
      ],
    };
    for (const [name, stored] of Object.entries(forms)) {
      const digests = await Promise.all(stored.map(([type, value]) => digestOf(type, value)));
      expect(new Set(digests).size, name).toBe(1);
    }
  });

  it('has another digest for another order of a list, field, score, key or time', async () => {
    const list = await digestOf(18, Buffer.concat([Buffer.from([1, 2]), text(listpack(['a', 'b']))]));
    expect(await digestOf(18, Buffer.concat([Buffer.from([1, 2]), text(listpack(['b', 'a']))]))).not.toBe(list);
    expect(await digestOf(18, Buffer.concat([Buffer.from([1, 2]), text(listpack(['ab', '']))]))).not.toBe(list);
    const hash = await digestOf(16, text(listpack(['f', 'v'])));
    expect(await digestOf(16, text(listpack(['f', 'w'])))).not.toBe(hash);
    expect(await digestOf(16, text(listpack(['f', 'v'])), 'K')).not.toBe(hash);
    const score = await digestOf(17, text(listpack(['m', '1.5'])));
    expect(await digestOf(17, text(listpack(['m', '1.25'])))).not.toBe(score);
    const time = (at: string): Buffer => Buffer.concat([Buffer.alloc(8), text(listpack(['f', 'v', at]))]);
    expect(await digestOf(25, time('4102444800000'))).not.toBe(await digestOf(25, time('4102444800001')));
  });

  it('that has expired is not counted, in whole or in part', async () => {
    const past = '1000';
    const time = (at: string): Buffer => Buffer.concat([Buffer.alloc(8), text(listpack(['f', 'v', at, 'g', 'w', 0]))]);
    expect(await digestOf(25, time(past))).toBe(await digestOf(16, text(listpack(['g', 'w']))));
    expect(await digestOf(25, Buffer.concat([Buffer.alloc(8), text(listpack(['f', 'v', past]))]))).toBeUndefined();
    const [, record] = await records(fileOf([252], Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), [0, 1, 107, 1, 118]));
    if (record?.kind !== 'key') throw new Error('there is no key');
    expect(digestKey(record, 0)).toBeDefined();
    expect(digestKey(record, 1)).toBeUndefined();
  });

  it('that is damaged inside is refused', () => {
    expect(() => decompressLzf(Buffer.from([5, 1]), 10)).toThrow();
    expect(() => decompressLzf(Buffer.from([0x20, 200]), 10)).toThrow();
    expect(() => decompressLzf(Buffer.from([0, 1]), 10)).toThrow();
    expect(() => intsetElements(Buffer.from([2, 0, 0, 0, 9, 0, 0, 0, 1, 0]))).toThrow();
    expect(() => listpackElements(Buffer.concat([listpack(['a']), Buffer.from([0])]))).toThrow();
    expect(() => listpackElements(listpack(['abc']).subarray(0, -3))).toThrow();
    expect(() => listpackElements(Buffer.from([8, 0, 0, 0, 1, 0, 0xf5, 0xff]))).toThrow();
    expect(() => ziplistElements(ziplist(['abc']).subarray(0, -2))).toThrow();
    expect(() => ziplistElements(Buffer.concat([Buffer.alloc(10), Buffer.from([0, 0xff, 0xff])]))).toThrow();
  });

  it('is packed in numbers of every size', () => {
    const numbers = [
      '0',
      '127',
      '-1',
      '4095',
      '-4096',
      '32767',
      '-32768',
      '8388607',
      '-8388608',
      '2147483647',
      '-2147483648',
      '9223372036854775807',
      '-9223372036854775808',
    ];
    expect(listpackElements(listpack(numbers.map(BigInt))).map(String)).toEqual(numbers);
    expect(ziplistElements(ziplist(numbers.map(BigInt))).map(String)).toEqual(numbers);
    const long = 'x'.repeat(5000);
    expect(listpackElements(listpack([long, 'y'.repeat(100)])).map(String)).toEqual([long, 'y'.repeat(100)]);
    expect(
      ziplistElements(ziplist(['y'.repeat(100), 'z'.repeat(17_000), 'a'])).map((element) => element.length),
    ).toEqual([100, 17_000, 1]);
    expect(
      intsetElements(
        Buffer.concat([Buffer.from([8, 0, 0, 0, 1, 0, 0, 0]), Buffer.from(new BigInt64Array([-5n]).buffer)]),
      ).map(String),
    ).toEqual(['-5']);
  });
});

describe('checksums and slots', () => {
  it('are those of Redis', () => {
    expect(new Crc64().update(Buffer.from('123456789')).bytes().readBigUInt64LE()).toBe(0xe9c6d914c4b8d9can);
    const random = Buffer.from(Array.from({ length: 1000 }, (_, index) => (index * 7919) & 0xff));
    const pieces = new Crc64();
    for (let at = 0; at < 1000; at += 13) pieces.update(random.subarray(at, at + 13));
    expect(pieces.bytes()).toEqual(new Crc64().update(random).bytes());
    expect(slotOf(Buffer.from('123456789'))).toBe(12_739);
    expect(slotOf(Buffer.from('foo{hash_tag}bar'))).toBe(slotOf(Buffer.from('hash_tag')));
    expect(slotOf(Buffer.from('foo{}bar'))).not.toBe(slotOf(Buffer.from('')));
    expect(slotOf(Buffer.from('foo{{bar}}zap'))).toBe(slotOf(Buffer.from('{bar')));
    expect(dumpPayload({ type: 0, value: Buffer.from([1, 97]) }, 12).length).toBe(13);
  });

  it('are written as ranges and read from them', () => {
    const set = SlotSet.of(['0-5460', '7', '16383']);
    expect(set.size).toBe(5462);
    expect(set.ranges()).toEqual(['0-5460', '16383']);
    expect(set.and(SlotSet.of(['5460-6000']))).toEqual([5460]);
    for (const bad of ['', 'a', '5-4', '16384', '-1', '1-2-3']) expect(() => SlotSet.of([bad]), bad).toThrow();
  });
});

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

type Packable = string | number | bigint;

function listpack(elements: readonly Packable[]): Buffer {
  const encoded = elements.map((element) => {
    const bytes = typeof element === 'string' ? listpackString(element) : listpackNumber(BigInt(element));
    const size = bytes.length;
    const back = size < 128 ? 1 : size < 16_384 ? 2 : 3;
    return Buffer.concat([bytes, Buffer.alloc(back)]);
  });
  const body = Buffer.concat(encoded);
  const header = Buffer.alloc(6);
  header.writeUInt32LE(6 + body.length + 1, 0);
  header.writeUInt16LE(elements.length, 4);
  return Buffer.concat([header, body, Buffer.from([0xff])]);
}

function listpackString(value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length < 64) return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
  if (bytes.length < 4096)
    return Buffer.concat([Buffer.from([0xe0 | (bytes.length >> 8), bytes.length & 0xff]), bytes]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([Buffer.from([0xf0]), length, bytes]);
}

function listpackNumber(value: bigint): Buffer {
  if (value >= 0n && value < 128n) return Buffer.from([Number(value)]);
  if (value >= -4096n && value < 4096n) {
    const bits = Number(value) & 0x1fff;
    return Buffer.from([0xc0 | (bits >> 8), bits & 0xff]);
  }
  for (const [index, size] of [2, 3, 4].entries()) {
    const limit = 1n << BigInt(8 * size - 1);
    if (value < -limit || value >= limit) continue;
    const bytes = Buffer.alloc(1 + size);
    bytes[0] = 0xf1 + index;
    bytes.writeIntLE(Number(value), 1, size);
    return bytes;
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xf4;
  bytes.writeBigInt64LE(value, 1);
  return bytes;
}

function ziplist(elements: readonly Packable[]): Buffer {
  const body = Buffer.concat(
    elements.map((element, index) => {
      const previous =
        index === 0
          ? Buffer.from([0])
          : typeof elements[index - 1] === 'string' && String(elements[index - 1]).length > 250
            ? Buffer.from([254, 0, 0, 0, 0])
            : Buffer.from([1]);
      return Buffer.concat([
        previous,
        typeof element === 'string' ? ziplistString(element) : ziplistNumber(BigInt(element)),
      ]);
    }),
  );
  return Buffer.concat([Buffer.alloc(10), body, Buffer.from([0xff])]);
}

function ziplistString(value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length < 64) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  if (bytes.length < 16_384)
    return Buffer.concat([Buffer.from([0x40 | (bytes.length >> 8), bytes.length & 0xff]), bytes]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([Buffer.from([0x80]), length, bytes]);
}

function ziplistNumber(value: bigint): Buffer {
  if (value >= 0n && value <= 12n) return Buffer.from([0xf1 + Number(value)]);
  const forms: readonly (readonly [number, number])[] = [
    [1, 0xfe],
    [2, 0xc0],
    [3, 0xf0],
    [4, 0xd0],
  ];
  for (const [size, code] of forms) {
    const limit = 1n << BigInt(8 * size - 1);
    if (value < -limit || value >= limit) continue;
    const bytes = Buffer.alloc(1 + size);
    bytes[0] = code;
    bytes.writeIntLE(Number(value), 1, size);
    return bytes;
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xe0;
  bytes.writeBigInt64LE(value, 1);
  return bytes;
}
