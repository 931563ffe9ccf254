import { ArchiveCursor, NeedMore } from './archive-cursor.ts';

/** What the head of a custom-format archive says. */
export interface ArchiveHead {
  /** Of the server that was dumped and of the pg_dump that did it, e.g. `17.6`. */
  readonly serverVersion: string;
  readonly dumpVersion: string;
  readonly database: string;
  readonly entries: readonly ArchiveEntry[];
}

/** One object of the archive's table of contents. */
export interface ArchiveEntry {
  readonly id: number;
  readonly hasData: boolean;
  /** E.g. `orders`. */
  readonly tag: string;
  /** E.g. `TABLE DATA`, `SEQUENCE SET`, `DATABASE`. */
  readonly description: string;
  readonly definition: string;
  readonly schema: string | undefined;
  readonly owner: string | undefined;
}

const blockOfData = 1;
const blockOfLargeObjects = 3;

type State = 'head' | 'block' | 'data' | 'object' | 'object data';

/**
 * Follows an archive of `pg_dump --format=custom --compress=0` as it passes by: gives its table of contents as soon as that is complete,
 * and knows at the end whether every object's rows were there, to the last byte. pg_restore itself takes half an archive for a good one
 * when it is only asked to list it. Formats 1.14 to 1.16 (PostgreSQL 13 to 18).
 */
export class ArchiveReader {
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #enough = 4096;
  #head: ArchiveHead | undefined;
  #intBytes = 4;
  #state: State = 'head';
  #skip = 0;
  readonly #missing = new Set<number>();

  /** As soon as it is known. */
  get head(): ArchiveHead | undefined {
    return this.#head;
  }

  /** Gives a problem in words; what comes after it does not matter. */
  push(chunk: Uint8Array): string | undefined {
    let bytes = chunk;
    if (this.#skip >= bytes.length) {
      this.#skip -= bytes.length;
      return undefined;
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    // The head is read from its start each time, so only when there is a good deal more of it.
    if (this.#state === 'head' && this.#pendingBytes < this.#enough) return undefined;
    bytes = this.#pending.length === 1 ? bytes : Buffer.concat(this.#pending);
    return this.#read(bytes);
  }

  /** Undefined when the archive is whole. */
  end(): string | undefined {
    if (this.#state === 'head') {
      const problem = this.#read(Buffer.concat(this.#pending));
      if (problem !== undefined) return problem;
    }
    if (this.#head === undefined) return 'the archive ends within its table of contents';
    if (this.#state !== 'block' || this.#skip > 0 || this.#pendingBytes > 0)
      return 'the archive ends within the rows of a table';
    if (this.#missing.size === 0) return undefined;
    const names = this.#head.entries.filter(({ id }) => this.#missing.has(id)).map(({ tag }) => tag);
    return `the archive ends before the rows of ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' and others' : ''}`;
  }

  #read(bytes: Uint8Array): string | undefined {
    const cursor = new ArchiveCursor(bytes, this.#skip, this.#intBytes);
    this.#skip = 0;
    let done = 0;
    try {
      if (this.#state === 'head') {
        this.#head = readHead(cursor);
        this.#intBytes = cursor.intBytes;
        for (const entry of this.#head.entries) if (entry.hasData) this.#missing.add(entry.id);
        this.#state = 'block';
      }
      done = cursor.at;
      while (cursor.at < bytes.length) {
        this.#step(cursor);
        done = cursor.at;
        if (done > bytes.length) break;
      }
    } catch (error) {
      if (!(error instanceof NeedMore)) return error instanceof Error ? error.message : String(error);
      this.#enough = this.#pendingBytes * 2;
    }
    // Of a long value only its length is read; the rest is passed over when it comes.
    this.#skip = Math.max(0, done - bytes.length);
    const rest = bytes.subarray(Math.min(done, bytes.length));
    this.#pending = rest.length === 0 ? [] : [rest];
    this.#pendingBytes = rest.length;
    return undefined;
  }

  #step(cursor: ArchiveCursor): void {
    switch (this.#state) {
      case 'head':
      case 'block': {
        const kind = cursor.byte();
        const id = cursor.int();
        if ((kind !== blockOfData && kind !== blockOfLargeObjects) || !this.#missing.delete(id))
          throw new Error('the archive holds something that its table of contents does not know');
        this.#state = kind === blockOfData ? 'data' : 'object';
        return;
      }
      case 'object':
        this.#state = cursor.isZeroInt() ? 'block' : 'object data';
        return;
      default: {
        const length = cursor.int();
        if (length < 0) throw new Error('the archive is damaged');
        if (length === 0) this.#state = this.#state === 'data' ? 'block' : 'object';
        else cursor.at += length;
      }
    }
  }
}

function readHead(cursor: ArchiveCursor): ArchiveHead {
  if (cursor.text(5) !== 'PGDMP') throw new Error('this is no archive of pg_dump');
  const version = cursor.byte() * 256 + cursor.byte();
  cursor.byte();
  if (version < 0x010e || version > 0x0110)
    throw new Error(`archives of format ${String(version >> 8)}.${String(version & 255)} are unknown`);
  cursor.intBytes = cursor.byte();
  const offsetBytes = cursor.byte();
  if (cursor.byte() !== 1) throw new Error('the archive is not in the custom format');
  // 1.15 names the method in a byte; before, it was a level.
  const compression = version >= 0x010f ? cursor.byte() : cursor.int();
  if (compression !== 0) throw new Error('the archive is compressed');
  for (let field = 0; field < 7; field += 1) cursor.int();
  const database = cursor.string() ?? '';
  const serverVersion = firstWord(cursor.string());
  const dumpVersion = firstWord(cursor.string());
  const count = cursor.int();
  const entries: ArchiveEntry[] = [];
  for (let index = 0; index < count; index += 1) entries.push(readEntry(cursor, version, offsetBytes));
  return { serverVersion, dumpVersion, database, entries };
}

function readEntry(cursor: ArchiveCursor, version: number, offsetBytes: number): ArchiveEntry {
  const id = cursor.int();
  const hasData = cursor.int() !== 0;
  cursor.string();
  cursor.string();
  const tag = cursor.string() ?? '';
  const description = cursor.string() ?? '';
  cursor.int();
  const definition = cursor.string() ?? '';
  cursor.string();
  cursor.string();
  const schema = cursor.string();
  cursor.string();
  cursor.string();
  if (version >= 0x0110) cursor.int();
  const owner = cursor.string();
  cursor.string();
  while (cursor.string() !== undefined);
  // Where the data is, which is not known to who writes to a pipe.
  cursor.byte();
  cursor.take(offsetBytes);
  return { id, hasData, tag, description, definition, schema: schema === '' ? undefined : schema, owner };
}

function firstWord(text: string | undefined): string {
  return text?.split(' ')[0] ?? '';
}
