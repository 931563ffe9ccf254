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

type AllSecrets = Readonly<Record<string, Credentials>>;

/** How a user's own program writes a value into an engine and reads it again, from this machine. */
export interface Engine {
  readonly role: string;
  write(stack: TestStack, secrets: AllSecrets, value: string): Promise<void>;
  read(stack: TestStack, secrets: AllSecrets): Promise<string | undefined>;
}

function login(stack: TestStack, secrets: AllSecrets, role: string, port: number) {
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
      const answer = await forgejo(stack, secrets, 'POST', '/user/repos', { name: 'e2e', description: value });
      if (answer.status !== 201) throw new Error(`Forgejo answered ${String(answer.status)}: ${answer.text}`);
    },
    read: async (stack, secrets) => {
      const { username = '' } = secrets['forgejo'] ?? {};
      const answer = await forgejo(stack, secrets, 'GET', `/repos/${username}/e2e`);
      if (answer.status !== 200) throw new Error(`Forgejo answered ${String(answer.status)}: ${answer.text}`);
      return (JSON.parse(answer.text) as { description: string }).description;
    },
  },
];

// Enough of them that each of three nodes has some.
const redisKeys = Array.from({ length: 16 }, (_, index) => `e2e-${String(index)}`);

function connectCluster(stack: TestStack, secrets: AllSecrets) {
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

function amqpLogin(stack: TestStack, secrets: AllSecrets) {
  const { username = '', password = '' } = secrets['rabbitmq'] ?? {};
  return {
    host: '127.0.0.1',
    port: stack.port(5672),
    username,
    password: new Secret(password),
    connectTimeoutMs: 10_000,
  };
}

// Over TLS: its plain port only leads there.
async function forgejo(
  stack: TestStack,
  secrets: AllSecrets,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly text: string }> {
  const { username = '', password = '' } = secrets['forgejo'] ?? {};
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const call = request(`https://localhost:${String(stack.port(3443))}/api/v1${path}`, {
    method,
    ca: readFileSync(join(stack.folder, 'certificates/ca.crt')),
    auth: `${username}:${password}`,
    headers: { 'content-type': 'application/json' },
  });
  call.once('response', resolve).once('error', reject);
  call.end(body === undefined ? undefined : JSON.stringify(body));
  const answer = await promise;
  return { status: answer.statusCode ?? 0, text: (await answer.setEncoding('utf8').toArray()).join('') };
}
