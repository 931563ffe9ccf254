import { Secret } from '@devstack-core/redaction';
import { unrepresentable } from './errors.ts';
import { nameOf, textOf, type FieldValue } from './fields.ts';

const format = 'my.cnf';
// my_default.c reads lines through a buffer of 4096 bytes; a longer line would be cut in two.
const maximumLineBytes = 4000;

/** Groups of options (`client`, `mariadbd`, …): value per option; `true` for an option that stands alone. */
export type MyCnfGroups = Readonly<Record<string, Readonly<Record<string, FieldValue | number | true>>>>;

/** A MySQL/MariaDB option file. Values are quoted and escaped as `my_getopt` unescapes them. */
export function renderMyCnf(groups: MyCnfGroups): Secret {
  const lines: string[] = [];
  for (const [group, options] of Object.entries(groups)) {
    lines.push(`[${nameOf(group, /^[\w.-]+$/, format, 'group', 'a group name is letters, digits, "-", "_" and "."')}]`);
    for (const [name, value] of Object.entries(options)) lines.push(renderOption(name, value));
  }
  return new Secret(lines.map((line) => `${line}\n`).join(''));
}

function renderOption(name: string, value: FieldValue | number | true): string {
  nameOf(name, /^[\w-]+$/, format, name, 'an option name is letters, digits, "-" and "_"');
  if (value === true) return name;
  const line = `${name}="${escape(textOf(typeof value === 'number' ? String(value) : value, format, name))}"`;
  if (Buffer.byteLength(line) > maximumLineBytes)
    throw unrepresentable(format, name, 'its reader cuts lines at 4096 bytes');
  return line;
}

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
};

function escape(text: string): string {
  return text.replace(/[\\"\n\r\t\x08]/g, (character) => escapes[character] ?? character);
}
