import {
  addressOf,
  createNetwork,
  startEngine,
  startFerretdb,
  startMariadb,
  startPgbouncer,
  startPostgres,
  startRabbitmq,
  startRedis,
  startRedisCluster,
  type Engine,
  type RedisClusterEngine,
} from '@devstack-core/database-connections/test/engines';
import { createHash } from 'node:crypto';
import { Secret } from '@devstack-core/redaction';
import { createVaultClient } from '@devstack-core/vault-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probe, probeAll, waitHealthy, type ProbeOptions, type ProbeResult } from './index.ts';

const awkward = ` it's "a" \\ back\\\\slash: #1 $HOME %41 %s \`x\` zoë €𝄞 `;
const credentials = {
  username: new Secret('devstack'),
  password: new Secret(awkward),
  database: new Secret('devstack'),
};
const redisCredentials = { username: new Secret('default'), password: new Secret(awkward) };

interface Stack extends AsyncDisposable {
  readonly postgres: Engine;
  readonly pgbouncer: Engine;
  readonly mysql: Engine;
  readonly mongodb: Engine;
  readonly rabbitmq: Engine;
  readonly vault: Engine;
  readonly forgejo: Engine;
  readonly redis: RedisClusterEngine;
}

describe('probes of real services', () => {
  let stack: Stack;
  let probes: readonly ProbeOptions[];

  beforeAll(async () => {
    stack = await startStack();
    const at = (service: string, protocol: string, port: number, more: Partial<ProbeOptions> = {}): ProbeOptions => ({
      service,
      protocol,
      host: '127.0.0.1',
      port,
      credentials,
      ...more,
    });
    probes = [
      at('vault', 'vault', stack.vault.port(8200)),
      at('postgres', 'postgresql', stack.postgres.port(5432)),
      at('pgbouncer', 'pgbouncer', stack.pgbouncer.port(6432)),
      at('mysql', 'mysql', stack.mysql.port(3306)),
      at('mongodb', 'mongodb', stack.mongodb.port(27017)),
      at('rabbitmq', 'rabbitmq', stack.rabbitmq.port(5672)),
      at('forgejo', 'forgejo', stack.forgejo.port(3000)),
      ...stack.redis.nodes.map((node, index) =>
        at(`redis-${String(index + 1)}`, 'redis-cluster', node.port(6379), {
          credentials: redisCredentials,
          natMap: stack.redis.natMap,
        }),
      ),
    ];
  });
  afterAll(async () => stack[Symbol.asyncDispose]());

  const of = (service: string): ProbeOptions => probes.find((one) => one.service === service) ?? { host: '', port: 0 };
  const probeOf = async (service: string, more: Partial<ProbeOptions> = {}): Promise<ProbeResult> =>
    probe({ ...of(service), ...more });

  it('find every service healthy, all at once and fast, and tell its version', async () => {
    await waitHealthy({ probes, deadlineMs: 30_000 });
    // Twelve, as in the whole stack; the drivers are loaded by now.
    const start = performance.now();
    const results = await probeAll([...probes, of('postgres'), of('mysql')]);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(results.filter(({ healthy }) => !healthy)).toEqual([]);
    for (const result of results)
      expect(result.details['version'] ?? result.details['serverVersion']).toEqual(
        expect.stringMatching(/^\d+\.\d+|^v1/),
      );
    expect(results.find(({ service }) => service === 'redis-1')?.details).toMatchObject({
      slotsCovered: 16_384,
      slotsOk: 16_384,
      masters: 3,
      clusterState: 'ok',
    });
    expect(results.find(({ service }) => service === 'mongodb')?.details).toMatchObject({ engine: 'FerretDB' });
  });

  it.each(['postgres', 'pgbouncer', 'mysql', 'mongodb', 'rabbitmq', 'redis-1'])(
    'name a wrong password of %s, and do not show it',
    async (service) => {
      const wrong = { ...of(service).credentials, password: new Secret('a wrong one') };
      const result = await probeOf(service, { credentials: wrong });
      expect(result).toMatchObject({
        service,
        healthy: false,
        code: 'AUTHENTICATION_FAILED',
        nextStep: expect.stringContaining('password') as string,
      });
      expect(JSON.stringify(result)).not.toContain('a wrong one');
    },
  );

  it.each([
    ['postgresql', 'redis-1', 'a Redis server'],
    ['pgbouncer', 'mysql', /a MySQL server/],
    ['mysql', 'postgres', /PostgreSQL|without a word|never answers/],
    ['mongodb', 'rabbitmq', 'an AMQP broker'],
    ['rabbitmq', 'redis-1', 'a Redis server'],
    ['redis', 'rabbitmq', 'an AMQP broker'],
    ['forgejo', 'mysql', /a MySQL server/],
    ['vault', 'rabbitmq', 'an AMQP broker'],
    ['http', 'redis-1', 'a Redis server'],
  ])('a probe of %s at the port of %s says what answers there', async (protocol, service, answered) => {
    const result = await probeOf(service, { protocol, credentials, timeoutMs: 1500 });
    expect(result).toMatchObject({
      healthy: false,
      answered: typeof answered === 'string' ? answered : (expect.stringMatching(answered) as string),
    });
  });

  it('tell a Redis that is no cluster node, and one without slots', async () => {
    await using single = await startRedis(awkward);
    await using empty = await startRedis(awkward, { cluster: true });
    const at = (engine: Engine): ProbeOptions => ({
      protocol: 'redis-cluster',
      host: '127.0.0.1',
      port: engine.port(6379),
      credentials: redisCredentials,
    });
    expect(await probe(at(single))).toMatchObject({ healthy: false, reason: 'This Redis is not a cluster node.' });
    expect(await probe({ ...at(single), protocol: 'redis' })).toMatchObject({ healthy: true });
    expect(await probe(at(empty))).toMatchObject({
      healthy: false,
      reason: 'Only 0 of 16384 slots are assigned to a node.',
    });
  });

  it('tell a cluster whose node is down', async () => {
    await stack.redis.nodes[2]?.stop();
    expect(await probeOf('redis-3')).toMatchObject({ healthy: false, code: 'CONNECTION_REFUSED', answered: 'nothing' });
    await expect
      .poll(async () => probeOf('redis-1'), { timeout: 40_000, interval: 500 })
      .toMatchObject({
        healthy: false,
        reason: expect.stringMatching(/The cluster is not serving: \d+ slots/) as string,
        details: { clusterState: 'fail' },
      });
  });

  it('tell a refused login of Forgejo', async () => {
    const wrong = { ...of('forgejo').credentials, password: new Secret('a wrong one') };
    expect(await probeOf('forgejo', { credentials: wrong })).toMatchObject({
      healthy: false,
      reason: 'The login of "devstack" was refused.',
      answered: 'HTTP 401 to /api/v1/user',
    });
  });

  it('tell a sealed Vault', async () => {
    const client = createVaultClient({
      address: `http://127.0.0.1:${String(stack.vault.port(8200))}`,
      token: new Secret('root-for-test'),
    });
    await client.seal();
    expect(await probeOf('vault')).toMatchObject({
      healthy: false,
      reason: 'Vault is sealed.',
      nextStep: 'Unseal it: devstack vault unseal',
      answered: expect.stringContaining('sealed') as string,
    });
  });

  it('tell a pool whose server is down', async () => {
    await stack.postgres.stop();
    expect(await probeOf('postgres')).toMatchObject({ healthy: false, code: 'CONNECTION_REFUSED' });
    expect(await probeOf('pgbouncer', { timeoutMs: 1000 })).toMatchObject({
      healthy: false,
      reason: expect.stringMatching(/no PostgreSQL server answered|complete answer|did not answer/) as string,
    });
  });

  it('tell a service that was stopped', async () => {
    await stack.rabbitmq.stop();
    expect(await probeOf('rabbitmq')).toMatchObject({
      healthy: false,
      code: 'CONNECTION_REFUSED',
      answered: 'nothing',
    });
  });
});

