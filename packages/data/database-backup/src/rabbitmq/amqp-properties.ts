import { AmqpReader, AmqpWriter } from './amqp-bytes.ts';

const flag = { contentType: 1 << 15, contentEncoding: 1 << 14, headers: 1 << 13, expiration: 1 << 8, userId: 1 << 4 };

/** What of a message's properties matters to us; everything else stays bytes, so that no type of any header is lost. */
export interface PropertyFacts {
  /** Names of the headers. */
  readonly headers: readonly string[];
  readonly hasExpiration: boolean;
  readonly hasUserId: boolean;
}

/** Properties as they stand in a content header: flags, then values (AMQP 0-9-1, section 4.2.6.1). */
export function propertyFacts(properties: Buffer): PropertyFacts {
  const { flags, table } = split(properties);
  return {
    headers: table === undefined ? [] : entriesOf(table).map(({ name }) => name),
    hasExpiration: (flags & flag.expiration) !== 0,
    hasUserId: (flags & flag.userId) !== 0,
  };
}

/** Without headers that the broker adds to a delivery, and without a table that is empty: the same message looks the same each time it is read. */
export function withoutHeaders(properties: Buffer, names: readonly string[]): Buffer {
  const { flags, before, table, after } = split(properties);
  if (table === undefined) return properties;
  const kept = entriesOf(table).filter(({ name }) => !names.includes(name));
  if (kept.length === 0)
    return new AmqpWriter()
      .short(flags & ~flag.headers)
      .raw(before)
      .raw(after)
      .bytes();
  const headers = Buffer.concat(kept.map(({ bytes }) => bytes));
  return new AmqpWriter().short(flags).raw(before).longString(headers).raw(after).bytes();
}

function split(properties: Buffer): { flags: number; before: Buffer; table: Buffer | undefined; after: Buffer } {
  const reader = new AmqpReader(properties);
  const flags = reader.short();
  if ((flags & 1) !== 0) throw new Error('a message has properties of an unknown kind');
  const start = reader.at;
  if ((flags & flag.contentType) !== 0) reader.shortString();
  if ((flags & flag.contentEncoding) !== 0) reader.shortString();
  const before = properties.subarray(start, reader.at);
  const table = (flags & flag.headers) === 0 ? undefined : reader.raw(reader.long());
  return { flags, before, table, after: reader.rest() };
}

function entriesOf(table: Buffer): readonly { readonly name: string; readonly bytes: Buffer }[] {
  const reader = new AmqpReader(table);
  const entries: { name: string; bytes: Buffer }[] = [];
  while (!reader.isAtEnd) {
    const start = reader.at;
    const name = reader.shortString();
    skipValue(reader);
    entries.push({ name, bytes: table.subarray(start, reader.at) });
  }
  return entries;
}

const fixedSizes: Readonly<Record<string, number>> = {
  t: 1,
  b: 1,
  B: 1,
  s: 2,
  u: 2,
  I: 4,
  i: 4,
  l: 8,
  L: 8,
  f: 4,
  d: 8,
  D: 5,
  T: 8,
  V: 0,
};

// The types that RabbitMQ knows (“AMQP 0-9-1 errata”, section 3); strings, arrays and tables have their length before them.
function skipValue(reader: AmqpReader): void {
  const type = String.fromCharCode(reader.octet());
  const size = fixedSizes[type];
  if (size !== undefined) reader.raw(size);
  else if ('SAFx'.includes(type)) reader.raw(reader.long());
  else throw new Error(`a header is of the unknown type "${type}"`);
}
