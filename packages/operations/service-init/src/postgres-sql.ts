import { DevstackError } from '@devstack-core/errors';
import { ServiceInitErrorCode } from './errors.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { ServiceClient, ServiceInitContext } from './service-init.ts';

/** Statements for one database, in order. They hold passwords and verifiers: only ever written to the server's stdin. */
export interface SqlBatch {
  readonly database: string;
  readonly statements: readonly string[];
}

/** Names what `planPostgres` makes: a new number makes clusters of older images take the new plan at their next start. */
export const planName = 'postgresql/3';

/** Where PgBouncer looks users up; the function is in a schema of its own and only PgBouncer's role may call it. */
export const authQueryDatabase = 'postgres';

/**
 * What brings users, databases and grants in line with the secret. Every statement may be repeated.
 * `existing` names the databases that are there already: CREATE DATABASE has no IF NOT EXISTS.
 */
export function planPostgres(
  context: Pick<ServiceInitContext, 'role' | 'secrets' | 'clients'>,
  existing: readonly string[],
): readonly SqlBatch[] {
  const username = nameField(context, 'username');
  const database = nameField(context, 'database');
  const password = secretField(context, 'password').reveal();

  const common: string[] = [
    ...ensureRole(username, 'SUPERUSER'),
    `ALTER ROLE ${quoteName(username)} PASSWORD ${quoteText(password)}`,
  ];
  const inDatabase: string[] = [];
  common.push(
    ...ensureDatabase(database, username, existing),
    ...closeToPublic([database, authQueryDatabase, 'template1']),
  );
  for (const client of context.clients) {
    common.push(
      ...ensureRole(client.username, ''),
      `ALTER ROLE ${quoteName(client.username)} PASSWORD ${quoteText(scramVerifier(context.role, client))}`,
    );
    switch (client.grants) {
      case 'auth-query':
        common.push(...authQuery(client.username), grantConnect([authQueryDatabase, database], client.username));
        break;
      case 'own-database':
        common.push(...ensureDatabase(client.username, client.username, existing));
        common.push(`REVOKE ALL ON DATABASE ${quoteName(client.username)} FROM PUBLIC`);
        break;
      case 'monitor':
        common.push(
          `GRANT pg_monitor TO ${quoteName(client.username)}`,
          grantConnect([authQueryDatabase, database], client.username),
        );
        break;
      case 'application':
        common.push(`GRANT CONNECT, TEMPORARY ON DATABASE ${quoteName(database)} TO ${quoteName(client.username)}`);
        inDatabase.push(
          `CREATE SCHEMA IF NOT EXISTS ${quoteName(client.username)} AUTHORIZATION ${quoteName(client.username)}`,
        );
        break;
      default:
        throw invalidClient(context.role, client, `has grants "${client.grants}", which PostgreSQL does not know`);
    }
  }
  return [
    { database: authQueryDatabase, statements: common },
    ...(inDatabase.length > 0 ? [{ database, statements: inDatabase }] : []),
  ];
}

/** A string literal that no setting of the server can change the meaning of. Throws on a NUL, which PostgreSQL cannot hold. */
export function quoteText(text: string): string {
  if (text.includes('\0')) {
    throw new DevstackError({
      code: ServiceInitErrorCode.applyFailed,
      message: 'A password holds a NUL character, which PostgreSQL cannot store.',
      hint: 'Rotate it: "devstack vault rotate-password postgres".',
    });
  }
  const escaped = text.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `E'${escaped}'`;
}

/** An identifier, quoted. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function ensureRole(username: string, attributes: string): string[] {
  return [
    `DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${quoteText(username)}) THEN CREATE ROLE ${quoteName(username)} LOGIN ${attributes}; END IF; END $do$`,
  ];
}

function ensureDatabase(database: string, owner: string, existing: readonly string[]): string[] {
  return existing.includes(database) ? [] : [`CREATE DATABASE ${quoteName(database)} OWNER ${quoteName(owner)}`];
}

// By default every user may connect to every database. One that is connected to template1 stops CREATE DATABASE for all, and the
// large objects that it leaves there are copied into each new database.
function closeToPublic(databases: readonly string[]): string[] {
  return databases.map((database) => `REVOKE CONNECT, TEMPORARY ON DATABASE ${quoteName(database)} FROM PUBLIC`);
}

function grantConnect(databases: readonly string[], username: string): string {
  return `GRANT CONNECT ON DATABASE ${databases.map(quoteName).join(', ')} TO ${quoteName(username)}`;
}

// https://www.pgbouncer.org/config.html#auth_query: a SECURITY DEFINER function, so that the pooler's role needs no rights on pg_authid.
function authQuery(username: string): string[] {
  const role = quoteName(username);
  return [
    `CREATE SCHEMA IF NOT EXISTS pgbouncer`,
    `GRANT USAGE ON SCHEMA pgbouncer TO ${role}`,
    `CREATE OR REPLACE FUNCTION pgbouncer.user_lookup(IN i_username text, OUT uname text, OUT phash text) RETURNS record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $fn$ SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolname = i_username AND rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil > now()) $fn$`,
    `REVOKE ALL ON FUNCTION pgbouncer.user_lookup(text) FROM PUBLIC`,
    `GRANT EXECUTE ON FUNCTION pgbouncer.user_lookup(text) TO ${role}`,
  ];
}

// Only a verifier is taken: a plain text here would become a password that its owner does not know.
function scramVerifier(role: string, client: ServiceClient): string {
  const verifier = client.verifier?.reveal() ?? '';
  if (!/^SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$/.test(verifier))
    throw invalidClient(role, client, 'has no SCRAM-SHA-256 verifier');
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
