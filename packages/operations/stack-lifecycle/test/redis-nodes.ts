import { randomBytes } from 'node:crypto';
import { connectRedis, type RedisConnection } from '@devstack-core/database-connections';
import { connectDocker } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import type { RedisNode } from '../src/redis-migration.ts';
import { until } from '../src/timing.ts';

/** Plain Redis servers in cluster mode, strangers to each other; disposing removes them. */
export interface RedisNodes extends AsyncDisposable {
  readonly nodes: readonly RedisNode[];
  readonly password: Secret;
  /** A connection to one node alone, or with `cluster` to the cluster. */
  connect(index: number, options?: { readonly cluster?: boolean }): Promise<RedisConnection>;
}

/** Starts them from this image, in a network of their own, on free ports. */
export async function startRedisNodes(image: string, count: number): Promise<RedisNodes> {
  const engine = await connectDocker({ env: process.env });
  const name = `sl-redis-${randomBytes(4).toString('hex')}`;
  const password = new Secret(randomBytes(12).toString('hex'));
  await using made = new AsyncDisposableStack();
  await engine.createNetwork({ name });
  made.defer(async () => engine.removeNetwork(name));
  const nodes: RedisNode[] = [];
  for (let index = 0; index < count; index += 1) {
    const id = await engine.createContainer({
      name: `${name}-${String(index)}`,
      image,
      entrypoint: [],
      // Told its own address, as container-init does. The password is the test's own and ends with it.
      argv: ['sh', '-c', `exec redis-server --cluster-announce-ip "$(hostname -i)" --requirepass "$PASSWORD" ${quick}`],
      env: { PASSWORD: password.reveal() },
      network: name,
      ports: [{ containerPort: 6379, hostAddress: '127.0.0.1' }],
      user: '6379:6379',
    });
    made.defer(async () => engine.removeContainer(id, { force: true }));
    await engine.startContainer(id);
    const { networks, ports } = await engine.inspectContainer(id);
    const address = networks[name]?.ip ?? '';
    nodes.push({ name: `node-${String(index)}`, host: '127.0.0.1', port: ports[0]?.hostPort ?? 0, address });
  }
  for (const node of nodes) await untilItAnswers(node, password);
  const natMap = Object.fromEntries(nodes.map(({ address, host, port }) => [`${address}:6379`, { host, port }]));
  const all = made.move();
  return {
    nodes,
    password,
    connect: async (index, { cluster = false } = {}) => {
      const { host = '', port = 0 } = nodes[index] ?? {};
      return connectRedis({ host, port, password, ...(cluster ? { cluster, natMap } : {}) });
    },
    [Symbol.asyncDispose]: async () => all.disposeAsync(),
  };
}

// The port is open before the server is.
async function untilItAnswers({ host, port, name }: RedisNode, password: Secret): Promise<void> {
  await until({
    what: `${name} to answer`,
    everyMs: 50,
    deadlineMs: 30_000,
    attempt: async () => {
      try {
        await using connection = await connectRedis({ host, port, password });
        return await connection.command('PING');
      } catch {
        return undefined;
      }
    },
    expired: () => new DevstackError({ code: 'TEST_SETUP', message: `${name} did not answer within 30 s.` }),
  });
}

const quick = '--cluster-enabled yes --dir /tmp --save "" --appendonly yes --bind 0.0.0.0 --cluster-node-timeout 5000';
