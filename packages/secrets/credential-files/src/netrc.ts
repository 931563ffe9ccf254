import { Secret } from '@devstack-core/redaction';
import { textOf, type FieldValue } from './fields.ts';

/** One machine of a netrc file. */
export interface NetrcEntry {
  readonly machine: string;
  readonly login: string;
  readonly password: FieldValue;
}

/**
 * A netrc file as curl (7.84 and later) and git read it. Plain tokens stand bare; any other is written in double quotes with
 * `\"`, `\\`, `\n`, `\r` and `\t` escaped, which older readers do not know.
 */
export function renderNetrc(entries: readonly NetrcEntry[]): Secret {
  const lines = entries.map(
    ({ machine, login, password }) =>
      `machine ${token(machine, 'machine')} login ${token(login, 'login')} password ${token(password, 'password')}\n`,
  );
  return new Secret(lines.join(''));
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function token(value: FieldValue, field: string): string {
  const text = textOf(value, 'netrc', field);
  if (/^[\w.~+/=@:-]+$/.test(text)) return text;
  return `"${text.replace(/[\\"\n\r\t]/g, (character) => escapes[character] ?? character)}"`;
}
