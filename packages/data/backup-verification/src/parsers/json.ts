import { malformed, type Parser } from './parser.ts';

/** Longer ones are not held in memory: what writes them has to write lines. */
const longestText = 256 * 1024 * 1024;

/** One JSON value. */
export const parseJson: Parser = async (content) => {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of content) {
    bytes += piece.byteLength;
    if (bytes > longestText) throw malformed('the JSON is longer than 256 MiB');
    parts.push(piece);
  }
  const value = decode(Buffer.concat(parts));
  return { format: 'JSON', entries: Array.isArray(value) ? value.length : 1 };
};

/** One JSON value on each line; the last line ends like the others, so that a cut shows. */
export const parseJsonLines: Parser = async (content) => {
  let rest = Buffer.alloc(0);
  let entries = 0;
  for await (const piece of content) {
    let bytes = Buffer.concat([rest, piece]);
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10)) {
      decode(bytes.subarray(0, end));
      entries += 1;
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.byteLength > longestText) throw malformed('a line of the JSON is longer than 256 MiB');
    rest = bytes;
  }
  if (rest.byteLength > 0) throw malformed('its last line is cut off');
  return { format: 'JSON lines', entries };
};

function decode(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf8', { fatal: true }).decode(bytes)) as unknown;
  } catch {
    throw malformed('it is no JSON');
  }
}
