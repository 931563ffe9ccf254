import { isSecret, type Secret } from '@devstack-core/redaction';
import type { Cluster, Redis, RedisOptions as DriverOptions } from 'ioredis';
import type { Classify } from './failure.ts';
import { Lifetime, type LifetimeOptions } from './lifetime.ts';
import { passwordOf, tlsOptions, type Connection, type ConnectionOptions } from './options.ts';
import { createClusterClient, patiently } from './redis-cluster-client.ts';
import { announcedNames, nodeTarget, startNode, type Address, type NodeTarget } from './redis-node-names.ts';

export type { Address } from './redis-node-names.ts';

/** Options of `connectRedis`. */
export interface RedisOptions extends Omit<ConnectionOptions, 'username' | 'database'> {
  /** `default` by default. */
  readonly username?: string;
  /**
   * Follows the cluster's redirections; `host` and `port` are the first node that is asked. With TLS every node is verified by the name
   * that it announces (`cluster-announce-hostname`), or by its address where it announces none; `tls.servername` is the first node's.
   */
  readonly cluster?: boolean;
  /** More nodes to ask first, in case one is down. */
  readonly nodes?: readonly Address[];
  /** From the address that a node announces (`172.20.2.21:6379`) to the one it is reached at from here (`127.0.0.1:6379`). */
  readonly natMap?: Readonly<Record<string, Address>>;
}

/** An argument of a Redis command; a `Secret` is revealed to the driver alone, and masked in errors. */
export type RedisArgument = string | number | Uint8Array | Secret;

/** A connection to a Redis server or cluster. */
export interface RedisConnection extends Connection {
  /** Sends one command; replies have the shapes of RESP2 (arrays, strings, numbers, null). A cluster routes it by its key. */
  command(name: string, ...parameters: RedisArgument[]): Promise<unknown>;
  /** The same with every string of the reply as bytes, for keys and values that are no text. */
  commandBytes(name: string, ...parameters: RedisArgument[]): Promise<unknown>;
}

/** Connects to one Redis server, or to a cluster through any of its nodes. */
export async function connectRedis(options: RedisOptions): Promise<RedisConnection> {
  const {
    host,
    port,
    username = 'default',
    cluster = false,
    nodes = [],
    natMap,
    connectTimeoutMs = 5000,
    commandTimeoutMs,
    signal,
  } = options;
  const password = await passwordOf(options.password);
  // Through `default`: a bundle of ES modules does not give the names of a CommonJS module.
  const { default: driver } = await import('ioredis');
  const { Redis: Client } = driver;
  const tls = tlsOptions(options);
  const roots = cluster && options.tls !== undefined ? options.tls : false;
  const starts = [{ host, port, tls }, ...nodes.map((node) => startNode(node, roots))];
  // Filled before the cluster is connected to. A node that joins later has to prove its address, or this connection ends: TLS_FAILED.
  let names: ReadonlyMap<string, string> = new Map();
  const shared = {
    username,
    password: password.reveal(),
    // RESP2: the same shapes from every server version, and a login error that says what is wrong.
    protocol: 2,
    disableClientInfo: true,
    connectionName: 'devstack',
    lazyConnect: true,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: connectTimeoutMs + 1000,
    ...(tls === undefined ? {} : { tls: { ...tls } }),
  } as const satisfies DriverOptions;
  // A second connection, to one node alone, that tells the nodes' names, or why a cluster cannot be used.
  let single: Redis | undefined;
  let isOpen = false;
  let isDestroyed = false;
  const lifetimeOptions: LifetimeOptions<Redis | Cluster> = {
    target: { engine: cluster ? 'Redis cluster' : 'Redis', host, port, username, password },
    classify,
    connectTimeoutMs,
    commandTimeoutMs,
    signal,
    create: (report) => {
      const client = cluster
        ? createClusterClient(Client.Cluster, {
            starts,
            redisOptions: shared,
            slotsRefreshTimeout: connectTimeoutMs + 1000,
            target: (address) =>
              roots === false ? natMap?.[address] : nodeTarget(address, { names, tls: roots, natMap }),
            onRefused: (error) => {
              if (isOpen) report(error);
            },
          })
        : new Client({ ...shared, host, port, retryStrategy: () => null });
      client.on('error', (error: unknown) => {
        // Where no node could be asked, ioredis has lost the reason; the login below finds it again.
        if (client instanceof Client || isOpen) report(error);
      });
      return client;
    },
    login: async (client) => {
      const ask = async ({ host: to, port: at, tls: proof }: NodeTarget): Promise<NodeAnswer> => {
        const proofs = proof === undefined ? {} : { tls: { ...proof } };
        single = new Client({ ...shared, host: to, port: at, ...proofs, retryStrategy: () => null });
        return askNode(single);
      };
      if (roots !== false) {
        const answer = await firstAnswer(starts, ask, () => isDestroyed);
        if ('failure' in answer) throw answer.failure;
        names = announcedNames(answer.slots);
      }
      try {
        await client.connect();
        await client.ping();
      } catch (error) {
        if (!cluster || isDestroyed) throw error;
        const answer = await ask({ host, port, tls });
        throw 'failure' in answer ? answer.failure : error;
      }
    },
    leave: async (client) => client.quit(),
    destroy: (client) => {
      isDestroyed = true;
      single?.disconnect();
      client.disconnect();
    },
  };
  const lifetime = await Lifetime.open(lifetimeOptions);
  isOpen = true;
  return {
    command: async (name, ...parameters) =>
      lifetime.run(async (client) => patiently(async () => client.call(name, parameters.map(revealed))), parameters),
    commandBytes: async (name, ...parameters) =>
      lifetime.run(
        async (client) => patiently(async () => client.callBuffer(name, parameters.map(revealed))),
        parameters,
      ),
    close: async () => lifetime.close(),
    [Symbol.asyncDispose]: async () => lifetime.close(),
  };
}

