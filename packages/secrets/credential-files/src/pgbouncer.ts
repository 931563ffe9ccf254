import { Secret } from '@devstack-core/redaction';
import { unrepresentable } from './errors.ts';
import { assertLength, lineOf, nameOf, textOf, type FieldValue } from './fields.ts';

/** A user of a PgBouncer userlist: a plain password (needed for a user that PgBouncer itself logs in with), or a `SCRAM-SHA-256$…` verifier. */
export interface PgbouncerUser {
  readonly username: string;
  readonly password?: FieldValue;
  readonly verifier?: string;
}

const userlist = 'a PgBouncer userlist';

/** A PgBouncer `auth_file`: `"user" "password"` lines, quotes doubled (loader.c). At most 127 bytes of name and 2047 of password. */
export function renderPgbouncerUserlist(users: readonly PgbouncerUser[]): Secret {
  const lines = users.map(({ username, password, verifier }) => {
    const stored = verifier ?? password ?? '';
    return `${quote(username, 'username', 127)} ${quote(stored, verifier === undefined ? 'password' : 'verifier', 2047)}`;
  });
  return new Secret(lines.map((line) => `${line}\n`).join(''));
}

function quote(value: FieldValue, field: string, maximumBytes: number): string {
  return `"${assertLength(lineOf(value, userlist, field), maximumBytes, userlist, field).replaceAll('"', '""')}"`;
}

/** Sections of a pgbouncer.ini. The values of `databases` are connection parameters; everywhere else they are plain. */
export interface PgbouncerIni {
  readonly databases: Readonly<Record<string, Readonly<Record<string, FieldValue | number>>>>;
  readonly pgbouncer: Readonly<Record<string, FieldValue | number>>;
}

const ini = 'pgbouncer.ini';

/** A pgbouncer.ini. A plain value cannot begin or end with white space, which its reader trims. */
export function renderPgbouncerIni({ databases, pgbouncer }: PgbouncerIni): Secret {
  const lines = ['[databases]'];
  for (const [name, parameters] of Object.entries(databases)) {
    const connection = Object.entries(parameters).map(
      ([key, value]) => `${key}='${textOfLine(value, `${name}.${key}`).replaceAll("'", "''")}'`,
    );
    lines.push(`${databaseName(name)} = ${connection.join(' ')}`);
  }
  lines.push('[pgbouncer]');
  for (const [name, value] of Object.entries(pgbouncer)) {
    nameOf(name, /^[\w.]+$/, ini, name, 'a setting is letters, digits, "_" and "."');
    const text = textOfLine(value, name);
    if (text !== text.trim()) throw unrepresentable(ini, name, 'its reader trims white space');
    lines.push(`${name} = ${text}`);
  }
  return new Secret(lines.map((line) => `${line}\n`).join(''));
}

function databaseName(name: string): string {
  if (/^[\w.*-]+$/.test(name)) return name;
  return `"${lineOf(name, ini, 'database').replaceAll('"', '""')}"`;
}

function textOfLine(value: FieldValue | number, field: string): string {
  return lineOf(textOf(typeof value === 'number' ? String(value) : value, ini, field), ini, field);
}
