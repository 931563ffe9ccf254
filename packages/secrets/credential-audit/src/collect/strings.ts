/** A text in a tree of JSON, and the way to it. */
export interface FoundString {
  /** E.g. `Config.Env[3]`. */
  readonly path: string;
  readonly text: string;
}

/** Every text in a tree, the names of its fields included. */
export function* strings(value: unknown, path = ''): Generator<FoundString, void, undefined> {
  if (typeof value === 'string') {
    yield { path, text: value };
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* strings(item, `${path}[${String(index)}]`);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      const under = path === '' ? name : `${path}.${name}`;
      yield { path: under, text: name };
      yield* strings(item, under);
    }
  }
}
