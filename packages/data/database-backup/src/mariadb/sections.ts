import { DatabaseBackupErrorCode } from '../errors.ts';
import { mariadbFailure } from './failure.ts';
import { identifier } from './quote.ts';

/** Between tables with their rows and what is made of them: views, routines, triggers, events. */
export const objectsMark = '-- DevStack: views, routines, triggers and events follow\n';

/** The very last line: without it a dump is not whole. */
export const endMark = '-- DevStack: end of the dump\n';

/** Tells what a restore made under the final name of a database, so that it goes again should the restore fail or be killed. */
export const stubComment = 'made for a restore by devstack';

/**
 * A dump as it is restored: its tables into a database of another name, the rest afterwards. Reads its source once, in constant memory
 * but for the second half, which has no rows.
 */
export class DumpSections implements AsyncDisposable {
  readonly #database: string;
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);
  #objects: Buffer | undefined;
  #isWhole = false;

  constructor(database: string, source: AsyncIterable<Uint8Array>) {
    this.#database = database;
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The statements for tables and rows, for a session that has selected its database. Has to be read first, to its end. */
  async *tables(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#head();
    let ready: Buffer = this.#rest;
    for (;;) {
      const at = ready.indexOf(`\n${objectsMark}`);
      if (at >= 0) {
        yield ready.subarray(0, at + 1);
        this.#rest = ready.subarray(at + 1 + objectsMark.length);
        break;
      }
      // The mark may have begun in what is there.
      const keep = Math.min(ready.length, objectsMark.length);
      if (ready.length > keep) yield ready.subarray(0, ready.length - keep);
      const next = await this.#next();
      if (next === undefined) throw this.#notWhole();
      ready = Buffer.concat([ready.subarray(ready.length - keep), next]);
    }
    await this.#readObjects();
  }

  /** The second half. Throws RESTORE_FAILED unless the whole dump has been read. */
  get objects(): Buffer {
    if (!this.#isWhole || this.#objects === undefined) throw this.#notWhole();
    return this.#objects;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }

  // Up to the first table: the lines that name the database go, and sequences are made under the final name as well, because a
  // default value names the sequence with its database and the server looks it up.
  async *#head(): AsyncGenerator<Uint8Array, void, undefined> {
    let hasUse = false;
    for (let bytes = 0; ;) {
      const end = this.#rest.indexOf(10);
      if (end < 0) {
        const next = await this.#next();
        if (next === undefined) throw this.#notWhole();
        this.#rest = Buffer.concat([this.#rest, next]);
        if (this.#rest.length > maximumLine && this.#rest.indexOf(10) < 0) throw this.#foreign();
        continue;
      }
      const line = this.#rest.subarray(0, end + 1).toString('utf8');
      if (line.startsWith('-- Table structure for') || line === objectsMark) {
        if (!hasUse) throw this.#foreign();
        // The mark is looked for with the line end before it, which a dump without any table has already given away.
        this.#rest = Buffer.concat([Buffer.from('\n'), this.#rest]);
        return;
      }
      this.#rest = this.#rest.subarray(end + 1);
      bytes += line.length;
      if (bytes > maximumHead) throw this.#foreign();
      if (line.startsWith('USE `')) hasUse = true;
      else if (!line.startsWith('CREATE DATABASE ')) {
        const sequence = /^CREATE SEQUENCE (`(?:[^`]|``)+`)/.exec(line)?.[1];
        if (sequence !== undefined)
          yield Buffer.from(
            `CREATE SEQUENCE IF NOT EXISTS ${identifier(this.#database)}.${sequence} COMMENT='${stubComment}';\n`,
          );
        yield Buffer.from(line);
      }
    }
  }

  async #readObjects(): Promise<void> {
    const parts = [this.#rest];
    for (let next = await this.#next(); next !== undefined; next = await this.#next()) parts.push(next);
    this.#rest = Buffer.alloc(0);
    this.#objects = Buffer.concat(parts);
    // The source has ended without an error, and what it gave ends as a dump does.
    this.#isWhole = this.#objects.subarray(-endMark.length).toString('utf8') === endMark;
    if (!this.#isWhole) throw this.#notWhole();
  }

  async #next(): Promise<Buffer | undefined> {
    const next = await this.#source.next();
    if (next.done === true) return undefined;
    return Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
  }

  #notWhole(): Error {
    return mariadbFailure(
      DatabaseBackupErrorCode.restoreFailed,
      `The dump of database "${this.#database}" is not whole: its last line is missing`,
    );
  }

  #foreign(): Error {
    return mariadbFailure(
      DatabaseBackupErrorCode.restoreFailed,
      `What was given for database "${this.#database}" is no dump of it`,
    );
  }
}

const maximumLine = 1024 ** 2;
const maximumHead = 64 * 1024 ** 2;
