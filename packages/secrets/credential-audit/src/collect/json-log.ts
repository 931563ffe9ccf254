import { open, readdir, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { LogBytes } from '@devstack-core/docker-engine';

/**
 * A log of the driver `json-file`, read from its files, the rotated ones first: the engine takes ten times as long to hand it over.
 * Gives what the engine would give. Throws where it is not as expected (compressed, another format), for the caller to ask the engine.
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

const blockBytes = 1 << 20;

async function* readFileOf(file: FileHandle, sizeBytes: number): AsyncGenerator<LogBytes, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for (let position = 0; position < sizeBytes;) {
    const block = Buffer.allocUnsafe(rest.length + Math.min(blockBytes, sizeBytes - position));
    rest.copy(block);
    const { bytesRead } = await file.read(block, rest.length, block.length - rest.length, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const text = block.subarray(0, rest.length + bytesRead);
    const end = text.lastIndexOf(newline) + 1;
    yield* linesOf(text.subarray(0, end));
    rest = text.subarray(end);
  }
  // An entry that is only half written belongs to later.
}

const [newline, quote, backslash] = [0x0a, 0x22, 0x5c];
const opening = Buffer.from('{"log":"');
const streams = { stdout: Buffer.from(',"stream":"stdout"'), stderr: Buffer.from(',"stream":"stderr"') };

// Entries that stand together go out together.
function* linesOf(text: Buffer): Generator<LogBytes, void, undefined> {
  let pending: Buffer[] = [];
  let current: LogBytes['stream'] = 'stdout';
  for (let start = 0; start < text.length;) {
    const end = text.indexOf(newline, start);
    const { stream, parts } = entryOf(text, start, end);
    if (stream !== current && pending.length > 0) {
      yield { stream: current, bytes: Buffer.concat(pending) };
      pending = [];
    }
    current = stream;
    pending.push(...parts);
    start = end + 1;
  }
  if (pending.length > 0) yield { stream: current, bytes: Buffer.concat(pending) };
}

const lineEnd = Buffer.from('\n');

function entryOf(
  text: Buffer,
  start: number,
  end: number,
): { readonly stream: LogBytes['stream']; readonly parts: readonly Buffer[] } {
  const from = start + opening.length;
  if (text.compare(opening, 0, opening.length, start, from) !== 0) throw new Error('an entry is of another format');
  const slash = text.indexOf(backslash, from);
  let close = text.indexOf(quote, from);
  // Most entries are plain text with one escape, that of their line end.
  const isPlain = slash === close - 2 && text[slash + 1] === 0x6e;
  if (!isPlain) close = closingQuote(text, from);
  const stream = streamAt(text, close + 1);
  if (close < 0 || close > end || stream === undefined) throw new Error('an entry is of another format');
  if (isPlain) return { stream, parts: [text.subarray(from, slash), lineEnd] };
  const raw = text.toString('utf8', from - 1, close + 1);
  return { stream, parts: [Buffer.from(String(JSON.parse(raw)), 'utf8')] };
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
