import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRoot, ensurePki, issueFromRoot, type RootAuthority } from '@devstack-core/certificates';
import {
  addressOf,
  createNetwork,
  startFerretdb,
  startMariadb,
  startPgbouncer,
  startPostgres,
  startRabbitmq,
  startRedisCluster,
  type Engine,
  type TestCertificates,
} from '@devstack-core/database-connections/test/engines';
import { writeFileDurable } from '@devstack-core/durable-files';
import { Secret } from '@devstack-core/redaction';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import type { Settings } from '../src/settings.ts';

/** All that the service needs, real, each in a container of its own. */
export interface TestStack extends AsyncDisposable {
  readonly vault: VaultContainer;
  readonly root: VaultClient;
  readonly mysql: Engine;
  readonly rabbitmq: Engine;
  /** Every password that there is. */
  readonly secrets: readonly string[];
  /** As if the password of MySQL was rotated: at the server, which ends its sessions, and in Vault. */
  rotateMysqlPassword(): Promise<void>;
  readonly settings: Settings;
  readonly redisNatMap: Readonly<Record<string, { host: string; port: number }>>;
  /** The same servers, each by TLS. */
  readonly tlsSettings: Settings;
  readonly tlsRedisNatMap: TestStack['redisNatMap'];
  /** The roots that all of it is trusted by, in PEM, and another authority's. */
  readonly roots: string;
  readonly foreignRoots: string;
}

/** Tokens of so short a life that renewal and a new login happen while a test looks on. */
const tokenTtlS = 4;
const tokenMaxTtlS = 7;

const role = 'reference-api';

