import { suggestion } from '@devstack-core/compose-project';
import { DevstackError } from '@devstack-core/errors';
import { LineCounter, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import { NetworkAuditErrorCode } from './errors.ts';

/** A place in a file. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** One entry of a list, read field by field; each throws with its line. */
export interface EntryReader {
  readonly line: number;
  text(field: string): string;
  /** Undefined where the field is missing. */
  numbers(field: string, minimum: number, maximum: number): readonly number[] | undefined;
}

/** The error of declared paths that cannot be used. */
export function invalidPaths(at: Place, message: string, hint?: string): DevstackError {
  return new DevstackError({
    code: NetworkAuditErrorCode.pathsInvalid,
    message: `${at.file}:${String(at.line)}: ${message}.`,
    hint: hint ?? 'Correct the declared paths; their format is in the README of network-audit.',
    details: { file: at.file, line: at.line },
  });
}

/** Reads a YAML file that is a mapping of lists of mappings with these fields; missing lists are empty. */
export function readListsWithLines<Name extends string>(
  text: string,
  file: string,
  fields: Readonly<Record<Name, readonly string[]>>,
): Readonly<Record<Name, readonly EntryReader[]>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (node: unknown, fallback: Place): Place => {
    const offset = (node as { range?: readonly number[] } | null | undefined)?.range?.[0];
    return offset === undefined ? fallback : { file, line: Math.max(1, lines.linePos(offset).line) };
  };
  const top: Place = { file, line: 1 };
  const [problem] = document.errors;
  if (problem !== undefined) {
    const line = Math.max(1, lines.linePos(problem.pos[0]).line);
    throw invalidPaths({ file, line }, `not valid YAML: ${problem.message}`);
  }
  const names = Object.keys(fields) as Name[];
  const lists = Object.fromEntries(names.map((name) => [name, [] as EntryReader[]])) as Record<Name, EntryReader[]>;
  if (document.contents === null) return lists;
  for (const [key, { value, at }] of pairsOf(document.contents, top, place)) {
    const name = names.find((candidate) => candidate === key);
    if (name === undefined) throw invalidPaths(at, `has the unknown field ${key}`, suggestion(key, names));
    if (value === null || (isScalar(value) && value.value === null)) continue;
    if (!isSeq(value)) throw invalidPaths(at, `${key} must be a list`);
    for (const item of value.items) lists[name].push(readerOf(item, place(item, at), fields[name], place));
  }
  return lists;
}

type PlaceOf = (node: unknown, fallback: Place) => Place;

function pairsOf(
  node: unknown,
  at: Place,
  place: PlaceOf,
): readonly (readonly [string, { value: unknown; at: Place }])[] {
  if (!isMap(node)) throw invalidPaths(at, 'must be a mapping');
  return node.items.map(({ key, value }) => [isScalar(key) ? String(key.value) : '', { value, at: place(key, at) }]);
}

function readerOf(node: unknown, at: Place, known: readonly string[], place: PlaceOf): EntryReader {
  const pairs = new Map(pairsOf(node, at, place));
  for (const [name, field] of pairs)
    if (!known.includes(name))
      throw invalidPaths(field.at, `an entry has the unknown field ${name}`, suggestion(name, known));
  return {
    line: at.line,
    text: (name) => {
      const field = pairs.get(name);
      if (field === undefined)
        throw invalidPaths(at, `an entry has no ${name}`, `Every entry has ${known.join(', ')}.`);
      const value = isScalar(field.value) ? field.value.value : undefined;
      if (typeof value === 'string' && value.trim() !== '') return value.trim();
      throw invalidPaths(field.at, `${name} must be text, and not empty`);
    },
    numbers: (name, minimum, maximum) => {
      const field = pairs.get(name);
      if (field === undefined) return undefined;
      const items = isSeq(field.value) ? field.value.items : [];
      const numbers = items.map((item) => (isScalar(item) ? item.value : undefined));
      const isFine = (number: unknown): number is number =>
        typeof number === 'number' && Number.isInteger(number) && number >= minimum && number <= maximum;
      if (numbers.length > 0 && numbers.every(isFine)) return numbers;
      const range = `${String(minimum)} to ${String(maximum)}`;
      throw invalidPaths(field.at, `${name} must be a list of whole numbers from ${range}, and not empty`);
    },
  };
}
