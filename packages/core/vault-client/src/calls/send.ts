import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { VaultErrorCode } from '../errors.ts';
import type { WireAnswer } from '../transport.ts';
import type { Call } from '../exchange.ts';
import type { KnownReason } from '../known-answers.ts';

/** How the groups of calls below reach Vault. */
export type Send = (call: Call) => Promise<WireAnswer>;

/** The `data` of an answer, or the whole body where Vault sends none. */
export async function readData(send: Send, call: Call): Promise<Fields> {
  const { body } = await send(call);
  const whole = fields(body);
  return whole['data'] === undefined || whole['data'] === null ? whole : fields(whole['data']);
}

/** Gives undefined where Vault has nothing at the path. */
export async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isDevstackError(error, VaultErrorCode.notFound)) return undefined;
    throw error;
  }
}

/** The keys of a list; an empty list is a 404 to Vault, and that of a role that is not there a 400. */
export async function listKeys(send: Send, path: string): Promise<string[]> {
  try {
    const data = await orUndefined(readData(send, { method: 'LIST', path }));
    return data === undefined ? [] : texts(data['keys']);
  } catch (error) {
    if (means(error, 'gone')) return [];
    throw error;
  }
}

/** True when Vault's error text means this. */
export function means(error: unknown, reason: KnownReason): boolean {
  return isDevstackError(error) && error.details['reason'] === reason;
}

/** A path of Vault from parts that may hold anything but `.`, `..` and nothing at all. Throws `VAULT_BAD_PATH`. */
export function vaultPath(...parts: readonly string[]): string {
  const segments = parts.flatMap((part) => part.split('/'));
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw new DevstackError({
      code: VaultErrorCode.badPath,
      message: `"${parts.join('/')}" is not a path of Vault.`,
      hint: 'Write it without a leading, trailing or double slash, and without "." and "..".',
    });
  }
  return segments.map((segment) => encodeURIComponent(segment)).join('/');
}

/** A JSON object as far as we know it. */
export type Fields = Readonly<Record<string, unknown>>;

export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function number(value: unknown): number {
  return typeof value === 'number' ? value : Number(text(value) || 0);
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** Without the keys whose value is undefined, as Vault reads a missing field as "leave it". */
export function given(values: Fields): Fields {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** Vault writes "never" as the zero time of Go. */
export function time(value: unknown): string | undefined {
  const written = optionalText(value);
  return written === undefined || written.startsWith('0001-01-01') ? undefined : written;
}