export async function startTestStack(): Promise<TestStack> {
  await using cleanup = new AsyncDisposableStack();
  const password = (): string => randomBytes(16).toString('hex');
  const passwords = {
    postgres: password(),
    mysql: password(),
    mongodb: password(),
    redis: password(),
    rabbitmq: password(),
  };
  const directory = await mkdtemp(join(tmpdir(), 'reference-api-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const authority = await createRoot({ directory: join(directory, 'root'), passphrase: new Secret(password()) });
  const foreign = await createRoot({ directory: join(directory, 'foreign'), passphrase: new Secret(password()) });
  const tls = async (service: string): Promise<{ tls: TestCertificates }> => ({
    tls: await certificateFor(authority, service),
  });
  const nodes = await Promise.all(['redis-1', 'redis-2', 'redis-3'].map((name) => certificateFor(authority, name)));
  const network = cleanup.use(await createNetwork());
  const [vault, postgres, mysql, mongodb, redis, rabbitmq] = await Promise.all([
    startVault().then((started) => cleanup.use(started)),
    startPostgres(passwords.postgres, { network: network.name }).then((started) => cleanup.use(started)),
    startMariadb(passwords.mysql, await tls('mysql')).then((started) => cleanup.use(started)),
    startFerretdb(passwords.mongodb, await tls('mongodb')).then((started) => cleanup.use(started)),
    startRedisCluster(passwords.redis, { tls: nodes }).then((started) => cleanup.use(started)),
    startRabbitmq(rabbitmqDefinitions(passwords.rabbitmq), '', await tls('rabbitmq')).then((started) =>
      cleanup.use(started),
    ),
  ]);
  const pgbouncer = cleanup.use(
    await startPgbouncer({
      ...(await tls('pgbouncer')),
      network: network.name,
      userlist: `"devstack" "${passwords.postgres}"\n`,
      ini: `[databases]\n* = host=${await addressOf(postgres.name, network.name)} port=5432\n[pgbouncer]\nlisten_addr = *\nlisten_port = 6432\nauth_type = scram-sha-256\nauth_file = /data/userlist.txt\npool_mode = transaction\nclient_tls_sslmode = allow\nclient_tls_cert_file = /data/server.crt\nclient_tls_key_file = /data/server.key\n`,
    }),
  );
  const root = createVaultClient(vault.clientOptions);
  await root.enableMount({ path: 'secret', type: 'kv', options: { version: '2' } });
  await root.kvWrite(`services/${role}`, secretOf(passwords));
  await makeLogin(root, directory);
  await ensurePki({ client: root, root: authority, roles: [{ name: role, dnsNames: [role] }] });
  const rootsFile = join(directory, 'ca.pem');
  await writeFileDurable(rootsFile, authority.bundlePem);

  const host = '127.0.0.1';
  const [first, ...others] = Object.keys(redis.natMap).map((address) => ({
    host: address.split(':')[0] ?? '',
    port: 6379,
  }));
  if (first === undefined) throw new Error('a cluster without nodes');
  const entry = redis.natMap[`${first.host}:6379`] ?? first;
  const settings: Settings = {
    listen: { host, port: 0 },
    tls: { mode: 'false', listen: { host, port: 0 }, service: role },
    rootsFile,
    logLevel: 'info',
    vault: { address: vault.address, directory, method: 'approle', role },
    postgres: { host, port: pgbouncer.port(6432), tls: false },
    mysql: { host, port: mysql.port(3306), tls: false },
    mongodb: { host, port: mongodb.port(27017), tls: false },
    rabbitmq: { host, port: rabbitmq.port(5672), tls: false },
    redis: { cluster: true, nodes: [entry, ...others], tls: false },
    drainDelayMs: 300,
    drainTimeoutMs: 5000,
  };
  const by = (port: number): Settings['mysql'] => ({ host: 'localhost', port, tls: true });
  const resources = cleanup.move();
  return {
    vault,
    root,
    mysql,
    rabbitmq,
    secrets: Object.values(passwords),
    async rotateMysqlPassword() {
      const next = password();
      await mysql.exec(
        `mariadb --skip-ssl --socket=/data/my.sock --user=root -e "ALTER USER devstack IDENTIFIED BY '${next}'; KILL USER devstack"`,
      );
      await root.kvWrite(`services/${role}`, secretOf({ ...passwords, mysql: next }));
    },
    redisNatMap: redis.natMap,
    settings,
    tlsSettings: {
      ...settings,
      tls: { ...settings.tls, mode: 'true' },
      postgres: by(pgbouncer.port(6432)),
      mysql: by(mysql.port(3306)),
      mongodb: by(mongodb.port(27018)),
      rabbitmq: by(rabbitmq.port(5671)),
      redis: { cluster: true, nodes: [by(redis.nodes[0]?.port(6380) ?? 0)], tls: true },
    },
    tlsRedisNatMap: redis.natMapTls,
    roots: authority.bundlePem,
    foreignRoots: foreign.bundlePem,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function certificateFor(root: RootAuthority, service: string): Promise<TestCertificates> {
  const leaf = await issueFromRoot({ root, commonName: service, dnsNames: [service, 'localhost'] });
  return { ca: root.bundlePem, cert: leaf.certificatePem, key: leaf.privateKey.reveal() };
}

interface Passwords {
  readonly postgres: string;
  readonly mysql: string;
  readonly mongodb: string;
  readonly redis: string;
  readonly rabbitmq: string;
}

function secretOf(passwords: Passwords): Record<string, string> {
  return {
    ...{ postgres_username: 'devstack', postgres_password: passwords.postgres, postgres_database: 'postgres' },
    ...{ mysql_username: 'devstack', mysql_password: passwords.mysql, mysql_database: 'devstack' },
    ...{ mongodb_username: 'devstack', mongodb_password: passwords.mongodb, mongodb_database: 'devstack' },
    ...{ redis_username: 'default', redis_password: passwords.redis },
    ...{ rabbitmq_username: 'devstack', rabbitmq_password: passwords.rabbitmq },
  };
}

async function makeLogin(root: VaultClient, directory: string): Promise<void> {
  await root.enableAuth({ path: 'approle', type: 'approle' });
  await root.writePolicy(
    role,
    `path "secret/data/services/${role}" { capabilities = ["read"] }
     path "pki/sign/${role}" { capabilities = ["update"] }
     path "auth/token/renew-self" { capabilities = ["update"] }
     path "auth/token/revoke-self" { capabilities = ["update"] }`,
  );
  await root.writeRole(role, {
    tokenPolicies: [role],
    tokenNoDefaultPolicy: true,
    tokenTtlS,
    tokenMaxTtlS,
    bindSecretId: true,
  });
  await writeFileDurable(join(directory, 'role-id'), (await root.readRoleId(role)) ?? '');
  await writeFileDurable(join(directory, 'secret-id'), (await root.createSecretId({ role })).secretId);
}

function rabbitmqDefinitions(password: string): string {
  const salt = randomBytes(4);
  const hash = createHash('sha256').update(salt).update(password).digest();
  return JSON.stringify({
    users: [
      {
        name: 'devstack',
        password_hash: Buffer.concat([salt, hash]).toString('base64'),
        hashing_algorithm: 'rabbit_password_hashing_sha256',
        tags: ['administrator'],
      },
    ],
    vhosts: [{ name: '/' }],
    permissions: [{ user: 'devstack', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
  });
}
