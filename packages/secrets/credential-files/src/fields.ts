import { isSecret, type Secret } from '@devstack-core/redaction';
import { unrepresentable } from './errors.ts';

/** A value of a credential file: plain where it is no secret. */
export type FieldValue = string | Secret;

/** The text of a field that can stand in a UTF-8 text file at all: no NUL, no lone surrogate. */
export function textOf(value: FieldValue, format: string, field: string): string {
  const text = isSecret(value) ? value.reveal() : value;
  if (text.includes('\0')) throw unrepresentable(format, field, 'it holds a NUL character');
  if (!text.isWellFormed()) throw unrepresentable(format, field, 'it is not well-formed Unicode');
  return text;
}

/** The text of a field in a format of lines without an escape for line ends. */
export function lineOf(value: FieldValue, format: string, field: string): string {
  const text = textOf(value, format, field);
  if (/[\r\n]/.test(text)) throw unrepresentable(format, field, 'it holds a line end');
  return text;
}

/** A name (of a user, section or setting) that must match a pattern, as the format has no quotes for it. */
export function nameOf(value: string, pattern: RegExp, format: string, field: string, reason: string): string {
  if (!pattern.test(lineOf(value, format, field))) throw unrepresentable(format, field, reason);
  return value;
}

/** Throws when the UTF-8 bytes of a text are more than the reader's buffer takes. */
export function assertLength(text: string, maximumBytes: number, format: string, field: string): string {
  if (Buffer.byteLength(text) > maximumBytes)
    throw unrepresentable(format, field, `its reader takes at most ${String(maximumBytes)} bytes`);
  return text;
}
