import { DevstackError } from '@devstack-core/errors';
import { ComposeProjectErrorCode } from './errors.ts';

/** One step into a document. */
export type PathStep = string | number;

/** Where a path of a compose file is written; `column` counts from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Finds the position of a path, or of the nearest parent that is written anywhere. */
export type Locate = (path: readonly PathStep[]) => Position;

/** The error of a compose file that cannot be used. Code COMPOSE_PARSE; the position is in message and details. */
export function parseError(position: Position, message: string, hint?: string): DevstackError {
  return new DevstackError({
    code: ComposeProjectErrorCode.composeParse,
    message: `${position.file}:${String(position.line)}:${String(position.column)}: ${message}`,
    hint: hint ?? 'Correct the compose file; `docker compose config` checks it too.',
    details: { file: position.file, line: position.line, column: position.column },
  });
}

/** A place in a compose document: its value with variables filled in, and the same place as it is written. */
export class Cursor {
  readonly value: unknown;
  readonly raw: unknown;
  readonly path: readonly PathStep[];
  readonly #locate: Locate;

  constructor(value: unknown, raw: unknown, path: readonly PathStep[], locate: Locate) {
    this.value = value;
    this.raw = raw;
    this.path = path;
    this.#locate = locate;
  }

  get position(): Position {
    return this.#locate(this.path);
  }

  /** The path as compose writes it, e.g. `services.web.ports[0]`. */
  get label(): string {
    return this.path
      .map((step, index) => (typeof step === 'number' ? `[${String(step)}]` : index === 0 ? step : `.${step}`))
      .join('');
  }

  fail(message: string, hint?: string): never {
    throw parseError(this.position, `${this.label} ${message}`, hint);
  }

  isMap(): boolean {
    return isRecord(this.value);
  }

  get(key: string): Cursor | undefined {
    if (!isRecord(this.value) || !Object.hasOwn(this.value, key)) return undefined;
    const value = this.value[key];
    return value === null || value === undefined
      ? undefined
      : this.#child(key, value, isRecord(this.raw) ? this.raw[key] : undefined);
  }

  at(...keys: readonly string[]): Cursor | undefined {
    let place: Cursor | undefined = this.get(keys[0] ?? '');
    for (const key of keys.slice(1)) place = place?.get(key);
    return place;
  }

  entries(): [string, Cursor][] {
    if (!isRecord(this.value)) return this.fail('must be a mapping');
    const raw = this.raw;
    return Object.entries(this.value).map(([key, value]) => [
      key,
      this.#child(key, value, isRecord(raw) ? raw[key] : undefined),
    ]);
  }

  items(): Cursor[] {
    if (!Array.isArray(this.value)) return this.fail('must be a list');
    const raw: unknown = this.raw;
    return this.value.map((value: unknown, index) =>
      this.#child(index, value, Array.isArray(raw) ? raw[index] : undefined),
    );
  }

  text(): string {
    const { value } = this;
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return this.fail('must be text');
  }

  /** The text as it is written, before variables are filled in. */
  rawText(): string {
    return typeof this.raw === 'string' || typeof this.raw === 'number' ? String(this.raw) : '';
  }

  number(): number {
    const number =
      typeof this.value === 'number' ? this.value : this.text().trim() === '' ? Number.NaN : Number(this.text());
    return Number.isFinite(number) ? number : this.fail(`must be a number, and is ${JSON.stringify(this.value)}`);
  }

  integer(minimum: number, maximum: number): number {
    const number = this.number();
    const isFine = Number.isInteger(number) && number >= minimum && number <= maximum;
    return isFine
      ? number
      : this.fail(
          `must be a whole number from ${String(minimum)} to ${String(maximum)}, and is ${JSON.stringify(this.value)}`,
        );
  }

  boolean(): boolean {
    const text = this.text().toLowerCase();
    if (text === 'true' || text === 'false') return text === 'true';
    return this.fail(`must be true or false, and is ${JSON.stringify(this.value)}`);
  }

  /** A list of texts, or one text. */
  texts(): readonly string[] {
    return Array.isArray(this.value) ? this.items().map((item) => item.text()) : [this.text()];
  }

  /** A mapping of texts, or a list of `KEY=value`; a key alone maps to undefined. */
  textMap(): Readonly<Record<string, string | undefined>> {
    if (Array.isArray(this.value)) {
      const pairs = this.items().map((item) => item.text());
      return Object.fromEntries(
        pairs.map((pair) =>
          pair.includes('=')
            ? [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
            : [pair, undefined],
        ),
      );
    }
    return Object.fromEntries(
      this.entries().map(([key, place]) => [key, place.value === null ? undefined : place.text()]),
    );
  }

  #child(step: PathStep, value: unknown, raw: unknown): Cursor {
    return new Cursor(value, raw, [...this.path, step], this.#locate);
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
