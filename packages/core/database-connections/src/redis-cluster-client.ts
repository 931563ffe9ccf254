import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster, ClusterNode, ClusterOptions, Redis } from 'ioredis';
import { classifyCommon } from './failure.ts';
import type { Address } from './redis-node-names.ts';

/** What a cluster's client is made of. */
export interface ClusterClientOptions {
  /** The nodes that are asked first. */
  readonly starts: ClusterNode[];
  /** Of the connection to each node. */
  readonly redisOptions: Omit<NonNullable<ClusterOptions['redisOptions']>, 'replyMapping'>;
  /** Limit of asking one node for the slots. */
  readonly slotsRefreshTimeout: number;
  /** From the address that the cluster calls a node by to where it is, with options of its own; nothing: it is right there. */
  readonly target: (address: string) => Address | undefined;
  /** Called when TLS with a node fails, whose commands the driver would but say to be redirected too often. */
  readonly onRefused: (error: unknown) => void;
}

/** The driver's client of a cluster, put right where it goes astray while slots move. */
export function createClusterClient(
  Client: typeof Cluster,
  { starts, redisOptions, slotsRefreshTimeout, target, onRefused }: ClusterClientOptions,
): Cluster {
  const client: Cluster = new Client(starts, {
    redisOptions,
    slotsRefreshTimeout,
    lazyConnect: true,
    enableReadyCheck: false,
    clusterRetryStrategy: () => null,
    natMap: (address) => {
      const to = target(address);
      if (to === undefined) return null;
      // After MOVED the driver notes the owner of a slot as the cluster calls it, but finds its nodes by where they are: it would send
      // the command, and those of all slots that it read in one range with it, to nodes taken at random until it reads the slots again.
      const key = `${to.host}:${String(to.port)}`;
      client.slots.forEach((owners) => {
        if (owners[0] === address) owners[0] = key;
      });
      return { ...to };
    },
  });
  client.on('+node', (node: Redis) => {
    // The driver sends ASKING before a command and forgets its promise. The command itself tells when the connection ends.
    const asking = node.asking.bind(node);
    node.asking = async () => asking().catch(() => 'OK');
  });
  client.on('node error', (error: unknown) => {
    if (error instanceof Error && classifyCommon(error)?.kind === 'tlsFailed') onRefused(error);
  });
  return client;
}

const patienceMs = 3000;

/**
 * Tries a command again, for 3 s, when it was redirected too often: nodes that hand slots over, or fail over, may disagree for a moment.
 * It waits 50 ms at first and 400 ms at most; every other failure is final.
 */
export async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  const end = performance.now() + patienceMs;
  for (let waitMs = 50; ; waitMs = Math.min(2 * waitMs, 400)) {
    try {
      return await attempt();
    } catch (error) {
      const isRedirected = error instanceof Error && error.message.startsWith('Too many Cluster redirections');
      if (!isRedirected || performance.now() + waitMs > end) throw error;
    }
    await pause(waitMs);
  }
}
