/**
 * One text for one value, whatever order its keys were written in: keys sorted by UTF-16 units, no white space, as in RFC 8785. What is signed
 * holds text, whole numbers, booleans, null, lists and objects only.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/** The bytes of it. */
export function canonicalBytes(value: unknown): Uint8Array {
  return Buffer.from(canonicalJson(value));
}
