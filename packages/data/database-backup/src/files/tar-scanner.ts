import { decodePax, fieldText, numberIn, isZero, checksumFits, nameText } from './tar-header.ts';

/** What an archive says of one member. */
export interface TarEntry {
  /** Without a leading `./` and a trailing `/`; what is not UTF-8 is given as `hex:…`. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'device';
  /** Permission bits, setuid, setgid and sticky included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the file itself, holes included. */
  readonly size: number;
  /** Target of a link. */
  readonly link: string;
  /** Extended attributes and ACLs by their names in the archive. */
  readonly attributes: ReadonlyMap<string, Uint8Array>;
}

/** What comes next in an archive: a member begins, some of its content, zeros that are not stored, the member ends. */
export type TarEvent =
  | { readonly kind: 'entry'; readonly entry: TarEntry }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'hole'; readonly bytes: number }
  | { readonly kind: 'end' };

type State = 'header' | 'meta' | 'map' | 'data' | 'padding' | 'done';

const block = 512;
const maximumMetaBytes = 16 * 1024 * 1024;
const types: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
};

/**
 * Reads a tar archive as it flows by, in constant memory: ustar, pax (POSIX.1-2017, “pax Interchange Format”), GNU's long names, and
 * sparse files as GNU tar writes them into pax archives (format 1.0). Any byte that does not belong there is an `Error`.
 */
export class TarScanner {
  #pending: Buffer = Buffer.alloc(0);
  #state: State = 'header';
  /** Bytes that the state still takes. */
  #left = 0;
  #padding = 0;
  #metaType = '';
  #pax = new Map<string, Buffer>();
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;
  #zeroBlocks = 0;
  /** Numbers of a sparse map: offset and length of each piece that is stored. */
  #map: number[] = [];
  #position = 0;
  #realSize = 0;

