import { isRecord } from './cursor.ts';

// Compose replaces these instead of joining them (compose specification, chapter "Merge").
const replaced = new Set(['command', 'entrypoint', 'test']);
// These may be written as a list of KEY=value or as a mapping.
const pairLists = new Set(['environment', 'labels', 'args', 'sysctls', 'extra_hosts']);
// These may be written as a list of names or as a mapping.
export const nameLists: ReadonlySet<string> = new Set(['networks', 'depends_on']);

/** Lays one piece of a compose file over another: mappings are merged, lists joined, everything else replaced. */
export function mergeCompose(under: unknown, over: unknown, key = ''): unknown {
  if (over === undefined || over === null) return under;
  if (under === undefined || under === null || replaced.has(key)) return over;
  if (pairLists.has(key)) return { ...pairs(under), ...pairs(over) };
  if (nameLists.has(key) && Array.isArray(under) !== Array.isArray(over))
    return mergeCompose(named(under), named(over));
  if (isRecord(under) && isRecord(over)) {
    const keys = new Set([...Object.keys(under), ...Object.keys(over)]);
    return Object.fromEntries([...keys].map((name) => [name, mergeCompose(under[name], over[name], name)]));
  }
  if (Array.isArray(under) && Array.isArray(over)) return joined(under, over);
  return over;
}

function joined(under: readonly unknown[], over: readonly unknown[]): readonly unknown[] {
  const seen = new Set(under.map((item) => JSON.stringify(item)));
  return [...under, ...over.filter((item) => !seen.has(JSON.stringify(item)))];
}

function pairs(value: unknown): Readonly<Record<string, unknown>> {
  if (isRecord(value)) return value;
  const texts = Array.isArray(value) ? value.map(String) : [];
  return Object.fromEntries(
    texts.map((text) =>
      text.includes('=') ? [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] : [text, null],
    ),
  );
}

export function named(value: unknown): Readonly<Record<string, unknown>> {
  if (isRecord(value)) return value;
  return Object.fromEntries((Array.isArray(value) ? value.map(String) : []).map((name) => [name, {}]));
}