async function startStack(): Promise<Stack> {
  const stack = new AsyncDisposableStack();
  try {
    const network = stack.use(await createNetwork());
    const salt = Buffer.from('salt');
    const definitions = JSON.stringify({
      users: [
        {
          name: 'devstack',
          password_hash: Buffer.concat([salt, createHash('sha256').update(salt).update(awkward).digest()]).toString(
            'base64',
          ),
          hashing_algorithm: 'rabbit_password_hashing_sha256',
          tags: [],
        },
      ],
      vhosts: [{ name: '/' }],
      permissions: [{ user: 'devstack', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
    });
    const postgres = stack.use(await startPostgres(awkward, { network: network.name }));
    await postgres.exec('psql -h /data -U devstack -d postgres -c "CREATE DATABASE devstack"', {
      env: { PGPASSWORD: awkward },
    });
    const [mysql, mongodb, rabbitmq, vault, redis] = await Promise.all([
      startMariadb(awkward),
      startFerretdb(awkward),
      startRabbitmq(definitions),
      startEngine({
        image: 'devstack/vault:local',
        ports: [8200],
        script:
          'exec vault server -dev -dev-listen-address=0.0.0.0:8200 -dev-root-token-id=root-for-test -dev-no-store-token',
        ready: /Unseal Key|Development mode/,
      }),
      startRedisCluster(awkward),
    ]);
    for (const engine of [mysql, mongodb, rabbitmq, vault, redis]) stack.use(engine);
    const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    const pgbouncer = stack.use(
      await startPgbouncer({
        network: network.name,
        userlist: `"devstack" ${quoted(awkward)}\n`,
        ini: `[databases]\ndevstack = host=${await addressOf(postgres.name, network.name)} port=5432\n[pgbouncer]\nlisten_addr = 0.0.0.0\nlisten_port = 6432\nauth_type = scram-sha-256\nauth_file = /data/userlist.txt\npool_mode = transaction\n`,
      }),
    );
    const forgejo = stack.use(await startForgejo(network.name, await addressOf(postgres.name, network.name), postgres));
    const owned = stack.move();
    return {
      forgejo,
      postgres,
      pgbouncer,
      mysql,
      mongodb,
      rabbitmq,
      vault,
      redis,
      [Symbol.asyncDispose]: async () => owned.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** The stack's Forgejo (or Gitea) image with a user `devstack`. */
async function startForgejo(network: string, address: string, postgres: Engine): Promise<Engine> {
  await postgres.exec(
    `psql -h /data -U devstack -d postgres -c "CREATE ROLE forge LOGIN PASSWORD 'forge'" -c 'CREATE DATABASE forge OWNER forge'`,
    {
      env: { PGPASSWORD: awkward },
    },
  );
  const ini = `RUN_USER = forgejo\nRUN_MODE = prod\n[server]\nHTTP_PORT = 3000\nSTATIC_ROOT_PATH = /usr/share/gitea\nDISABLE_SSH = true\n[database]\nDB_TYPE = postgres\nHOST = ${address}:5432\nNAME = forge\nUSER = forge\nPASSWD = forge\nSSL_MODE = disable\n[security]\nINSTALL_LOCK = true\nPASSWORD_HASH_ALGO = pbkdf2$1000$50\n[log]\nMODE = console\nLEVEL = Info\n`;
  return startEngine({
    image: 'devstack/forgejo:local',
    network,
    ports: [3000],
    env: { INI: ini, USER_PASSWORD: awkward },
    script: `mkdir -p /data/g; cd /data/g; printf '%s' "$INI" > app.ini; g="$(command -v forgejo || command -v gitea) --work-path /data/g --config /data/g/app.ini"; $g migrate >/dev/null; $g admin user create --admin --must-change-password=false --username devstack --email devstack@example.com --password "$USER_PASSWORD" >/dev/null; exec $g web`,
    ready: /Listen: http|Starting new Web server/,
  });
}
