const brand: unique symbol = Symbol.for('@devstack-core/redaction/secret') as never;
const shown = '[secret]';

/** Anything that holds a secret value and gives it up only when asked by name. */
export interface Revealable<T = string> {
  reveal(): T;
}

/**
 * A value that hides itself in `toString`, template strings, `JSON.stringify` and `util.inspect` (at every depth).
 * `reveal()` is the only way out, so `grep reveal` finds every place where a secret leaves.
 */
export class Secret<T = string> implements Revealable<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
    Object.defineProperty(this, brand, { value: true });
    Object.freeze(this);
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  static {
    Object.defineProperty(this.prototype, Symbol.for('nodejs.util.inspect.custom'), { value: () => shown });
  }
}

/** Wraps a value; a value that is a `Secret` already is given back as it is. */
export function secret<T = string>(value: T | Secret<T>): Secret<T> {
  return isSecret(value) ? value : new Secret(value);
}

/** True for a `Secret` of any copy of this package. */
export function isSecret(value: unknown): value is Secret<unknown> {
  return typeof value === 'object' && value !== null && brand in value;
}
