import { join } from 'node:path';
import { renderPgbouncerUserlist, renderPgpass, writeCredentialFiles } from '@devstack-core/credential-files';
import { secret } from '@devstack-core/redaction';
import { findProgram } from './find-program.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { PreparedService, ServiceInit, ServiceInitContext } from './service-init.ts';
import { postgresTrust, type ServiceTls } from './tls.ts';

/**
 * PgBouncer. Its own user's password is the only one it holds, as it must log in to the server with it; everybody
 * else is looked up on the server (`auth_query`) as a SCRAM verifier. It has no data: a rotated password needs a restart alone.
 */
export const pgbouncerInit: ServiceInit = {
  engine: 'pgbouncer',
  async prepare(context): Promise<PreparedService> {
    const server = await findProgram(context, 'pgbouncer');
    const username = nameField(context, 'username');
    const password = secretField(context, 'password');
    const at = (name: string): string => join(context.credentialsDirectory, name);
    const database = context.settings['DEVSTACK_HEALTH_DATABASE'] ?? 'devstack';
    await writeCredentialFiles({
      directory: context.credentialsDirectory,
      files: [
        { name: 'userlist.txt', content: renderPgbouncerUserlist([{ username, password }]) },
        { name: 'pgbouncer.ini', content: secret(renderIni(username, at('userlist.txt'), context)) },
        { name: 'pgpass', content: renderPgpass([{ username, password }]) },
        {
          name: 'pg_service.conf',
          content: secret(
            `[health]\nhost=localhost\nport=6432\nuser=${username}\ndbname=${database}\npassfile=${at('pgpass')}\nconnect_timeout=3\napplication_name=health\n${healthTls(context.tls)}`,
          ),
        },
      ],
    });
    return { argv: [server, ...context.arguments, join(context.configDirectory, 'pgbouncer.ini')], env: {} };
  },
};

/** Settings that follow from the secret; the last line of the user's pgbouncer.ini includes them into its section `[pgbouncer]`. */
export function renderIni(
  username: string,
  userlist: string,
  context: Pick<ServiceInitContext, 'tls' | 'settings' | 'approleDirectory'>,
): string {
  const { tls } = context;
  const trust = postgresTrust(context);
  const settings = {
    auth_type: 'scram-sha-256',
    auth_file: userlist,
    auth_user: username,
    admin_users: username,
    stats_users: username,
    ...(tls === undefined
      ? {}
      : {
          client_tls_sslmode: tls.mode === 'required' ? 'require' : 'allow',
          client_tls_cert_file: tls.certificate,
          client_tls_key_file: tls.privateKey,
        }),
    ...(trust === undefined ? {} : { server_tls_sslmode: 'verify-full', server_tls_ca_file: trust }),
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

function healthTls(tls: ServiceTls | undefined): string {
  return tls === undefined ? '' : `sslmode=verify-full\nsslrootcert=${tls.ca}\n`;
}