const refusal = /^(?:WRONGPASS|NOAUTH)\b|invalid username-password|invalid password/;

const classify: Classify = ({ name, message, code }) => {
  if (name === 'ReplyError') {
    const serverCode = /^[A-Z]+\b/.exec(message)?.[0] ?? 'ERR';
    return { kind: refusal.test(message) ? 'authenticationFailed' : 'database', serverCode, text: message };
  }
  if (name === 'ParserError' || /Protocol error|unexpected reply|RESP type/i.test(message))
    return { kind: 'protocolMismatch' };
  if (code !== undefined) return undefined;
  if (message === 'connect ETIMEDOUT' || /timed out|timeout/i.test(message)) return { kind: 'timedOut' };
  if (/Connection is closed|None of startup nodes|max retries|Cluster isn't ready|isn't writeable/i.test(message))
    return { kind: 'lost' };
  return undefined;
};

type NodeAnswer = { readonly slots: unknown } | { readonly failure: unknown };

// What one node says, told by a connection to it alone: which nodes there are, or why it cannot be used.
async function askNode(node: Redis): Promise<NodeAnswer> {
  const failures: unknown[] = [];
  node.on('error', (error: unknown) => failures.push(error));
  try {
    await node.connect();
    await node.ping();
    return { slots: await node.call('CLUSTER', 'SLOTS') };
  } catch (error) {
    return { failure: failures[0] ?? error };
  } finally {
    node.disconnect();
  }
}

// The next node is asked where one cannot be; the first one's failure says the most.
async function firstAnswer(
  starts: readonly NodeTarget[],
  ask: (node: NodeTarget) => Promise<NodeAnswer>,
  isOver: () => boolean,
): Promise<NodeAnswer> {
  let first: NodeAnswer | undefined;
  for (const start of starts) {
    const answer = await ask(start);
    if ('slots' in answer || isOver()) return answer;
    first ??= answer;
  }
  return first ?? { failure: new Error('there is no node to ask') };
}

function revealed(parameter: RedisArgument): string | number | Buffer {
  if (isSecret(parameter)) return parameter.reveal();
  return parameter instanceof Uint8Array ? Buffer.from(parameter) : parameter;
}
