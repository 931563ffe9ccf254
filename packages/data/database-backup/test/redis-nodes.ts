import { createHash } from 'node:crypto';
import { connectRedis, type RedisConnection } from '@devstack-core/database-connections';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import type { RedisPlace } from '../src/redis/redis-place.ts';
import { startThrowaway } from '../src/throwaway.ts';

/** Redis servers with a password, in one container without network. */
export interface RedisNodes extends AsyncDisposable {
  readonly place: RedisPlace;
  readonly container: string;
  /** To each node, in their order. */
  readonly connections: readonly RedisConnection[];
  /** Follows the slots. */
  write(key: string | Uint8Array, name: string, ...parameters: (string | number | Uint8Array)[]): Promise<unknown>;
}

export interface RedisNodesOptions {
  readonly docker: DockerEngine;
  readonly labels: Readonly<Record<string, string>>;
  readonly password: string;
  /** Slots of each node, in the words of `CLUSTER ADDSLOTSRANGE`; missing: one server that is no cluster. */
  readonly slots?: readonly (readonly number[])[];
}

/** Starts them, with persistence as in the stack, and makes a cluster of them. */
export async function startRedisNodes(options: RedisNodesOptions): Promise<RedisNodes> {
  const { docker, slots } = options;
  const count = slots?.length ?? 1;
  const ports = Array.from({ length: count }, (_, index) => 7001 + index);
  await using stack = new AsyncDisposableStack();
  const container = stack.use(
    await startThrowaway({
      docker,
      image: 'devstack/redis:local',
      labels: options.labels,
      what: 'Redis for a test',
      argv: [
        'sh',
        '-c',
        'until [ -e /tmp/go ]; do sleep 0.05; done; for port in "$@"; do mkdir -p /tmp/$port; redis-server /tmp/redis.conf --dir /tmp/$port --port $port & done; wait',
        'sh',
        ...ports.map(String),
      ],
      env: { HOME: '/tmp' },
    }),
  );
  const sha = createHash('sha256').update(options.password).digest('hex');
  const configuration = [
    'bind 127.0.0.1',
    `cluster-enabled ${slots === undefined ? 'no' : 'yes'}`,
    'cluster-node-timeout 2000',
    'appendonly yes',
    'save 3600 1',
    'enable-debug-command yes',
    'hash-max-listpack-entries 16',
    `user admin on #${sha} ~* &* +@all`,
    'user default off',
  ];
  await docker.putFiles(container.id, [
    { path: '/tmp/redis.conf', content: `${configuration.join('\n')}\n`, mode: 0o644, uid: 6379, gid: 6379 },
    { path: '/tmp/go', content: '', mode: 0o644, uid: 6379, gid: 6379 },
  ]);
  const nodes = [];
  const connections: RedisConnection[] = [];
  for (const port of ports) {
    const forward = stack.use(await docker.forward(container.id, port));
    const connect = { host: forward.host, port: forward.port };
    const password = new Secret(options.password);
    const connection = await until(() => connectRedis({ ...connect, username: 'admin', password }));
    connections.push(stack.use(connection));
    nodes.push({ container: container.id, connect });
  }
  if (slots !== undefined) await form(connections, ports, slots);
  const open = stack.move();
  return {
    place: { docker, username: 'admin', password: new Secret(options.password), nodes },
    container: container.id,
    connections,
    async write(key, name, ...parameters) {
      let moved: unknown;
      for (const connection of connections) {
        try {
          return await connection.command(name, key, ...parameters);
        } catch (error) {
          if (!(error instanceof Error && error.message.includes('MOVED'))) throw error;
          moved = error;
        }
      }
      throw moved;
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

async function form(
  connections: readonly RedisConnection[],
  ports: readonly number[],
  slots: readonly (readonly number[])[],
): Promise<void> {
  for (const [index, connection] of connections.entries()) {
    const ranges = slots[index] ?? [];
    if (ranges.length > 0) await connection.command('CLUSTER', 'ADDSLOTSRANGE', ...ranges);
    for (const port of ports) await connection.command('CLUSTER', 'MEET', '127.0.0.1', port);
  }
  await until(async () => {
    for (const connection of connections) {
      const info = String(await connection.command('CLUSTER', 'INFO'));
      if (!info.includes('cluster_state:ok') || !info.includes(`cluster_known_nodes:${String(ports.length)}`))
        throw new Error(info);
    }
  });
}

async function until<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
