import { createHash, randomBytes } from 'node:crypto';
import { connectAmqp, connectMongo, connectMysql, connectPostgres } from '@devstack-core/database-connections';
import { awkwardMysql, awkwardPostgres, readMysql, readPostgres } from './awkward-sql.ts';
import { amqpLogin, connectCluster, forgejo, login, type AllSecrets } from './data.ts';
import type { TestStack } from './test-stack.ts';

// What a careless backup would lose: data that is hard to write down, in every engine. Read by programs that have nothing to do with a backup.

const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
/** As large as what people put into LFS. */
const large = randomBytes(8_000_000);
const largeId = sha256(large);
const messages = Array.from({ length: 40 }, (_, index) => Buffer.concat([bytes, Buffer.from(`☃ ${String(index)}`)]));
const documents = 'Größe 日本';
const queues = { 'e2e-binär': {}, 'e2e-quorum': { 'x-queue-type': 'quorum' } };
const expires = Date.UTC(2040, 0, 1);
// The braces choose the slot: some on each node.
const slots = ['{ä}', '{b}', '{c c}', '{"d"}', '{}e', '{f}'];

export async function fillAwkward(stack: TestStack, secrets: AllSecrets): Promise<void> {
  await stack.expectRun(0, ['shell', 'postgres'], { stdin: `\\set ON_ERROR_STOP on\n${awkwardPostgres}` });
  await using mysql = await connectMysql(login(stack, secrets, 'mysql', 3306));
  for (const statement of awkwardMysql) await mysql.query(statement);
  await using mongo = await connectMongo(login(stack, secrets, 'mongodb', 27_017));
  const database = mongo.db('devstack');
  const collection = database.collection(documents);
  await database.command({ createIndexes: documents, indexes: [{ key: { 'a.b': 1 }, name: 'Ü', unique: true }] });
  await collection.insertMany([
    { a: { b: 1 }, bytes, at: new Date('2026-03-29T00:30:00.001Z'), nothing: null, list: [1.5, '☃', { deep: [] }] },
    { a: { b: 2 }, 'Schlüssel ☃': -1.5, large: 2 ** 53, pattern: /^ä.*$/im, yes: true, empty: {} },
  ]);
  await fillRedis(stack, secrets);
  await using amqp = await connectAmqp(amqpLogin(stack, secrets));
  for (const [queue, options] of Object.entries(queues)) {
    await amqp.declareQueue(queue, { durable: true, arguments: options });
    for (const [index, content] of messages.entries())
      await amqp.publish({ routingKey: queue, content, persistent: true, headers: { index, naïve: true } });
  }
  await fillForgejo(stack, secrets);
}

async function fillRedis(stack: TestStack, secrets: AllSecrets): Promise<void> {
  await using redis = await connectCluster(stack, secrets);
  for (const slot of slots) {
    const key = (name: string): string => `${slot}${name}`;
    await redis.command('SET', key('bytes'), bytes);
    await redis.command('SETBIT', key('bits'), 4_000_000, 1);
    await redis.command('HSET', key('hash'), 'ä', '☃', 'leer', '', 'zahl', '-1.5');
    await redis.command('RPUSH', key('list'), ...Array.from({ length: 300 }, (_, index) => `x${String(index)}`));
    await redis.command('SADD', key('set'), 'a', 'ü', '1', '2');
    await redis.command('ZADD', key('scores'), '-inf', 'low', '0.1', 'ä', '+inf', 'high');
    await redis.command('XADD', key('stream'), '1-1', 'field', 'ü', 'field', 'again');
    await redis.command('XADD', key('stream'), '5-0', 'f', bytes);
    await redis.command('XGROUP', 'CREATE', key('stream'), 'readers', '1-1');
    await redis.command('PFADD', key('count'), 'a', 'b', 'c');
    await redis.command('GEOADD', key('places'), '13.4', '52.5', 'Köln');
    for (const name of ['bytes', 'hash', 'stream']) await redis.command('PEXPIREAT', key(name), expires);
  }
}

