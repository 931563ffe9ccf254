/** Writes archives as pg_dump does, for tests without a server. */
export interface ArchiveSpec {
  readonly format?: readonly [major: number, minor: number];
  readonly compression?: number;
  readonly serverVersion?: string;
  readonly dumpVersion?: string;
  readonly entries: readonly {
    readonly tag: string;
    readonly description: string;
    readonly definition?: string;
    readonly schema?: string;
    readonly owner?: string;
    /** Blocks of a table's rows, or of each of several large objects. */
    readonly data?: readonly string[] | readonly (readonly string[])[];
  }[];
}

export function makeArchive(spec: ArchiveSpec): Buffer {
  const [major, minor] = spec.format ?? [1, 16];
  const out: Buffer[] = [Buffer.from('PGDMP'), Buffer.from([major, minor, 0, 4, 8, 1])];
  out.push(minor >= 15 ? Buffer.from([spec.compression ?? 0]) : int(spec.compression ?? 0));
  for (let field = 0; field < 7; field += 1) out.push(int(field));
  out.push(
    string('the database'),
    string(`${spec.serverVersion ?? '17.6'} (Debian)`),
    string(spec.dumpVersion ?? '17.6'),
  );
  out.push(int(spec.entries.length));
  spec.entries.forEach((entry, index) => {
    out.push(int(index + 1), int(entry.data === undefined ? 0 : 1), string('0'), string('16384'));
    out.push(
      string(entry.tag),
      string(entry.description),
      int(2),
      string(entry.definition ?? ''),
      string(''),
      string(undefined),
    );
    out.push(string(entry.schema), string(''), string(''));
    if (minor >= 16) out.push(int(114));
    out.push(string(entry.owner), string('false'), string('7'), string(undefined), Buffer.alloc(9, 1));
  });
  spec.entries.forEach(({ data }, index) => {
    if (data === undefined) return;
    const isObjects = data.some((item) => typeof item !== 'string');
    out.push(Buffer.from([isObjects ? 3 : 1]), int(index + 1));
    data.forEach((item, at) => {
      if (typeof item === 'string') out.push(string(item));
      else out.push(int(at === 0 ? -5 : 5001), ...item.map(string), int(0));
    });
    out.push(int(0));
  });
  return Buffer.concat(out);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(value < 0 ? 1 : 0, 0);
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}

function string(text: string | undefined): Buffer {
  return text === undefined ? int(-1) : Buffer.concat([int(Buffer.byteLength(text)), Buffer.from(text)]);
}
