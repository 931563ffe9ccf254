import { describe, expect, it } from 'vitest';
import { chunked } from '../../test/parts.ts';
import { Crc64, ecma } from '../redis/crc64.ts';
import { encodeBlock, encodeEnd, encodePrelude, terminator } from './archive-format.ts';
import { readArchive, type ArchiveEvent } from './archive-reader.ts';
import { decodeBson, encodeBson } from './bson.ts';
import { awkwardDocuments, double, int32, raw } from './testing/raw-documents.ts';

const info = { database: 'd', name: 'c', metadata: '{"indexes":[]}', type: 'collection' };
const crcOf = (documents: readonly Buffer[]): Buffer =>
  documents.reduce((crc, document) => crc.update(document), new Crc64(ecma)).bytes();
const archive = Buffer.concat([
  encodePrelude('7.0.42', [info, { ...info, name: 'empty' }]),
  encodeBlock('d', 'c'),
  ...awkwardDocuments,
  terminator,
  encodeEnd('d', 'empty', crcOf([])),
  encodeBlock('d', 'c'),
  raw(int32('_id', 99)),
  terminator,
  encodeEnd('d', 'c', crcOf([...awkwardDocuments, raw(int32('_id', 99))])),
]);

const read = (bytes: Uint8Array, size = 64): Promise<readonly ArchiveEvent[]> =>
  Array.fromAsync(readArchive(chunked(bytes, size)));

describe('an archive', () => {
  it.each([1, 3, 1000, 100_000])('gives what was put in, in pieces of %i bytes', async (size) => {
    const events = await read(archive, size);
    expect(events[0]).toEqual({ type: 'prelude', collections: [info, { ...info, name: 'empty' }] });
    expect(events.flatMap((event) => (event.type === 'document' ? [event.bytes.toString('hex')] : []))).toEqual(
      [...awkwardDocuments, raw(int32('_id', 99))].map((document) => document.toString('hex')),
    );
    expect(events.flatMap((event) => (event.type === 'end' ? [event.collection] : []))).toEqual(['empty', 'c']);
  });

  it('is refused wherever it is cut', async () => {
    for (let length = 0; length < archive.length; length += 1)
      await expect(read(archive.subarray(0, length))).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
  });

  it('is refused with any byte of its documents changed', async () => {
    const from = archive.indexOf(awkwardDocuments[0] ?? '');
    for (let at = from; at < from + Buffer.concat(awkwardDocuments).length; at += 1) {
      const damaged = Buffer.from(archive);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      await expect(read(damaged)).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    }
  });

  it.each([
    ['another format', Buffer.from(archive.toString('latin1').replace('0.1\0', '0.2\0'), 'latin1'), 'version is 0.2'],
    [
      'a collection that goes on after its end',
      Buffer.concat([archive, encodeBlock('d', 'c'), raw(int32('_id', 1)), terminator]),
      'has ended before',
    ],
    [
      'a collection that is not announced',
      Buffer.concat([archive, encodeBlock('d', 'new'), terminator]),
      'not in the prelude',
    ],
    [
      'documents behind an end',
      Buffer.concat([archive.subarray(0, -4), raw(int32('_id', 1)), terminator]),
      'goes on after its end',
    ],
    ['a header that is none', Buffer.concat([archive, raw(double('db', 1)), terminator]), 'header of a block'],
  ])('is refused with %s', async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toThrow(message);
  });
});

describe('flat documents', () => {
  it('keep the types of their fields', () => {
    const fields = { text: 'Zoë', number: -5, large: -(2n ** 63n), yes: true, no: false };
    expect(decodeBson(encodeBson(fields))).toEqual(fields);
  });

  it('are not made up of something else', () => {
    const bytes = encodeBson({ text: 'abc', large: 1n });
    for (let length = 5; length < bytes.length; length += 1)
      expect(decodeBson(bytes.subarray(0, length))).toBeUndefined();
    expect(decodeBson(raw(double('a', 1)))).toBeUndefined();
  });
});
