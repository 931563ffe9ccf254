import type { RdbCursor } from './rdb-cursor.ts';

/** Types of values in RDB files (redis/src/rdb.h, `RDB_TYPE_*`), by what they are to a user. */
export const groupOfType: Readonly<Record<number, string>> = {
  0: 'string',
  1: 'list',
  2: 'set',
  3: 'sorted set',
  4: 'hash',
  5: 'sorted set',
  7: 'module',
  10: 'list',
  11: 'set',
  12: 'sorted set',
  13: 'hash',
  14: 'list',
  15: 'stream',
  16: 'hash',
  17: 'sorted set',
  18: 'list',
  19: 'stream',
  20: 'set',
  21: 'stream',
  24: 'hash',
  25: 'hash',
};

/** Moves behind a value without looking into it. Throws an `Error` for types that this reader does not know: they cannot be measured. */
export function skipValue(cursor: RdbCursor, type: number): void {
  const times = (count: number, skip: () => void): void => {
    for (let index = 0; index < count; index += 1) skip();
  };
  const string = (): void => {
    cursor.skipString();
  };
  switch (type) {
    case 0:
    case 10:
    case 11:
    case 12:
    case 13:
    case 16:
    case 17:
    case 20:
      string();
      return;
    case 1:
    case 2:
    case 14:
      times(cursor.count(), string);
      return;
    case 3:
      times(cursor.count(), () => {
        string();
        const length = cursor.byte();
        if (length < 253) cursor.bytes(length);
      });
      return;
    case 4:
      times(2 * cursor.count(), string);
      return;
    case 5:
      times(cursor.count(), () => {
        string();
        cursor.bytes(8);
      });
      return;
    case 7:
      cursor.length();
      skipModuleValue(cursor);
      return;
    case 18:
      times(cursor.count(), () => {
        cursor.length();
        string();
      });
      return;
    case 15:
    case 19:
    case 21:
      skipStream(cursor, type);
      return;
    case 24:
      cursor.bytes(8);
      times(cursor.count(), () => {
        cursor.length();
        string();
        string();
      });
      return;
    case 25:
      cursor.bytes(8);
      string();
      return;
    default:
      throw new Error(`a value is of the type ${String(type)}, which is unknown here`);
  }
}

/** What a module wrote: pieces with their types, up to an end mark. */
export function skipModuleValue(cursor: RdbCursor): void {
  for (;;) {
    switch (cursor.count()) {
      case 0:
        return;
      case 1:
      case 2:
        cursor.length();
        break;
      case 3:
        cursor.bytes(4);
        break;
      case 4:
        cursor.bytes(8);
        break;
      case 5:
        cursor.skipString();
        break;
      default:
        throw new Error('a module wrote a piece of an unknown form');
    }
  }
}

function skipStream(cursor: RdbCursor, type: number): void {
  const lengths = (count: number): void => {
    for (let index = 0; index < count; index += 1) cursor.length();
  };
  for (let packs = cursor.count(); packs > 0; packs -= 1) {
    cursor.skipString();
    cursor.skipString();
  }
  lengths(type === 15 ? 3 : 8);
  for (let groups = cursor.count(); groups > 0; groups -= 1) {
    cursor.skipString();
    lengths(type === 15 ? 2 : 3);
    for (let pending = cursor.count(); pending > 0; pending -= 1) {
      cursor.bytes(16 + 8);
      cursor.length();
    }
    for (let consumers = cursor.count(); consumers > 0; consumers -= 1) {
      cursor.skipString();
      cursor.bytes(type === 21 ? 16 : 8);
      for (let pending = cursor.count(); pending > 0; pending -= 1) cursor.bytes(16);
    }
  }
}
