import { open, readdir, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { LogBytes } from '@devstack-core/docker-engine';

/**
 * A log of the driver `json-file`, read from its files, the rotated ones first: the engine takes ten times as long to hand it over.
 * Gives what the engine would give, each piece good until the next one is asked for. Throws where it is not as expected (compressed, another format), for the caller to ask the engine.
 */
export async function* readJsonLog(path: string): AsyncGenerator<LogBytes, void, undefined> {
  const files = await openAll(path);
  try {
    for (const { file, sizeBytes } of files) yield* readFileOf(file, sizeBytes);
  } finally {
    for (const { file } of files) await file.close();
  }
}

interface OpenLog {
  readonly file: FileHandle;
  readonly inode: number;
  /** What is written later is of later. */
  readonly sizeBytes: number;
}

// The current one first: what is rotated meanwhile is met again under its new name, and known by its inode.
async function openAll(path: string): Promise<readonly OpenLog[]> {
  const opened: OpenLog[] = [await openLog(path)];
  try {
    const name = basename(path);
    const others = (await readdir(dirname(path))).filter((other) => other.startsWith(`${name}.`));
    const numbers = others.map((other) => Number(other.slice(name.length + 1)));
    if (numbers.some((number) => !Number.isInteger(number))) throw new Error('a rotated log is compressed');
    for (const number of numbers.toSorted((a, b) => a - b)) {
      const log = await openLog(join(dirname(path), `${name}.${String(number)}`));
      if (opened.some(({ inode }) => inode === log.inode)) await log.file.close();
      else opened.push(log);
    }
    return opened.toReversed();
  } catch (error) {
    for (const { file } of opened) await file.close();
    throw error;
  }
}

async function openLog(path: string): Promise<OpenLog> {
  const file = await open(path, 'r');
  try {
    const { ino, size } = await file.stat();
    return { file, inode: ino, sizeBytes: size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

const blockBytes = 256 * 1024;

async function* readFileOf(file: FileHandle, sizeBytes: number): AsyncGenerator<LogBytes, void, undefined> {
  const block = Buffer.allocUnsafe(blockBytes);
  const output = new Output();
  let filled = 0;
  for (let position = 0; position < sizeBytes;) {
    const wanted = Math.min(blockBytes - filled, sizeBytes - position);
    const { bytesRead } = await file.read(block, filled, wanted, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    filled += bytesRead;
    const text = block.subarray(0, filled);
    const end = text.lastIndexOf(newline) + 1;
    // The engine cuts lines at 16 KiB, so that one always fits.
    if (end === 0 && filled === blockBytes) throw new Error('an entry is longer than any of the engine');
    yield* linesOf(text.subarray(0, end), output);
    block.copyWithin(0, end, filled);
    filled -= end;
  }
  // An entry that is only half written belongs to later.
}

const [newline, quote, backslash] = [0x0a, 0x22, 0x5c];
const opening = Buffer.from('{"log":"');
const streams = { stdout: Buffer.from(',"stream":"stdout"'), stderr: Buffer.from(',"stream":"stderr"') };

/** Gathers entries of one stream in memory that is used again: what it gives is good until the next entry is added. */
class Output {
  readonly #bytes: Buffer = Buffer.allocUnsafe(blockBytes);
  #filled = 0;
  stream: LogBytes['stream'] = 'stdout';

  add(text: Buffer, from: number, to: number, withLineEnd: boolean): void {
    this.#filled += text.copy(this.#bytes, this.#filled, from, to);
    if (withLineEnd) this.#bytes[this.#filled++] = newline;
  }

  take(): LogBytes | undefined {
    if (this.#filled === 0) return undefined;
    const bytes = this.#bytes.subarray(0, this.#filled);
    this.#filled = 0;
    return { stream: this.stream, bytes };
  }
}

function* linesOf(text: Buffer, output: Output): Generator<LogBytes, void, undefined> {
  for (let start = 0; start < text.length;) {
    const end = text.indexOf(newline, start);
    const { stream, from, to, isPlain } = entryAt(text, start, end);
    if (stream !== output.stream) {
      const part = output.take();
      if (part !== undefined) yield part;
      output.stream = stream;
    }
    if (isPlain) output.add(text, from, to, true);
    else {
      const value = Buffer.from(String(JSON.parse(text.toString('utf8', from - 1, to + 1))), 'utf8');
      output.add(value, 0, value.length, false);
    }
    start = end + 1;
  }
  // Decoded, entries are never longer than encoded, so a block of them fits.
  const part = output.take();
  if (part !== undefined) yield part;
}

interface EntryPlace {
  readonly stream: LogBytes['stream'];
  /** Between the quotes; without the line end where it is plain. */
  readonly from: number;
  readonly to: number;
  /** One escape only, that of the line end, as in most entries. */
  readonly isPlain: boolean;
}

function entryAt(text: Buffer, start: number, end: number): EntryPlace {
  const from = start + opening.length;
  if (text.compare(opening, 0, opening.length, start, from) !== 0) throw new Error('an entry is of another format');
  const slash = text.indexOf(backslash, from);
  const first = text.indexOf(quote, from);
  const isPlain = slash === first - 2 && text[slash + 1] === 0x6e;
  const close = isPlain ? first : closingQuote(text, from);
  const stream = streamAt(text, close + 1);
  if (close < 0 || close > end || stream === undefined) throw new Error('an entry is of another format');
  return { stream, from, to: isPlain ? slash : close, isPlain };
}

function closingQuote(text: Buffer, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === quote) return at;
    if (text[at] === backslash) at += 1;
  }
  return -1;
}

function streamAt(text: Buffer, at: number): LogBytes['stream'] | undefined {
  const isAt = (bytes: Buffer): boolean =>
    at + bytes.length <= text.length && text.compare(bytes, 0, bytes.length, at, at + bytes.length) === 0;
  return isAt(streams.stdout) ? 'stdout' : isAt(streams.stderr) ? 'stderr' : undefined;
}
