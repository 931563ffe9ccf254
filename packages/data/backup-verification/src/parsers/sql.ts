import { malformed, type Parser } from './parser.ts';

/** What the dump programs write last: pg_dump, pg_dumpall, mysqldump and mariadb-dump, and what dumps of several programs end with. */
const endMarks =
  /^-- (?:PostgreSQL database (?:cluster )?dump complete|Dump completed(?: on .*)?|DevStack: end of the dump)$/gm;

/** Lines that may stand behind the mark: nothing, comments, and what newer versions of psql's dumps close with. */
const harmless = /^(?:\s*|--.*|\\unrestrict \S+|COMMIT;?|\/\*[M!].*\*\/;?)$/;

const tailBytes = 8192;

/** SQL as the dump programs write it: their end mark is there, and nothing but comments follows it. */
export const parseSql: Parser = async (content) => {
  let tail = Buffer.alloc(0);
  let lines = 0;
  let hasNul = false;
  for await (const piece of content) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines += 1;
    hasNul ||= bytes.includes(0);
    tail = Buffer.concat([tail, bytes.subarray(-tailBytes)]).subarray(-tailBytes);
  }
  const text = tail.toString('utf8').replaceAll('\r', '');
  const mark = [...text.matchAll(endMarks)].at(-1);
  if (mark === undefined) throw malformed('the end mark of the dump program is missing');
  const rest = text.slice(mark.index + mark[0].length).split('\n');
  if (!rest.every((line) => harmless.test(line))) throw malformed('statements follow the end mark of the dump program');
  // PostgreSQL cannot hold one, and the others write binary data in hexadecimal.
  if (hasNul) throw malformed('there is a zero byte in the SQL');
  return { format: 'SQL', entries: lines };
};
