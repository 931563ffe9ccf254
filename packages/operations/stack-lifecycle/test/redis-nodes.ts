import { randomBytes } from 'node:crypto';
import { connectRedis, type RedisConnection } from '@devstack-core/database-connections';
import { connectDocker } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import type { RedisNode } from '../src/redis-migration.ts';

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

const quick = '--cluster-enabled yes --dir /tmp --save "" --appendonly yes --bind 0.0.0.0 --cluster-node-timeout 5000';
