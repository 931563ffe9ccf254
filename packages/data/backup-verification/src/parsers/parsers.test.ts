import { describe, expect, it } from 'vitest';
import { fixture, pieces } from '../../test/bytes.ts';
import { defaultParsers, parserFor, type Parsed } from '../index.ts';
import { Crc64 } from './crc64.ts';

const part = { kind: 'any', name: 'part' };

async function parse(extension: string, bytes: Uint8Array | string, size = 1000): Promise<Parsed> {
  const parser = defaultParsers[extension];
  if (parser === undefined) throw new Error(`no parser for ${extension}`);
  return parser(pieces(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, size), part);
}

const refused = { code: 'ARTIFACT_MALFORMED' };

// Written by pg_dump 17.11, Redis and GNU tar 1.34.
const files = [
  ['dump', 'plain.dump', 'PostgreSQL custom-format dump 1.16', 16],
  ['dump', 'gzip.dump', 'PostgreSQL custom-format dump 1.16', 16],
  ['sql', 'globals.sql', 'SQL', 35],
  ['rdb', 'dump.rdb', 'Redis RDB 12', 1],
  ['tar', 'gnu.tar', 'tar archive', 8],
  ['tar', 'pax.tar', 'tar archive', 6],
] as const;

describe.each(files)('the %s of %s', (extension, file, format, entries) => {
  it('is whole, however it is cut into pieces', async () => {
    const bytes = await fixture(file);
    for (const size of [1, 7, 4096, bytes.byteLength])
      expect(await parse(extension, bytes, size)).toMatchObject({
        format: expect.stringContaining(format.slice(0, 9)) as string,
      });
    expect(await parse(extension, bytes)).toEqual({ format, entries });
  });

  it('is not whole when it is cut off anywhere', async () => {
    const bytes = await fixture(file);
    // Lines of comment and empty blocks after the end are no loss.
    const end =
      extension === 'sql'
        ? bytes.indexOf('dump complete')
        : extension === 'tar'
          ? lastContent(bytes) + 512
          : bytes.byteLength;
    for (let cut = 0; cut < end; cut += Math.max(1, Math.floor(end / 97)))
      await expect(parse(extension, bytes.subarray(0, cut)), `cut at ${String(cut)}`).rejects.toMatchObject(refused);
    await expect(parse(extension, bytes.subarray(0, end - 1))).rejects.toMatchObject(refused);
  });

  it('is not whole with something behind it', async () => {
    const bytes = await fixture(file);
    await expect(parse(extension, Buffer.concat([bytes, Buffer.from('DROP TABLE x;\n')]))).rejects.toMatchObject(
      refused,
    );
  });
});

function lastContent(bytes: Uint8Array): number {
  let last = bytes.byteLength - 1;
  while (bytes[last] === 0) last -= 1;
  return Math.ceil((last + 1) / 512) * 512;
}

describe('a dump of PostgreSQL', () => {
  it('is another format where it says so', async () => {
    const bytes = await fixture('plain.dump');
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(bytes);
      copy[at] = value;
      return copy;
    };
    for (const [at, value] of [
      [0, 0x51],
      [5, 2],
      [6, 11],
      [6, 17],
      [8, 5],
      [9, 3],
      [10, 3],
    ] as const)
      // prettier-ignore
      await expect(parse('dump', changed(at, value))).rejects.toMatchObject(refused);
  });
});

describe('SQL', () => {
  it.each([
    ['PostgreSQL', 'SELECT 1;\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n'],
    ['mysqldump', 'SELECT 1;\n-- Dump completed on 2026-11-20  2:00:00\n'],
    ['mariadb-dump without a date', 'SELECT 1;\r\n-- Dump completed\r\n'],
    ['two dumps in a row', '-- Dump completed\nINSERT INTO t VALUES (1);\n-- DevStack: end of the dump\n'],
    ['a transaction', '-- Dump completed\nCOMMIT;\n/*M!100 SET x=1 */;\n'],
  ])('of %s is whole', async (_, text) => {
    expect(await parse('sql', text, 5)).toMatchObject({ format: 'SQL' });
  });

  it.each([
    ['has no end mark', 'SELECT 1;\n'],
    ['has it in the middle only', '-- Dump completed\nSELECT 1;\n'],
    ['has a zero byte', 'SELECT 1\0;\n-- Dump completed\n'],
    ['is empty', ''],
  ])('is not whole when it %s', async (_, text) => {
    await expect(parse('sql', text, 3)).rejects.toMatchObject(refused);
  });
});

