import { createHash } from 'node:crypto';
import { DevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { ServiceInitErrorCode } from './errors.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { ServiceClient, ServiceInitContext } from './service-init.ts';

/** A user that only answers the health check; its password is new at each start. */
export interface MysqlHealthUser {
  readonly username: string;
  readonly password: Secret;
  /** May also say FLUSH SSL, which RELOAD covers: a renewed certificate is taken without a restart. */
  readonly reloadsTls?: boolean;
}

/** What MySQL and MariaDB store for `mysql_native_password`: `*` and the hex of SHA-1 of SHA-1 of the password's UTF-8 bytes. */
export function mysqlNativeHash(password: Secret): string {
  const inner = createHash('sha1').update(password.reveal(), 'utf8').digest();
  return `*${createHash('sha1').update(inner).digest('hex').toUpperCase()}`;
}

const privilegesOf: Readonly<Record<string, (database: string, account: string) => readonly string[]>> = {
  application: (database, account) => [
    'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER, ' +
      `CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, LOCK TABLES, CREATE TEMPORARY TABLES ON ${databasePattern(database)}.* TO ${account}`,
  ],
  // What mysqld_exporter asks for, without reading any table of a user.
  monitor: (_database, account) => [
    `GRANT PROCESS, BINLOG MONITOR, REPLICA MONITOR ON *.* TO ${account} WITH MAX_USER_CONNECTIONS 5`,
    `GRANT SELECT ON performance_schema.* TO ${account}`,
  ],
};

/**
 * The statements that bring users, database and grants in line with the secret, one a line, for the server's `init-file`:
 * it runs them at each start before it lets anybody in, so each may be repeated. They hold hashes, never a password.
 * `former` are users of an earlier start that are not wanted any more.
 */
export function renderMysqlInitFile(
  context: Pick<ServiceInitContext, 'role' | 'secrets' | 'clients'>,
  health: MysqlHealthUser,
  former: readonly string[] = [],
): Secret {
  const username = nameField(context, 'username');
  const database = nameField(context, 'database');
  const admin = account(username, '%');
  const statements = [
    // Made by mariadb-install-db for the server's own system user, with every right and no password.
    `DROP USER IF EXISTS ${account('mysql', 'localhost')}`,
    // Over the socket: the container's root by who it is, anybody else by the password.
    `ALTER USER ${account('root', 'localhost')} IDENTIFIED VIA unix_socket OR mysql_native_password USING ${quote(mysqlNativeHash(secretField(context, 'root_password')))}`,
    `CREATE DATABASE IF NOT EXISTS ${identifier(database)}`,
    ...ensureUser(admin, mysqlNativeHash(secretField(context, 'password'))),
    `GRANT ALL PRIVILEGES ON *.* TO ${admin} WITH GRANT OPTION`,
    ...ensureUser(account(health.username, '127.0.0.1'), mysqlNativeHash(health.password)),
    `${health.reloadsTls === true ? 'GRANT RELOAD ON *.* TO' : 'REVOKE ALL PRIVILEGES, GRANT OPTION FROM'} ${account(health.username, '127.0.0.1')}`,
  ];
  const clients = context.clients.filter((client) => client.username !== username);
  for (const client of clients) {
    const name = account(client.username, '%');
    const privileges = privilegesOf[client.grants];
    if (privileges === undefined)
      throw invalidClient(context.role, client, `has grants "${client.grants}", which MySQL does not know`);
    statements.push(...ensureUser(name, verifierOf(context.role, client)), ...privileges(database, name));
  }
  const wanted = new Set([username, ...clients.map((client) => client.username)]);
  for (const name of former) if (!wanted.has(name)) statements.push(`DROP USER IF EXISTS ${account(name, '%')}`);
  return secret(statements.map((statement) => `${statement};\n`).join(''));
}

function ensureUser(name: string, hash: string): readonly string[] {
  return [
    `CREATE USER IF NOT EXISTS ${name} ACCOUNT LOCK`,
    `ALTER USER ${name} IDENTIFIED VIA mysql_native_password USING ${quote(hash)} ACCOUNT UNLOCK`,
  ];
}

function verifierOf(role: string, client: ServiceClient): string {
  const verifier = client.verifier?.reveal() ?? '';
  if (!/^\*[0-9A-F]{40}$/.test(verifier)) throw invalidClient(role, client, 'has no mysql_native_password verifier');
  return verifier;
}

function invalidClient(role: string, client: ServiceClient, why: string): DevstackError {
  return new DevstackError({
    code: ServiceInitErrorCode.clientInvalid,
    message: `Client "${client.username}" in secret/services/${role}/clients ${why}.`,
    hint: 'Run "devstack vault bootstrap": it writes the entries of clients anew.',
    details: { role, username: client.username },
  });
}

// Names are checked by nameField and parseClients: neither holds a quote, a backslash or a line end.
function account(username: string, host: string): string {
  return `${quote(username)}@${quote(host)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function identifier(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

// In a grant, `_` and `%` of a database's name are wildcards.
function databasePattern(database: string): string {
  return identifier(database.replaceAll(/[_%]/g, '\\$&'));
}
