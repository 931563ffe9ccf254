import { startThrowaway } from '../throwaway.ts';
import type { Throwaway, ThrowawayOptions } from '../types.ts';
import type { RedisPlace } from './redis-place.ts';

const port = 6379;

/** A cluster of one node that holds all slots, persists nothing, and asks for no password: it can be reached from its own container alone. */
export async function throwawayRedis(options: ThrowawayOptions): Promise<Throwaway<RedisPlace>> {
  const { docker } = options;
  await using stack = new AsyncDisposableStack();
  const container = stack.use(
    await startThrowaway({
      ...options,
      what: 'Redis',
      argv: [
        'sh',
        '-c',
        'mkdir -p /tmp/redis && cd /tmp/redis && exec redis-server --bind 127.0.0.1 --port "$1" --cluster-enabled yes --save "" --appendonly no --enable-debug-command local',
        'sh',
        String(port),
      ],
      env: { HOME: '/tmp' },
      memoryBytes: 2 * 1024 ** 3,
      ready: async (id) => {
        const info = await docker.exec(id, ['redis-cli', 'CLUSTER', 'INFO']);
        if (info.stdout.includes('cluster_state:ok')) return true;
        // Refused where it has them already.
        await docker.exec(id, ['redis-cli', 'CLUSTER', 'ADDSLOTSRANGE', '0', '16383']);
        return false;
      },
    }),
  );
  const forward = stack.use(await docker.forward(container.id, port));
  const open = stack.move();
  return {
    docker,
    username: 'default',
    password: undefined,
    nodes: [{ container: container.id, connect: { host: forward.host, port: forward.port } }],
    isThrowaway: true,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