describe('a tar archive', () => {
  it.each([
    ['leads up', '../outside'],
    ['leads up from within', 'a/../../outside'],
    ['is absolute', '/etc/passwd'],
    ['is empty', ''],
  ])('is refused when a name %s', async (_, name) => {
    await expect(parse('tar', tarOf(name))).rejects.toMatchObject(refused);
    expect(await parse('tar', tarOf('a/inside'))).toEqual({ format: 'tar archive', entries: 1 });
  });

  it('may have sizes beyond eight gigabytes, in base 256', async () => {
    const bytes = tarOf('a');
    bytes.fill(0, 124, 136);
    bytes[124] = 0x80;
    seal(bytes);
    expect(await parse('tar', bytes)).toMatchObject({ entries: 1 });
  });

  it('is refused when a byte of a header is changed, or an extended header is senseless', async () => {
    const bytes = tarOf('a');
    bytes[0] = 0x62;
    await expect(parse('tar', bytes)).rejects.toMatchObject(refused);
    const records = Buffer.alloc(512);
    records.write('99 path=x\n');
    await expect(parse('tar', Buffer.concat([headerOf('x', 10, 'x'), records, tarOf('a')]))).rejects.toMatchObject(
      refused,
    );
    await expect(parse('tar', headerOf('x', 8 * 1024 * 1024, 'x'))).rejects.toMatchObject(refused);
  });

  it('takes names and sizes of extended headers, of pax and of GNU', async () => {
    const pax = Buffer.alloc(512);
    pax.write('12 path=a/b\n10 size=3\n');
    const file = Buffer.alloc(512, 'abc');
    const end = Buffer.alloc(1024);
    expect(
      await parse('tar', Buffer.concat([headerOf('x', 22, 'x'), pax, headerOf('other', 0, '0'), file, end])),
    ).toEqual({
      format: 'tar archive',
      entries: 1,
    });
    const long = Buffer.alloc(512);
    long.write('../outside');
    await expect(parse('tar', Buffer.concat([headerOf('x', 11, 'L'), long, tarOf('a')]))).rejects.toMatchObject(
      refused,
    );
    const global = Buffer.alloc(512);
    expect(await parse('tar', Buffer.concat([headerOf('g', 10, 'g'), global, tarOf('a')]))).toMatchObject({
      entries: 1,
    });
  });
});

function headerOf(name: string, size: number, type: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(name);
  header.write(size.toString(8).padStart(11, '0'), 124);
  header.write(type, 156);
  header.write('ustar\0', 257);
  return seal(header);
}

