import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  renderErlangCookie,
  renderRabbitmqDefinitions,
  writeCredentialFiles,
  type RabbitmqPermission,
  type RabbitmqUser,
} from '@devstack-core/credential-files';
import { DevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { checkDataDirectory } from './data-directory.ts';
import { ServiceInitErrorCode } from './errors.ts';
import { findProgram } from './find-program.ts';
import { rememberUsers } from './known-users.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { PreparedService, ServiceClient, ServiceInit, ServiceInitContext } from './service-init.ts';
import type { ServiceTls } from './tls.ts';

const healthUser = 'devstack-health';
const healthQueue = String.raw`^devstack\.health$`;

/**
 * RabbitMQ. Users come from definitions with password hashes, which the node imports at each start before it opens a port, so a
 * rotated password needs a restart alone. A user that is not wanted any more stays in the node's tables, without a password or a right.
 */
export const rabbitmqInit: ServiceInit = {
  engine: 'rabbitmq',
  async prepare(context): Promise<PreparedService> {
    await checkDataDirectory(context.dataDirectory);
    const server = await findProgram(context, 'rabbitmq-server');
    const username = nameField(context, 'username');
    const former = await rememberUsers(context.dataDirectory, [
      username,
      ...context.clients.map((client) => client.username),
    ]);
    const password = secret(randomBytes(24).toString('hex'));
    await writeCredentialFiles({
      directory: context.credentialsDirectory,
      files: [
        // The Erlang virtual machine refuses a cookie that anybody else could read.
        { name: '.erlang.cookie', content: renderErlangCookie(secretField(context, 'erlang_cookie')), mode: 0o400 },
        { name: 'definitions.json', content: renderDefinitions(context, password, former) },
        {
          name: 'health.curl',
          content: secret(`silent\nshow-error\nfail\nmax-time = 4\nuser = "${healthUser}:${password.reveal()}"\n`),
        },
      ],
    });
    const configFolder = join(context.credentialsDirectory, 'conf.d');
    if (context.tls !== undefined) {
      await writeCredentialFiles({
        directory: configFolder,
        files: [{ name: '20-tls.conf', content: secret(renderTls(context.tls)) }],
      });
    }
    return {
      argv: [server, ...context.arguments],
      env: {
        HOME: context.credentialsDirectory,
        RABBITMQ_CONFIG_FILE: join(context.configDirectory, 'rabbitmq.conf'),
        ...(context.tls === undefined ? {} : { RABBITMQ_CONFIG_FILES: configFolder }),
        // The start script then replaces itself by the virtual machine, which is process 1 and stops in order on SIGTERM.
        detached: 'true',
        // The node talks Erlang to itself and to commands in its own container only.
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      },
    };
  },
};

/** Listeners with TLS, read after the user's own rabbitmq.conf. Plain ones are left to loopback where TLS is required. */
export function renderTls(tls: ServiceTls): string {
  const files = { cacertfile: tls.ca, certfile: tls.certificate, keyfile: tls.privateKey };
  const under = (prefix: string): Record<string, string> =>
    Object.fromEntries(Object.entries(files).map(([name, path]) => [`${prefix}.${name}`, path]));
  const settings: Record<string, string> = {
    'listeners.ssl.default': '5671',
    ...under('ssl_options'),
    'ssl_options.verify': 'verify_none',
    'ssl_options.fail_if_no_peer_cert': 'false',
    'ssl_options.versions.1': 'tlsv1.3',
    'ssl_options.versions.2': 'tlsv1.2',
    'management.ssl.port': '15671',
    ...under('management.ssl'),
    'prometheus.ssl.port': '15691',
    ...under('prometheus.ssl'),
    ...(tls.mode === 'required'
      ? {
          'listeners.tcp.default': '127.0.0.1:5672',
          'management.tcp.ip': '127.0.0.1',
          'prometheus.tcp.ip': '127.0.0.1',
        }
      : {}),
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

/** Users and permissions as definitions; `former` users keep their name and lose everything else. */
export function renderDefinitions(
  context: Pick<ServiceInitContext, 'role' | 'secrets' | 'clients'>,
  healthPassword: Secret,
  former: readonly string[] = [],
): Secret {
  const username = nameField(context, 'username');
  const users: RabbitmqUser[] = [
    { name: username, password: secretField(context, 'password'), tags: ['administrator'] },
    { name: healthUser, password: healthPassword, tags: ['management'] },
  ];
  const permissions: RabbitmqPermission[] = [
    { user: username },
    // Publishing through the default exchange asks for the right to write to it.
    {
      user: healthUser,
      configure: healthQueue,
      write: String.raw`^(devstack\.health|amq\.default)$`,
      read: healthQueue,
    },
  ];
  const clients = context.clients.filter((client) => client.username !== username);
  for (const client of clients) {
    const passwordHash = hashOf(context.role, client);
    switch (client.grants) {
      case 'application':
        users.push({ name: client.username, passwordHash });
        permissions.push(ownQueues(client.username));
        break;
      case 'monitor':
        users.push({ name: client.username, passwordHash, tags: ['monitoring'] });
        break;
      default:
        throw invalidClient(context.role, client, `has grants "${client.grants}", which RabbitMQ does not know`);
    }
  }
  const wanted = new Set(users.map((user) => user.name));
  for (const name of former.filter((known) => !wanted.has(known))) {
    users.push({ name, passwordHash: '' });
    permissions.push({ user: name, configure: '^$', write: '^$', read: '^$' });
  }
  return renderRabbitmqDefinitions({ users, permissions });
}

// An application has what is named after it, so that it can neither read nor bind what belongs to another.
function ownQueues(user: string): RabbitmqPermission {
  const own = String.raw`${user.replaceAll(/[^\w-]/g, String.raw`\$&`)}\.`;
  return { user, configure: `^${own}`, write: String.raw`^(${own}.*|amq\.default)$`, read: `^${own}` };
}

// Base64 of four bytes of salt and 32 of SHA-256, as RabbitMQ stores it.
function hashOf(role: string, client: ServiceClient): string {
  const verifier = client.verifier?.reveal() ?? '';
  if (Buffer.from(verifier, 'base64').length !== 36) throw invalidClient(role, client, 'has no RabbitMQ password hash');
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
