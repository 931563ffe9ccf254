/** Documents as BSON, element by element, so that nothing between here and the server chooses a type. */
export function raw(...elements: readonly Buffer[]): Buffer {
  const body = Buffer.concat(elements);
  const head = Buffer.alloc(4);
  head.writeInt32LE(body.length + 5);
  return Buffer.concat([head, body, Buffer.alloc(1)]);
}

const named = (type: number, name: string, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(type), Buffer.from(`${name}\0`), value]);

const number = (bytes: number, write: (buffer: Buffer) => unknown): Buffer => {
  const buffer = Buffer.alloc(bytes);
  write(buffer);
  return buffer;
};

const text = (value: string): Buffer => {
  const bytes = Buffer.from(`${value}\0`);
  return Buffer.concat([number(4, (buffer) => buffer.writeInt32LE(bytes.length)), bytes]);
};

export const double = (name: string, value: number): Buffer =>
  named(
    0x01,
    name,
    number(8, (buffer) => buffer.writeDoubleLE(value)),
  );
export const string = (name: string, value: string): Buffer => named(0x02, name, text(value));
export const object = (name: string, ...elements: readonly Buffer[]): Buffer => named(0x03, name, raw(...elements));
export const array = (name: string, ...elements: readonly Buffer[]): Buffer => named(0x04, name, raw(...elements));
export const binary = (name: string, subtype: number, value: Uint8Array): Buffer =>
  named(
    0x05,
    name,
    Buffer.concat([number(4, (buffer) => buffer.writeInt32LE(value.length)), Buffer.of(subtype), value]),
  );
export const objectId = (name: string, hex: string): Buffer => named(0x07, name, Buffer.from(hex, 'hex'));
export const bool = (name: string, value: boolean): Buffer => named(0x08, name, Buffer.of(value ? 1 : 0));
export const date = (name: string, milliseconds: bigint): Buffer =>
  named(
    0x09,
    name,
    number(8, (buffer) => buffer.writeBigInt64LE(milliseconds)),
  );
export const nothing = (name: string): Buffer => named(0x0a, name, Buffer.alloc(0));
export const regex = (name: string, pattern: string, options: string): Buffer =>
  named(0x0b, name, Buffer.from(`${pattern}\0${options}\0`));
export const int32 = (name: string, value: number): Buffer =>
  named(
    0x10,
    name,
    number(4, (buffer) => buffer.writeInt32LE(value)),
  );
export const timestamp = (name: string, value: bigint): Buffer =>
  named(
    0x11,
    name,
    number(8, (buffer) => buffer.writeBigUInt64LE(value)),
  );
export const int64 = (name: string, value: bigint): Buffer =>
  named(
    0x12,
    name,
    number(8, (buffer) => buffer.writeBigInt64LE(value)),
  );

/** Everything that FerretDB 1.24 keeps; fields in an order that a JavaScript object would change. */
export const awkwardDocuments: readonly Buffer[] = [
  raw(
    objectId('_id', '0123456789abcdef01234567'),
    string('z', 'Zoë 🔑 שלום'),
    int32('10', 1),
    int32('2', 2),
    int32('1', 3),
    double('double', 1),
    int64('long', 1n),
    int32('int', 1),
    double('third', 1 / 3),
    double('huge', 1.7976931348623157e308),
    double('tiny', 5e-324),
    int64('most', 9223372036854775807n),
    int64('least', -9223372036854775808n),
    bool('yes', true),
    nothing('nothing'),
    date('date', 1700000000123n),
    date('before', -62135596800000n),
    regex('regex', '^a.*"b\\/', 'imx'),
    timestamp('timestamp', 0x1234567800000001n),
    binary('binary', 0, Buffer.from([0, 1, 2, 255, 10, 13])),
    binary('uuid', 4, Buffer.alloc(16, 7)),
    binary('none', 0, Buffer.alloc(0)),
    object('empty'),
    array('list'),
    array('deep', object('0', array('1', int32('0', 1), string('1', 'x')), nothing('2')), int64('1', 5n)),
    object('ordered', int32('b', 1), int32('a', 2), int32('0', 3)),
    string('', 'no name'),
    string('naïve field – 名前', 'ok'),
    string('blank', ''),
  ),
  raw(int32('_id', 1)),
  raw(int64('_id', 2n), int32('same', 1)),
  raw(double('_id', 3.5)),
  raw(string('_id', 'text')),
  raw(object('_id', int32('b', 1), int32('a', 2))),
  raw(bool('_id', false)),
  raw(date('_id', 5n)),
  raw(binary('_id', 0, Buffer.from([1, 2, 3]))),
];
