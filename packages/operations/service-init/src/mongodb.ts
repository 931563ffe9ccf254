import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { renderPgpass, writeCredentialFiles } from '@devstack-core/credential-files';
import { DevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { MarkedDatabase, postgresOf } from './database-marker.ts';
import { ServiceInitErrorCode } from './errors.ts';
import { findProgram } from './find-program.ts';
import type { MongoUser } from './mongodb-users.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { PreparedService, ServiceClient, ServiceInit, ServiceInitContext } from './service-init.ts';
import { postgresTrust, type ServiceTls } from './tls.ts';

const healthUser = 'devstack_health';

/**
 * FerretDB, which serves the MongoDB protocol from a database of the stack's PostgreSQL. Its users are made through a throw-away
 * server on loopback, at the first start and when a secret has changed; every other start makes one query and becomes the server.
 */
export const mongodbInit: ServiceInit = {
  engine: 'mongodb',
  async prepare(context): Promise<PreparedService> {
    const server = await findProgram(context, 'ferretdb');
    const pgpass = join(context.credentialsDirectory, 'pgpass');
    const url = postgresUrl(context);
    const users = usersOf(context);
    await writeCredentialFiles({
      directory: context.credentialsDirectory,
      files: [
        {
          name: 'pgpass',
          content: renderPgpass([
            { username: nameField(context, 'postgres_username'), password: secretField(context, 'postgres_password') },
          ]),
        },
        {
          name: 'health.json',
          content: secret(JSON.stringify({ username: healthUser, password: healthPassword(context).reveal() })),
        },
      ],
    });

    await using database = await MarkedDatabase.open(context);
    if (!(await database.isApplied(context.versions))) {
      const before = await database.read();
      context.progress(before === undefined ? 'first start: creating the users' : 'applying changed credentials');
      const { applyMongoUsers, setupPrefix } = await import('./mongodb-users.ts');
      const former = (before?.users ?? []).filter((name) => !users.some((user) => user.username === name));
      await applyMongoUsers({ context, server, url, pgpass, users, former });
      await database.dropSchemas(setupPrefix);
      await database.write(
        context.versions,
        users.map((user) => user.username),
      );
    }
    return {
      argv: [
        server,
        ...listenArguments(context.tls),
        '--debug-addr=127.0.0.1:8088',
        ...ferretArguments(url),
        ...context.arguments,
      ],
      env: { PGPASSFILE: pgpass },
    };
  },
};

// Inside its own container the health check asks without TLS; nobody else reaches loopback.
function listenArguments(tls: ServiceTls | undefined): readonly string[] {
  if (tls === undefined) return ['--listen-addr=0.0.0.0:27017'];
  return [
    `--listen-addr=${tls.mode === 'required' ? '127.0.0.1' : '0.0.0.0'}:27017`,
    '--listen-tls=0.0.0.0:27018',
    `--listen-tls-cert-file=${tls.certificate}`,
    `--listen-tls-key-file=${tls.privateKey}`,
  ];
}

/** Flags that the server and the throw-away one have in common. No password is in the URL: the PostgreSQL driver reads PGPASSFILE. */
export function ferretArguments(url: string): readonly string[] {
  return [
    '--handler=postgresql',
    `--postgresql-url=${url}`,
    '--state-dir=/tmp',
    '--telemetry=disable',
    '--log-format=text',
    // It warns, at length, of each client that says goodbye.
    '--log-level=ERROR',
    '--no-log-uuid',
    '--test-enable-new-auth',
  ];
}

function postgresUrl(context: ServiceInitContext): string {
  const { host, port } = postgresOf(context);
  const trust = postgresTrust(context);
  const query = trust === undefined ? '' : `?sslmode=verify-full&sslrootcert=${encodeURIComponent(trust)}`;
  return `postgres://${encodeURIComponent(nameField(context, 'postgres_username'))}@${host}:${String(port)}/${encodeURIComponent(nameField(context, 'postgres_database'))}${query}`;
}

function usersOf(context: ServiceInitContext): readonly MongoUser[] {
  const username = nameField(context, 'username');
  return [
    { username, password: secretField(context, 'password') },
    { username: healthUser, password: healthPassword(context) },
    ...context.clients.filter((client) => client.username !== username).map((client) => userOf(context.role, client)),
  ];
}

// The engine has no roles (each user may do everything) and takes no verifier.
function userOf(role: string, client: ServiceClient): MongoUser {
  if (client.password === undefined || !['application', 'monitor'].includes(client.grants)) {
    throw new DevstackError({
      code: ServiceInitErrorCode.clientInvalid,
      message: `Client "${client.username}" in secret/services/${role}/clients has no password, or grants ("${client.grants}") that this engine does not know.`,
      hint: 'Run "devstack vault bootstrap": it writes the entries of clients anew.',
      details: { role, username: client.username },
    });
  }
  return { username: client.username, password: client.password };
}

// Follows from the service's password, so it needs no place of its own; that one cannot be found from it.
function healthPassword(context: ServiceInitContext): Secret {
  return secret(
    createHmac('sha256', secretField(context, 'password').reveal()).update('devstack health check').digest('hex'),
  );
}