async function fillForgejo(stack: TestStack, secrets: AllSecrets): Promise<void> {
  const { username = '' } = secrets['forgejo'] ?? {};
  const post = (path: string, json: unknown): Promise<Buffer> =>
    forgejo(stack, secrets, 'POST', `/api/v1${path}`, { json });
  const base = `/repos/${username}/awkward`;
  await post('/user/repos', { name: 'awkward', auto_init: true, default_branch: 'main', private: true });
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${largeId}\nsize ${String(large.length)}\n`;
  const batch = await forgejo(stack, secrets, 'POST', `/${username}/awkward.git/info/lfs/objects/batch`, {
    bytes: Buffer.from(
      JSON.stringify({
        operation: 'upload',
        transfers: ['basic'],
        objects: [{ oid: largeId, size: large.length }],
      }),
    ),
    headers: { accept: 'application/vnd.git-lfs+json', 'content-type': 'application/vnd.git-lfs+json' },
  });
  const { objects } = JSON.parse(batch.toString()) as {
    objects: readonly { actions: { upload: { href: string; header?: Record<string, string> } } }[];
  };
  const { href = '', header = {} } = objects[0]?.actions.upload ?? {};
  await forgejo(stack, secrets, 'PUT', new URL(href).pathname, {
    bytes: large,
    headers: { ...header, 'content-type': 'application/octet-stream' },
  });
  const files = { 'large.bin': pointer, '.gitattributes': '*.bin filter=lfs\n', 'Größe ☃.txt': 'ä\r\n', bytes };
  for (const [name, content] of Object.entries(files))
    await post(`${base}/contents/${encodeURIComponent(name)}`, {
      content: Buffer.from(content).toString('base64'),
      message: `mit ${name}`,
    });
  await post(`${base}/branches`, { new_branch_name: 'side/ünï' });
  await post(`${base}/tags`, { tag_name: 'v1', message: 'eins' });
  await post(`${base}/issues`, { title: 'Ünïcode', body: '☃' });
  await post(`${base}/wiki/new`, { title: 'Home', content_base64: Buffer.from('# wiki').toString('base64') });
}

/** What clients see of it, by engine; messages are told apart from the rest, as reading takes them. */
export async function readAwkward(
  stack: TestStack,
  secrets: AllSecrets,
): Promise<Readonly<Record<string, readonly string[]>>> {
  await using postgres = await connectPostgres(login(stack, secrets, 'postgres', 5432));
  await using mysql = await connectMysql(login(stack, secrets, 'mysql', 3306));
  await using mongo = await connectMongo(login(stack, secrets, 'mongodb', 27_017));
  const database = mongo.db('devstack');
  const ofPostgres: string[] = [];
  for (const sql of readPostgres) ofPostgres.push((await postgres.query<{ text: string }>(sql))[0]?.text ?? 'nothing');
  const ofMysql: string[] = [];
  for (const sql of readMysql) ofMysql.push(JSON.stringify(await mysql.query(sql)));
  return {
    postgres: ofPostgres,
    mysql: ofMysql,
    mongodb: [
      ...(await database.collection(documents).find()).map((document) => JSON.stringify(document)).toSorted(),
      JSON.stringify((await database.command({ listIndexes: documents }))['cursor']),
    ],
    redis: await readRedis(stack, secrets),
    forgejo: await readForgejo(stack, secrets),
  };
}

async function readRedis(stack: TestStack, secrets: AllSecrets): Promise<readonly string[]> {
  await using redis = await connectCluster(stack, secrets);
  const found: string[] = [];
  const read = async (command: string, ...parameters: readonly string[]): Promise<void> => {
    const answer = await redis.commandBytes(command, ...parameters);
    found.push(`${command} ${parameters[0] ?? ''} ${sha256(JSON.stringify(answer))}`);
  };
  for (const slot of slots) {
    await read('GET', `${slot}bytes`);
    await read('BITPOS', `${slot}bits`, '1');
    for (const field of ['ä', 'leer', 'zahl']) await read('HGET', `${slot}hash`, field);
    await read('LRANGE', `${slot}list`, '0', '-1');
    for (const member of ['a', 'ü', '1', '2', 'none']) await read('SISMEMBER', `${slot}set`, member);
    await read('SCARD', `${slot}set`);
    await read('ZRANGE', `${slot}scores`, '0', '-1', 'WITHSCORES');
    await read('XRANGE', `${slot}stream`, '-', '+');
    await read('XPENDING', `${slot}stream`, 'readers');
    await read('PFCOUNT', `${slot}count`);
    await read('GEOPOS', `${slot}places`, 'Köln');
    for (const name of ['bytes', 'hash', 'stream', 'list']) await read('PEXPIRETIME', `${slot}${name}`);
  }
  return found;
}

async function readForgejo(stack: TestStack, secrets: AllSecrets): Promise<readonly string[]> {
  const { username = '' } = secrets['forgejo'] ?? {};
  const get = (path: string): Promise<Buffer> =>
    forgejo(stack, secrets, 'GET', `/api/v1/repos/${username}/awkward${path}`);
  const issues = JSON.parse((await get('/issues')).toString()) as readonly Record<string, unknown>[];
  const media = sha256(await get('/media/large.bin'));
  return [
    // Git's own sums of every file and branch.
    (await get('/git/trees/main?recursive=true')).toString(),
    (await get('/git/refs')).toString(),
    (await get('/wiki/pages')).toString(),
    ...issues.map(({ title, body, created_at: at }) => JSON.stringify([title, body, at])),
    media === largeId ? 'the large file' : 'ANOTHER large file',
    sha256(await get('/raw/bytes')),
  ];
}

/** Takes every message out of the durable queues: what is not as it was published is named. */
export async function takeMessages(stack: TestStack, secrets: AllSecrets): Promise<readonly string[]> {
  await using amqp = await connectAmqp(amqpLogin(stack, secrets));
  const problems: string[] = [];
  for (const [queue, options] of Object.entries(queues)) {
    const { messages: count } = await amqp.declareQueue(queue, { durable: true, arguments: options });
    if (count !== messages.length) {
      problems.push(`${queue} has ${String(count)} messages`);
      continue;
    }
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let at = 0;
    const consumer = await amqp.consume(queue, ({ content, headers }) => {
      if (Buffer.compare(content, messages[at] ?? Buffer.alloc(0)) !== 0 || headers['index'] !== at)
        problems.push(`${queue}: message ${String(at)}`);
      at += 1;
      if (at === messages.length) resolve(undefined);
    });
    await promise;
    await consumer.cancel();
  }
  return problems;
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
