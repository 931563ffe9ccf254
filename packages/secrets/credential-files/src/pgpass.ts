import { Secret } from '@devstack-core/redaction';
import { lineOf, type FieldValue } from './fields.ts';

/** One line of a pgpass file; a field that is left out matches everything. */
export interface PgpassEntry {
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly username?: string;
  readonly password: FieldValue;
}

/**
 * A libpq password file (PGPASSFILE; pgx reads it too): one `host:port:database:user:password` line per entry.
 * `\` and `:` are escaped (libpq `passwordFromFile`). Throws `CREDENTIAL_UNREPRESENTABLE` for a line end.
 */
export function renderPgpass(entries: readonly PgpassEntry[]): Secret {
  const lines = entries.map(({ host = '*', port, database = '*', username = '*', password }) =>
    [
      escape(lineOf(host, 'pgpass', 'host')),
      port === undefined ? '*' : String(port),
      escape(lineOf(database, 'pgpass', 'database')),
      escape(lineOf(username, 'pgpass', 'username')),
      escape(lineOf(password, 'pgpass', 'password')),
    ].join(':'),
  );
  return new Secret(lines.map((line) => `${line}\n`).join(''));
}

function escape(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}
