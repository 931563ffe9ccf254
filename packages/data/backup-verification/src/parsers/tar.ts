import type { ByteReader } from './byte-reader.ts';
import { malformed, structured, type Parser } from './parser.ts';

const block = 512;

/**
 * A tar archive (POSIX ustar and pax, GNU): the checksum of every header, names that stay inside the folder it is unpacked in, every file
 * whole, and the two empty blocks at the end, without which a cut at the border of a file would go unseen.
 */
export const parseTar: Parser = structured('tar archive', async (reader) => {
  let entries = 0;
  let next: Extension = {};
  for (;;) {
    const header = await reader.read(block);
    if (isEmpty(header)) break;
    checkHeader(header, reader);
    const type = String.fromCharCode(header[156] ?? 0);
    const size = next.size ?? sizeOf(header);
    if (type === 'L') next = { ...next, path: text(await readPadded(reader, size)) };
    else if (type === 'x') next = { ...next, ...extensionOf(await readPadded(reader, size)) };
    else if (type === 'K' || type === 'g') await reader.skip(padded(size));
    else {
      checkName(next.path ?? nameOf(header));
      if (type === 'S') await skipSparseMap(reader, header);
      // Only files have content; some writers note a size for links, too.
      if ('0\x007S'.includes(type)) await reader.skip(padded(size));
      next = {};
      entries += 1;
    }
  }
  if (!isEmpty(await reader.read(block))) throw malformed('the end of the tar archive is not empty');
  await skipZeros(reader);
  return { format: 'tar archive', entries };
});

/** What an extended header says of the entry behind it. */
interface Extension {
  readonly path?: string;
  readonly size?: number;
}

function isEmpty(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** GNU's own kind of sparse file: more of its map may follow the header. */
async function skipSparseMap(reader: ByteReader, header: Buffer): Promise<void> {
  let isContinued = header[482] === 1;
  while (isContinued) isContinued = (await reader.read(block))[504] === 1;
}

function checkHeader(header: Buffer, reader: ByteReader): void {
  const wanted = Number.parseInt(text(header.subarray(148, 156)), 8);
  let sum = 8 * 0x20;
  for (const [at, byte] of header.entries()) if (at < 148 || at >= 156) sum += byte;
  if (wanted !== sum)
    throw malformed(`the tar header before byte ${String(reader.offset)} does not match its checksum`);
}

/** Octal, or base 256 where the first bit is set. */
function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136);
  const size =
    ((field[0] ?? 0) & 0x80) === 0 ? Number.parseInt(text(field) || '0', 8) : Number(field.readBigUInt64BE(4));
  if (!Number.isSafeInteger(size)) throw malformed('a file in the tar archive has an impossible size');
  return size;
}

function nameOf(header: Buffer): string {
  const isUstar = header.subarray(257, 263).toString('latin1') === 'ustar\0';
  const prefix = isUstar ? text(header.subarray(345, 500)) : '';
  const name = text(header.subarray(0, 100));
  return prefix === '' ? name : `${prefix}/${name}`;
}

function checkName(name: string): void {
  if (name === '' || name.startsWith('/') || name.split('/').includes('..'))
    throw malformed(`the tar archive holds ${JSON.stringify(name)}, which leads out of its folder`);
}

/** The records of a pax header that matter: `<length> <key>=<value>\n`. */
function extensionOf(records: Buffer): Extension {
  const found = new Map<string, string>();
  for (let at = 0; at < records.byteLength;) {
    const space = records.indexOf(0x20, at);
    const length = Number.parseInt(records.toString('latin1', at, Math.max(space, at)), 10);
    if (!(length > 0) || at + length > records.byteLength)
      throw malformed('an extended header of the tar archive is unreadable');
    const record = records.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    found.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  const path = found.get('path');
  const size = found.get('size');
  return { ...(path === undefined ? {} : { path }), ...(size === undefined ? {} : { size: Number(size) }) };
}

const longestName = 1024 * 1024;

async function readPadded(reader: ByteReader, size: number): Promise<Buffer> {
  if (size > longestName) throw malformed('a name in the tar archive is longer than 1 MiB');
  return (await reader.read(padded(size))).subarray(0, size);
}

async function skipZeros(reader: ByteReader): Promise<void> {
  for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece())
    if (!isEmpty(piece)) throw malformed('something follows the end of the tar archive');
}

function padded(size: number): number {
  return Math.ceil(size / block) * block;
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field
    .subarray(0, end === -1 ? undefined : end)
    .toString('utf8')
    .trim();
}
