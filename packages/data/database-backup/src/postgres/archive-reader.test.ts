import { describe, expect, it } from 'vitest';
import { ArchiveReader } from './archive-reader.ts';
import { openArchive, readPostgresArchive } from './archive-stream.ts';
import { sequencesIn } from './dump.ts';
import { makeArchive, type ArchiveSpec } from './testing/archive.ts';

const spec: ArchiveSpec = {
  entries: [
    { tag: 'the database', description: 'DATABASE', definition: 'CREATE DATABASE x;', owner: 'app' },
    { tag: 'orders', description: 'TABLE DATA', schema: 'public', data: ['1\ta\n', '2\t☃\n', '\\.\n'] },
    { tag: 'none', description: 'TABLE DATA', schema: 'public', data: [] },
    { tag: 'BLOBS', description: 'BLOBS', data: [['abc', 'd'], []] },
    {
      tag: 'Odd "s"',
      description: 'SEQUENCE SET',
      schema: 'public',
      definition: `SELECT pg_catalog.setval('public."Odd ""s"""', -42, false);\n\n\n`,
    },
    {
      tag: 'big',
      description: 'SEQUENCE SET',
      schema: 'public',
      definition: `SELECT pg_catalog.setval('public.big', 9223372036854775807, true);\n`,
    },
  ],
};

describe('an archive that passes by', () => {
  it.each([1, 2, 7, 4096, 1_000_000])('in pieces of %d bytes gives its table of contents and is whole', (size) => {
    const reader = new ArchiveReader();
    expect(feed(reader, makeArchive(spec), size)).toBeUndefined();
    expect(reader.end()).toBeUndefined();
    expect(reader.head).toMatchObject({ database: 'the database', serverVersion: '17.6', dumpVersion: '17.6' });
    expect(reader.head?.entries.map(({ tag, hasData }) => [tag, hasData])).toEqual([
      ['the database', false],
      ['orders', true],
      ['none', true],
      ['BLOBS', true],
      ['Odd "s"', false],
      ['big', false],
    ]);
  });

  it('is found out wherever it was cut', () => {
    const whole = makeArchive(spec);
    for (let length = 0; length < whole.length; length += 1) {
      const reader = new ArchiveReader();
      expect(feed(reader, whole.subarray(0, length), 50) ?? reader.end(), `cut at ${String(length)}`).toBeDefined();
    }
  });

  it('is found out when something follows', () => {
    const reader = new ArchiveReader();
    expect(feed(reader, Buffer.concat([makeArchive(spec), Buffer.from([1])]), 64) ?? reader.end()).toMatch(
      'ends within',
    );
    const second = new ArchiveReader();
    expect(feed(second, Buffer.concat([makeArchive(spec), makeArchive(spec)]), 4096) ?? second.end()).toMatch(
      'table of contents does not know',
    );
  });

  it('tells whose rows are missing', () => {
    const none = new ArchiveReader();
    const headOnly = makeArchive({ entries: spec.entries.slice(0, 1) });
    expect(feed(none, headOnly, 4096) ?? none.end()).toBeUndefined();
    const many = new ArchiveReader();
    const entries = ['a', 'b', 'c', 'd'].map((tag) => ({ tag, description: 'TABLE DATA', data: [] }));
    const cut = makeArchive({ entries });
    expect(feed(many, cut.subarray(0, cut.length - 4 * 11), 4096) ?? many.end()).toBe(
      'the archive ends before the rows of a, b, c and others',
    );
  });

  it.each<[string, ArchiveSpec | Buffer, RegExp]>([
    [
      'something else',
      Buffer.from('-- PostgreSQL database dump, which is text and long enough to be looked at'),
      /no archive/,
    ],
    ['an unknown format', { ...spec, format: [1, 13] }, /format 1\.13 are unknown/],
    ['a newer format', { ...spec, format: [1, 17] }, /format 1\.17 are unknown/],
    ['a compressed one', { ...spec, compression: 1 }, /compressed/],
  ])('is refused when it is %s', (_what, archive, problem) => {
    const reader = new ArchiveReader();
    const bytes = Buffer.isBuffer(archive) ? archive : makeArchive(archive);
    expect(feed(reader, bytes, 4096) ?? reader.end()).toMatch(problem);
  });

  it.each<readonly [number, number]>([
    [1, 14],
    [1, 15],
  ])('may be of format %d.%d', (major, minor) => {
    const reader = new ArchiveReader();
    expect(feed(reader, makeArchive({ ...spec, format: [major, minor] }), 100) ?? reader.end()).toBeUndefined();
  });

  it('says where it will set sequences', async () => {
    const head = await readPostgresArchive(chunks(makeArchive(spec), 33));
    expect([...sequencesIn(head)]).toEqual([
      ['public\0Odd "s"', { lastValue: '-42', isCalled: false }],
      ['public\0big', { lastValue: '9223372036854775807', isCalled: true }],
    ]);
  });

  it('is given again in full after its head was read', async () => {
    const whole = makeArchive({
      entries: [...spec.entries, { tag: 'much', description: 'TABLE DATA', data: ['x'.repeat(50_000)] }],
    });
    await using archive = await openArchive(chunks(whole, 1000), (problem) => new Error(problem) as never);
    const seen: Uint8Array[] = [];
    for await (const chunk of archive.bytes()) seen.push(chunk);
    expect(Buffer.concat(seen).equals(whole)).toBe(true);
  });

  it('that is cut is refused at its end', async () => {
    const whole = makeArchive(spec);
    await expect(readPostgresArchive(chunks(whole.subarray(0, -1), 100))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: 'The dump is not whole: the archive ends within the rows of a table.',
    });
    await expect(readPostgresArchive(chunks(whole.subarray(0, 40), 100))).rejects.toMatchObject({
      message: 'The dump is not whole: the archive ends within its table of contents.',
    });
  });
});

function feed(reader: ArchiveReader, bytes: Uint8Array, size: number): string | undefined {
  for (let at = 0; at < bytes.length; at += size) {
    const problem = reader.push(bytes.subarray(at, at + size));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
