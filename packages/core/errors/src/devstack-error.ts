const brand: unique symbol = Symbol.for('@devstack-core/errors') as never;

/** What a `DevstackError` is made of. */
export interface DevstackErrorOptions {
  /** Stable, UPPER_SNAKE, listed in the README of the package that throws it. */
  readonly code: string;
  /** What happened and why, in one sentence; never a secret. */
  readonly message: string;
  /** What to do next. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Plain data for machines; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What `JSON.stringify` makes of a `DevstackError`: the cause and the stack stay behind, as foreign text may hold secrets. */
export interface SerializedDevstackError {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The one error type of the project: a stable code for programs, a message and a hint for people. */
export class DevstackError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(options: DevstackErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.hint = options.hint;
    this.details = options.details ?? {};
    // Neither is shown by inspect: the brand is noise, and the cause is printed on its own.
    Object.defineProperty(this, brand, { value: true });
  }

  static {
    Object.defineProperty(this.prototype, 'name', { value: 'DevstackError', configurable: true, writable: true });
  }

  toJSON(): SerializedDevstackError {
    return { code: this.code, message: this.message, hint: this.hint ?? null, details: this.details };
  }
}

/**
 * True for a `DevstackError` of any copy of this package, with that code where one is given.
 * Two copies in one process are normal when libraries are installed one at a time, so `instanceof` would lie.
 */
export function isDevstackError(value: unknown, code?: string): value is DevstackError {
  return (
    typeof value === 'object' &&
    value !== null &&
    brand in value &&
    (code === undefined || ('code' in value && value.code === code))
  );
}
