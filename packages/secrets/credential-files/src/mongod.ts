import { isSecret, Secret } from '@devstack-core/redaction';
import { textOf, type FieldValue } from './fields.ts';

/** Settings of a mongod configuration file: nested groups, or dotted names, down to plain values. */
export interface MongodSettings {
  readonly [name: string]: FieldValue | number | boolean | readonly string[] | MongodSettings;
}

/** A mongod configuration file (YAML). Every string is double-quoted, so that no text is read as a number, boolean, null or comment. */
export function renderMongodConf(settings: MongodSettings): Secret {
  const lines = group(settings, '', '');
  return new Secret(lines.length === 0 ? '{}\n' : lines.map((line) => `${line}\n`).join(''));
}

function group(settings: MongodSettings, indent: string, path: string): string[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const field = path === '' ? name : `${path}.${name}`;
    const key = `${indent}${/^[A-Za-z][\w.]*$/.test(name) ? name : quote(name, field)}:`;
    if (isSecret(value)) return [`${key} ${quote(value, field)}`];
    if (typeof value === 'number' || typeof value === 'boolean') return [`${key} ${String(value)}`];
    if (typeof value === 'string') return [`${key} ${quote(value, field)}`];
    if (isList(value)) return [`${key} [${value.map((item) => quote(item, field)).join(', ')}]`];
    const nested = group(value, `${indent}  `, field);
    return nested.length === 0 ? [`${key} {}`] : [key, ...nested];
  });
}

function isList(value: readonly string[] | MongodSettings): value is readonly string[] {
  return Array.isArray(value);
}

// YAML 1.2 §5.7: JSON's escapes are YAML's; what YAML holds to be unprintable or a line end is escaped as well.
function quote(value: FieldValue, field: string): string {
  return JSON.stringify(textOf(value, 'mongod configuration', field)).replace(
    /[\u007f-\u00a0\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
