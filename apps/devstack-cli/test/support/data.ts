import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import {
  connectAmqp,
  connectMongo,
  connectMysql,
  connectPostgres,
  connectRedis,
} from '@devstack-core/database-connections';
import { Secret } from '@devstack-core/redaction';
import type { Credentials } from './secrets.ts';
import type { TestStack } from './test-stack.ts';

export type AllSecrets = Readonly<Record<string, Credentials>>;

/** How a user's own program writes a value into an engine and reads it again, from this machine. */
export interface Engine {
  readonly role: string;
  write(stack: TestStack, secrets: AllSecrets, value: string): Promise<void>;
  read(stack: TestStack, secrets: AllSecrets): Promise<string | undefined>;
}

/** How a client on this machine logs in to a role's engine. */
export function login(stack: TestStack, secrets: AllSecrets, role: string, port: number) {
  const { username = '', password = '', database = 'devstack' } = secrets[role] ?? {};
  return {
    host: '127.0.0.1',
    port: stack.port(port),
    username,
    password: new Secret(password),
    database,
    connectTimeoutMs: 10_000,
  };
}

const queue = 'e2e-durable';

export const engines: readonly Engine[] = [
  {
    role: 'postgres',
    write: async (stack, secrets, value) => {
      await using connection = await connectPostgres(login(stack, secrets, 'postgres', 5432));
      await connection.query('CREATE TABLE IF NOT EXISTS e2e (value text)');
      await connection.query('DELETE FROM e2e');
      await connection.query('INSERT INTO e2e VALUES ($1)', [value]);
    },
    read: async (stack, secrets) => {
      await using connection = await connectPostgres(login(stack, secrets, 'postgres', 5432));
      return (await connection.query<{ value: string }>('SELECT value FROM e2e'))[0]?.value;
    },
  },
  {
    role: 'mysql',
    write: async (stack, secrets, value) => {
      await using connection = await connectMysql(login(stack, secrets, 'mysql', 3306));
      await connection.query('CREATE TABLE IF NOT EXISTS e2e (value varchar(64))');
      await connection.query('DELETE FROM e2e');
      await connection.query('INSERT INTO e2e VALUES (?)', [value]);
    },
    read: async (stack, secrets) => {
      await using connection = await connectMysql(login(stack, secrets, 'mysql', 3306));
      return (await connection.query<{ value: string }>('SELECT value FROM e2e'))[0]?.value;
    },
  },
  {
    role: 'mongodb',
    write: async (stack, secrets, value) => {
      await using connection = await connectMongo(login(stack, secrets, 'mongodb', 27_017));
      const collection = connection.db('devstack').collection('e2e');
      await collection.deleteMany({});
      await collection.insertOne({ value });
    },
    read: async (stack, secrets) => {
      await using connection = await connectMongo(login(stack, secrets, 'mongodb', 27_017));
      const found = await connection.db('devstack').collection('e2e').findOne({});
      return typeof found?.['value'] === 'string' ? found['value'] : undefined;
    },
  },
  {
    role: 'redis',
    write: async (stack, secrets, value) => {
      await using connection = await connectCluster(stack, secrets);
      // One key on each node, so that every one of them is asked.
      for (const key of redisKeys) await connection.command('SET', key, value);
    },
    read: async (stack, secrets) => {
      await using connection = await connectCluster(stack, secrets);
      const values = await Promise.all(redisKeys.map((key) => connection.command('GET', key)));
      return values.every((value) => value === values[0]) && typeof values[0] === 'string' ? values[0] : undefined;
    },
  },
  {
    role: 'rabbitmq',
    write: async (stack, secrets, value) => {
      await using connection = await connectAmqp(amqpLogin(stack, secrets));
      await connection.declareQueue(queue, { durable: true });
      await connection.publish({ routingKey: queue, content: value, persistent: true });
    },
    // Takes the message and puts it back, so that it can be read again.
    read: async (stack, secrets) => {
      await using connection = await connectAmqp(amqpLogin(stack, secrets));
      if ((await connection.declareQueue(queue, { durable: true })).messages === 0) return undefined;
      const { promise, resolve } = Promise.withResolvers<string>();
      const consumer = await connection.consume(queue, (delivery) => {
        resolve(Buffer.from(delivery.content).toString());
      });
      const value = await promise;
      await consumer.cancel();
      await connection.publish({ routingKey: queue, content: value, persistent: true });
      return value;
    },
  },
  {
    role: 'forgejo',
    write: async (stack, secrets, value) => {
      await forgejo(stack, secrets, 'POST', '/api/v1/user/repos', { json: { name: 'e2e', description: value } });
    },
    read: async (stack, secrets) => {
      const { username = '' } = secrets['forgejo'] ?? {};
      const answer = await forgejo(stack, secrets, 'GET', `/api/v1/repos/${username}/e2e`);
      return (JSON.parse(answer.toString()) as { description: string }).description;
    },
  },
];

// Enough of them that each of three nodes has some.
const redisKeys = Array.from({ length: 16 }, (_, index) => `e2e-${String(index)}`);

/** The whole cluster of Redis, from this machine. */
export function connectCluster(stack: TestStack, secrets: AllSecrets) {
  const { username = 'default', password = '' } = secrets['redis'] ?? {};
  const natMap = Object.fromEntries(
    [21, 22, 23].map((host, index) => [
      `${stack.subnetPrefix()}.2.${String(host)}:6379`,
      { host: '127.0.0.1', port: stack.port(6379 + index) },
    ]),
  );
  return connectRedis({
    host: '127.0.0.1',
    port: stack.port(6379),
    username,
    password: new Secret(password),
    cluster: true,
    natMap,
    connectTimeoutMs: 10_000,
  });
}

export function amqpLogin(stack: TestStack, secrets: AllSecrets) {
  const { username = '', password = '' } = secrets['rabbitmq'] ?? {};
  return {
    host: '127.0.0.1',
    port: stack.port(5672),
    username,
    password: new Secret(password),
    connectTimeoutMs: 10_000,
  };
}

/** One request to Git hosting, and the body of its answer. Over TLS: its plain port only leads there. Rejects unless it succeeds. */
export async function forgejo(
  stack: TestStack,
  secrets: AllSecrets,
  method: string,
  path: string,
  options: {
    readonly json?: unknown;
    readonly bytes?: Uint8Array;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Promise<Buffer> {
  const { username = '', password = '' } = secrets['forgejo'] ?? {};
  const { json, bytes, headers = {} } = options;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const isLoggedIn = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
  const call = request(`https://localhost:${String(stack.port(3443))}${path}`, {
    method,
    ca: readFileSync(join(stack.folder, 'certificates/ca.crt')),
    // Given twice it would be neither.
    ...(isLoggedIn ? {} : { auth: `${username}:${password}` }),
    headers: { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  });
  call.once('response', resolve).once('error', reject);
  call.end(json === undefined ? bytes : JSON.stringify(json));
  const answer = await promise;
  const body = Buffer.concat((await answer.toArray()) as Buffer[]);
  const { statusCode = 0 } = answer;
  if (statusCode < 200 || statusCode > 299)
    throw new Error(`${method} ${path}: Forgejo answered ${String(statusCode)}: ${body.toString().slice(0, 500)}`);
  return body;
}