function seal(header: Buffer): Buffer {
  header.fill(0x20, 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** One empty file. */
function tarOf(name: string): Buffer {
  return Buffer.concat([headerOf(name, 0, '0'), Buffer.alloc(1024)]);
}

describe('an RDB file', () => {
  it('is not whole when any byte is changed', async () => {
    const bytes = await fixture('dump.rdb');
    for (let at = 0; at < bytes.byteLength; at += 1) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ 1;
      await expect(parse('rdb', copy), `byte ${String(at)}`).rejects.toMatchObject(refused);
    }
  });

  it('may come without a checksum', async () => {
    const bytes = Buffer.from(await fixture('dump.rdb'));
    bytes.fill(0, bytes.byteLength - 8);
    expect(await parse('rdb', bytes)).toEqual({ format: 'Redis RDB 12 without checksum', entries: 1 });
  });

  it('has the checksum of crc64.c', () => {
    const crc = new Crc64();
    crc.update(Buffer.from('123456789'));
    // The value that Redis itself tests.
    expect(crc.digest()).toBe(0xe9c6d914c4b8d9can);
  });
});

describe('JSON', () => {
  it('is one value, or one on each line', async () => {
    expect(await parse('json', '[1, 2, 3]', 2)).toEqual({ format: 'JSON', entries: 3 });
    expect(await parse('json', '{"a": 1}', 2)).toEqual({ format: 'JSON', entries: 1 });
    expect(await parse('jsonl', '{"a":1}\n{"b":2}\n', 3)).toEqual({ format: 'JSON lines', entries: 2 });
    expect(await parse('jsonl', '')).toEqual({ format: 'JSON lines', entries: 0 });
  });

  it.each([
    ['json', '{"a": 1'],
    ['json', ''],
    ['json', Buffer.from([0x22, 0xff, 0x22])],
    ['jsonl', '{"a":1}\n{"b":2}'],
    ['jsonl', '{"a":1}\n{"b":2\n'],
  ] as const)('is not whole as %s %j', async (extension, bytes) => {
    await expect(parse(extension, bytes)).rejects.toMatchObject(refused);
  });
});

describe('an archive of mongodump', () => {
  const whole = mongoArchive();

  it('is whole with the end of every collection', async () => {
    for (const size of [1, 5, 4096])
      expect(await parse('archive', whole, size)).toEqual({ format: 'archive of mongodump', entries: 2 });
  });

  it('is not whole when it is cut off anywhere', async () => {
    for (let cut = 0; cut < whole.byteLength; cut += 1)
      await expect(parse('archive', whole.subarray(0, cut)), `cut at ${String(cut)}`).rejects.toMatchObject(refused);
  });

  it.each([
    ['no prelude', Buffer.concat([magic(), terminator])],
    ['a document without an end', Buffer.concat([magic(), Buffer.from([6, 0, 0, 0, 1, 1]), terminator])],
    ['a length that is none', Buffer.concat([magic(), Buffer.from([1, 0, 0, 0]), terminator])],
    ['a run without a name', Buffer.concat([whole, terminator])],
    ['another beginning', Buffer.concat([Buffer.from([1, 2, 3, 4]), whole])],
  ])('is refused with %s', async (_, bytes) => {
    await expect(parse('archive', bytes)).rejects.toMatchObject(refused);
  });
});

const terminator = Buffer.from([0xff, 0xff, 0xff, 0xff]);

function magic(): Buffer {
  return Buffer.from([0x6d, 0xe2, 0x99, 0x81]);
}

/** As common/archive of mongo-tools lays it out: server, one collection and one view; two documents; the end. */
function mongoArchive(): Buffer {
  const about = (isEnd: boolean): Buffer => bson({ db: 'shop', collection: 'orders', EOF: isEnd, CRC: 0n });
  return Buffer.concat([
    magic(),
    bson({ concurrent_collections: 4, version: '0.1', server_version: '7.0' }),
    bson({ db: 'shop', collection: 'orders', metadata: '{}', size: 2, type: 'collection' }),
    bson({ db: 'shop', collection: 'recent', metadata: '{}', size: 0, type: 'view' }),
    terminator,
    about(false),
    bson({ _id: 1 }),
    bson({ _id: 2 }),
    terminator,
    about(true),
    terminator,
  ]);
}

function bson(fields: Readonly<Record<string, string | number | boolean | bigint>>): Buffer {
  const elements = Object.entries(fields).map(([name, value]) => {
    const key = Buffer.from(`${name}\0`);
    if (typeof value === 'string') {
      const text = Buffer.from(`${value}\0`);
      const length = Buffer.alloc(4);
      length.writeInt32LE(text.byteLength);
      return Buffer.concat([Buffer.from([2]), key, length, text]);
    }
    if (typeof value === 'boolean') return Buffer.concat([Buffer.from([8]), key, Buffer.from([value ? 1 : 0])]);
    const number = Buffer.alloc(typeof value === 'bigint' ? 8 : 4);
    if (typeof value === 'number') number.writeInt32LE(value);
    return Buffer.concat([Buffer.from([typeof value === 'bigint' ? 0x12 : 0x10]), key, number]);
  });
  const body = Buffer.concat([...elements, Buffer.from([0])]);
  const length = Buffer.alloc(4);
  length.writeInt32LE(body.byteLength + 4);
  return Buffer.concat([length, body]);
}

describe('the parser of a part', () => {
  it('is that of its kind, or of its extension, or none', () => {
    const own = defaultParsers['json'];
    expect(
      parserFor({ kind: 'dump-of-mine', extension: 'tar' }, { ...defaultParsers, ...(own && { 'dump-of-mine': own }) }),
    ).toBe(own);
    expect(parserFor({ kind: 'unknown', extension: 'tar' }, defaultParsers)).toBe(defaultParsers['tar']);
    expect(parserFor({ kind: 'unknown', extension: 'bin' }, defaultParsers)).toBeUndefined();
  });
});
