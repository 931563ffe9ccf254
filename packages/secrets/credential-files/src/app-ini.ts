import { Secret } from '@devstack-core/redaction';
import { unrepresentable } from './errors.ts';
import { lineOf, nameOf, type FieldValue } from './fields.ts';

const format = 'app.ini';

/** Sections of a Forgejo/Gitea app.ini; the section `''` (or `DEFAULT`) stands first, without a heading. */
export type AppIniSections = Readonly<Record<string, Readonly<Record<string, FieldValue | number | boolean>>>>;

/**
 * An app.ini as go-ini reads it: values stand between backticks, where only the last backtick ends them.
 * `%(name)s` would be replaced by another key's value, and a line end starts a new key: both throw `CREDENTIAL_UNREPRESENTABLE`.
 */
export function renderAppIni(sections: AppIniSections): Secret {
  const lines: string[] = [];
  const isHeadless = (name: string): boolean => name === '' || name === 'DEFAULT';
  const ordered = Object.entries(sections).toSorted(([a], [b]) => Number(isHeadless(b)) - Number(isHeadless(a)));
  for (const [section, keys] of ordered) {
    if (!isHeadless(section))
      lines.push(
        `[${nameOf(section, /^[\w.: -]+$/, format, 'section', 'a section is letters, digits, ".", ":", "_", "-" and spaces')}]`,
      );
    for (const [key, value] of Object.entries(keys))
      lines.push(`${key} = ${render(value, keyName(key, section), section)}`);
  }
  return new Secret(lines.map((line) => `${line}\n`).join(''));
}

function keyName(key: string, section: string): string {
  return nameOf(key, /^[\w.-]+$/, format, `${section}.${key}`, 'a key is letters, digits, ".", "_" and "-"');
}

function render(value: FieldValue | number | boolean, key: string, section: string): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const field = section === '' ? key : `${section}.${key}`;
  const text = lineOf(value, format, field);
  if (/%\([^)]+\)s/.test(text)) throw unrepresentable(format, field, '"%(…)s" is replaced by another key');
  return text === '' ? '' : `\`${text}\``;
}