  push(chunk: Uint8Array): TarEvent[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const events: TarEvent[] = [];
    while (this.#step(events));
    return events;
  }

  /** To be called after the last chunk: an archive without its end mark is half of one. */
  finish(): void {
    if (this.#state !== 'done' || this.#pending.length > 0) throw new Error('the archive ends before its end mark');
  }

  // Takes what it can; false when it needs more.
  #step(events: TarEvent[]): boolean {
    switch (this.#state) {
      case 'header':
        return this.#header(events);
      case 'meta':
        return this.#meta();
      case 'map':
        return this.#sparseMap(events);
      case 'data':
        return this.#data(events);
      case 'padding':
        return this.#skipPadding();
      case 'done':
        if (!isZero(this.#take(this.#pending.length)))
          throw new Error('there is something after the archive’s end mark');
        return false;
    }
  }

  #header(events: TarEvent[]): boolean {
    if (this.#pending.length < block) return false;
    const header = this.#take(block);
    if (isZero(header)) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) this.#state = 'done';
      return true;
    }
    if (this.#zeroBlocks > 0) throw new Error('a member comes after a block of zeros');
    if (!checksumFits(header)) throw new Error('the checksum of a header is wrong');
    const flag = header.toString('latin1', 156, 157);
    const size = this.#paxNumber('size') ?? numberIn(header, 124, 12);
    if ('xgLK'.includes(flag)) {
      if (size > maximumMetaBytes) throw new Error('a header is longer than 16 MiB');
      this.#metaType = flag;
      this.#left = size;
      this.#state = 'meta';
      return true;
    }
    this.#begin(events, header, flag, size);
    return true;
  }

  #begin(events: TarEvent[], header: Buffer, flag: string, size: number): void {
    const type = types[flag];
    if (type === undefined) throw new Error(`a member is of the unknown type ${JSON.stringify(flag)}`);
    const isSparse = this.#pax.has('GNU.sparse.major');
    if (isSparse && this.#paxNumber('GNU.sparse.major') !== 1) throw new Error('a sparse file is of an unknown format');
    if ([...this.#pax.keys()].some((name) => name.startsWith('GNU.sparse.')) && !isSparse)
      throw new Error('a sparse file is of an old format');
    const stored = type === 'file' ? size : 0;
    this.#realSize = isSparse ? (this.#paxNumber('GNU.sparse.realsize') ?? 0) : stored;
    const name = this.#pax.get('GNU.sparse.name') ?? this.#pax.get('path') ?? this.#longName ?? ustarName(header);
    const link = this.#pax.get('linkpath') ?? this.#longLink ?? fieldText(header, 157, 100);
    events.push({
      kind: 'entry',
      entry: {
        path: nameText(trimmed(name)),
        type,
        mode: numberIn(header, 100, 8) & 0o7777,
        uid: this.#paxNumber('uid') ?? numberIn(header, 108, 8),
        gid: this.#paxNumber('gid') ?? numberIn(header, 116, 8),
        size: this.#realSize,
        link: type === 'symlink' || type === 'hardlink' ? nameText(link) : '',
        attributes: new Map(
          [...this.#pax].filter(([key]) => key.startsWith('SCHILY.xattr.') || key.startsWith('SCHILY.acl.')),
        ),
      },
    });
    this.#pax = new Map();
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#left = stored;
    this.#padding = (block - (stored % block)) % block;
    this.#position = 0;
    this.#map = [];
    this.#state = isSparse ? 'map' : 'data';
  }

  #meta(): boolean {
    const padded = this.#left + ((block - (this.#left % block)) % block);
    if (this.#pending.length < padded) return false;
    const content = Buffer.from(this.#take(padded).subarray(0, this.#left));
    if (this.#metaType === 'x') this.#pax = decodePax(content);
    else if (this.#metaType === 'L') this.#longName = withoutZero(content);
    else if (this.#metaType === 'K') this.#longLink = withoutZero(content);
    else if (decodePax(content).size > 0 && [...decodePax(content).keys()].some((key) => key !== 'comment'))
      throw new Error('a global header would change every member');
    this.#state = 'header';
    return true;
  }

  // Decimal numbers, each on a line: how many pieces, then offset and length of each; padded to whole blocks.
  #sparseMap(events: TarEvent[]): boolean {
    let at = 0;
    const numbers: number[] = [];
    while (numbers.length === 0 || numbers.length < 1 + 2 * (numbers[0] ?? 0)) {
      const end = this.#pending.indexOf(10, at);
      if (end < 0) {
        if (this.#pending.length > maximumMetaBytes) throw new Error('the map of a sparse file is longer than 16 MiB');
        return false;
      }
      const text = this.#pending.toString('latin1', at, end);
      if (!/^\d{1,15}$/.test(text)) throw new Error('the map of a sparse file cannot be read');
      numbers.push(Number(text));
      at = end + 1;
    }
    const padded = Math.ceil(at / block) * block;
    if (this.#pending.length < padded) return false;
    this.#take(padded);
    this.#left -= padded;
    this.#map = numbers.slice(1);
    const stored = this.#map.reduce((sum, value, index) => (index % 2 === 1 ? sum + value : sum), 0);
    if (stored !== this.#left) throw new Error('the map of a sparse file does not fit its content');
    this.#state = 'data';
    this.#hole(events);
    return true;
  }

  // Zeros up to the next piece that is stored.
  #hole(events: TarEvent[]): void {
    while (this.#map[1] === 0 && this.#map.length > 2) this.#map.splice(0, 2);
    const next = this.#map[0] ?? this.#realSize;
    if (next < this.#position || next > this.#realSize) throw new Error('the map of a sparse file is out of order');
    if (next > this.#position) events.push({ kind: 'hole', bytes: next - this.#position });
    this.#position = next;
  }

  #data(events: TarEvent[]): boolean {
    if (this.#left === 0) {
      if (this.#map.length > 0) {
        this.#map = [];
        this.#hole(events);
      }
      events.push({ kind: 'end' });
      this.#left = this.#padding;
      this.#state = 'padding';
      return true;
    }
    if (this.#pending.length === 0) return false;
    const bytes = this.#take(Math.min(this.#pending.length, this.#left, this.#map[1] ?? this.#left));
    events.push({ kind: 'data', bytes });
    this.#left -= bytes.length;
    this.#position += bytes.length;
    const [, piece] = this.#map;
    if (piece !== undefined) {
      this.#map[1] = piece - bytes.length;
      if (this.#map[1] === 0 && this.#left > 0) {
        this.#map.splice(0, 2);
        this.#hole(events);
      }
    }
    return true;
  }

  #skipPadding(): boolean {
    const bytes = this.#take(Math.min(this.#pending.length, this.#left));
    this.#left -= bytes.length;
    if (this.#left > 0) return false;
    this.#state = 'header';
    return true;
  }

  #take(bytes: number): Buffer {
    const taken = this.#pending.subarray(0, bytes);
    this.#pending = this.#pending.subarray(bytes);
    return taken;
  }

  #paxNumber(key: string): number | undefined {
    const text = this.#pax.get(key)?.toString('latin1');
    if (text === undefined) return undefined;
    if (!/^\d{1,15}$/.test(text)) throw new Error(`the header field ${key} is no number`);
    return Number(text);
  }
}

// `./a/` and `a` are the same; the root is `.`.
function trimmed(name: Buffer): Buffer {
  const text = name
    .toString('latin1')
    .replace(/^(\.\/+)+/, '')
    .replace(/(.)\/+$/, '$1');
  return Buffer.from(text === '' ? '.' : text, 'latin1');
}

function withoutZero(name: Buffer): Buffer {
  const end = name.indexOf(0);
  return end < 0 ? name : name.subarray(0, end);
}

function ustarName(header: Buffer): Buffer {
  const name = fieldText(header, 0, 100);
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? fieldText(header, 345, 155) : Buffer.alloc(0);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}
