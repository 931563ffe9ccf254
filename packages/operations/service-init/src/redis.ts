import { randomBytes } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { renderRedisAcl, writeCredentialFiles, type RedisUser } from '@devstack-core/credential-files';
import { writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { checkDataDirectory } from './data-directory.ts';
import { ServiceInitErrorCode } from './errors.ts';
import { findProgram } from './find-program.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { PreparedService, ServiceClient, ServiceInit, ServiceInitContext } from './service-init.ts';
import type { ServiceTls } from './tls.ts';

/**
 * A node of a Redis cluster. Users come from an ACL file of SHA-256 hashes that is written at each start, so a rotated
 * password needs a restart alone. `DEVSTACK_REDIS_SLOTS` (for example `0-16383`) gives a new node those slots at its very first start.
 */
export const redisInit: ServiceInit = {
  engine: 'redis',
  async prepare(context): Promise<PreparedService> {
    await checkDataDirectory(context.dataDirectory);
    const server = await findProgram(context, 'redis-server');
    const username = nameField(context, 'username');
    const password = secretField(context, 'password');
    const at = (name: string): string => join(context.credentialsDirectory, name);
    await claimSlots(context);
    await writeCredentialFiles({
      directory: context.credentialsDirectory,
      files: [
        { name: 'users.acl', content: renderRedisAcl(aclUsers(context, username, password)) },
        {
          name: 'healthcheck',
          content: secret(`AUTH ${quoteRedis(username)} ${quoteRedis(password.reveal())}\nCLUSTER INFO\n`),
        },
      ],
    });
    const address = context.settings['DEVSTACK_ADDRESS'];
    return {
      argv: [
        server,
        join(context.configDirectory, 'redis.conf'),
        '--dir',
        context.dataDirectory,
        '--aclfile',
        at('users.acl'),
        '--cluster-announce-hostname',
        context.service,
        ...(address === undefined || address === '' ? [] : ['--cluster-announce-ip', address]),
        ...tlsArguments(context.tls),
        ...context.arguments,
      ],
      env: {},
    };
  },
};

const busPort = 16379;

// With `tls-cluster`, nodes prove to each other who they are: the bus asks for a client's certificate whatever `tls-auth-clients` says.
// Its port would follow from the TLS port; it stays, so that a node finds the others when the mode changes.
function tlsArguments(tls: ServiceTls | undefined): readonly string[] {
  if (tls === undefined) return [];
  const settings = {
    'tls-port': '6390',
    'tls-cert-file': tls.certificate,
    'tls-key-file': tls.privateKey,
    'tls-ca-cert-file': tls.ca,
    'tls-auth-clients': 'no',
    'tls-cluster': 'yes',
    'tls-replication': 'yes',
    'cluster-port': String(busPort),
    ...(tls.mode === 'required' ? { port: '0' } : {}),
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/** A word of redis-cli's input, any byte allowed: double quotes with `\xHH`. */
export function quoteRedis(text: string): string {
  const escaped = [...Buffer.from(text, 'utf8')].map((byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`,
  );
  return `"${escaped.join('')}"`;
}

const rulesOf: Readonly<Record<string, readonly string[]>> = {
  application: [
    '~*',
    '&*',
    '+@all',
    '-@admin',
    '-@dangerous',
    '-function|flush',
    '-script|flush',
    '+info',
    '+cluster|slots',
    '+cluster|shards',
    '+cluster|nodes',
    '+cluster|info',
    '+cluster|myid',
    '+cluster|keyslot',
  ],
  // What redis_exporter reads: no key, no write.
  monitor: [
    'resetkeys',
    '-@all',
    '+ping',
    '+info',
    '+time',
    '+dbsize',
    '+config|get',
    '+cluster|info',
    '+cluster|nodes',
    '+cluster|slots',
    '+cluster|shards',
    '+slowlog|get',
    '+slowlog|len',
    '+latency|latest',
    '+latency|histogram',
    '+client|list',
    '+client|info',
    '+client|setname',
    '+client|setinfo',
    '+command',
    '+hello',
    '+readonly',
  ],
};

function aclUsers(context: ServiceInitContext, username: string, password: Secret): readonly RedisUser[] {
  const others = context.clients.filter((client) => client.username !== username);
  return [{ username, password }, ...others.map((client) => aclUser(context.role, client))];
}

function aclUser(role: string, client: ServiceClient): RedisUser {
  const rules = rulesOf[client.grants];
  const passwordSha256 = client.verifier?.reveal() ?? '';
  if (rules === undefined || !/^[0-9a-f]{64}$/.test(passwordSha256)) {
    throw new DevstackError({
      code: ServiceInitErrorCode.clientInvalid,
      message: `Client "${client.username}" in secret/services/${role}/clients has no SHA-256 verifier, or grants ("${client.grants}") that Redis does not know.`,
      hint: 'Run "devstack vault bootstrap": it writes the entries of clients anew.',
      details: { role, username: client.username },
    });
  }
  return { username: client.username, passwordSha256, rules };
}

// A node reads its slots from nodes.conf, which it keeps itself from then on. Written only where there is none: slots that were moved later stay where they are.
async function claimSlots(context: ServiceInitContext): Promise<void> {
  const slots = context.settings['DEVSTACK_REDIS_SLOTS'];
  if (slots === undefined || slots === '') return;
  if (!/^\d{1,5}(-\d{1,5})?( \d{1,5}(-\d{1,5})?)*$/.test(slots)) {
    throw new DevstackError({
      code: ServiceInitErrorCode.settingInvalid,
      message: `DEVSTACK_REDIS_SLOTS is "${slots}".`,
      hint: 'Write ranges such as 0-16383, separated by spaces.',
      details: { slots },
    });
  }
  const file = join(context.dataDirectory, 'nodes.conf');
  try {
    await access(file);
    return;
  } catch {
    context.progress(`first start: slots ${slots}`);
  }
  await writeFileDurable(
    file,
    `${randomBytes(20).toString('hex')} :0@0 myself,master - 0 0 1 connected ${slots}\nvars currentEpoch 1 lastVoteEpoch 0\n`,
  );
}
