import { Crc64 } from './crc64.ts';
import { malformed, type Parser } from './parser.ts';

const endOfFile = 0xff;

/** A Redis RDB file: its name and version, the end mark, and the CRC-64 of all that (rdb.c). */
export const parseRdb: Parser = async (content) => {
  const crc = new Crc64();
  let head = Buffer.alloc(0);
  // The checksum is the last eight bytes, and only the end tells which they are.
  let held = Buffer.alloc(0);
  let last = 0;
  for await (const piece of content) {
    if (head.byteLength < 9) head = Buffer.concat([head, piece.subarray(0, 9 - head.byteLength)]);
    held = Buffer.concat([held, piece]);
    const counted = held.subarray(0, Math.max(held.byteLength - 8, 0));
    if (counted.byteLength > 0) last = counted[counted.byteLength - 1] ?? 0;
    crc.update(counted);
    held = held.subarray(counted.byteLength);
  }
  const name = /^REDIS(\d{4})$/.exec(head.toString('latin1'));
  if (name === null) throw malformed('it does not begin with REDIS and a version');
  if (held.byteLength < 8 || last !== endOfFile) throw malformed('the end mark of the RDB is not where it has to be');
  const wanted = held.readBigUInt64LE(0);
  // Zero stands for a server that was told to write none.
  if (wanted !== 0n && wanted !== crc.digest()) throw malformed('the RDB does not match its own checksum');
  return { format: `Redis RDB ${String(Number(name[1]))}${wanted === 0n ? ' without checksum' : ''}`, entries: 1 };
};
