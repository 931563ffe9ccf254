import { createHash } from 'node:crypto';
import { connectPostgres, connectRedis, type SqlConnection } from '@devstack-core/database-connections';
import { type Secret } from '@devstack-core/redaction';
import { readServiceSecret } from '@devstack-core/service-secrets';
import { operatorSession, redisNatMap, requireEndpoint, type Stack } from '@devstack-core/stack-lifecycle';

/** A login as Vault has it. */
export async function loginOf(stack: Stack, role: string): Promise<Readonly<Record<string, Secret>>> {
  await using session = await operatorSession(stack);
  return (await readServiceSecret(session.client, role)) ?? {};
}

export async function postgres(stack: Stack): Promise<SqlConnection> {
  const { username, password, database } = await loginOf(stack, 'postgres');
  if (username === undefined || password === undefined) throw new Error('PostgreSQL has no login');
  return connectPostgres({
    ...requireEndpoint(stack, 'postgres'),
    username: username.reveal(),
    password,
    database: (database ?? username).reveal(),
  });
}

async function redis(stack: Stack): ReturnType<typeof connectRedis> {
  const { password } = await loginOf(stack, 'redis');
  if (password === undefined) throw new Error('Redis has no password');
  return connectRedis({ ...requireEndpoint(stack, 'redis-1'), password, cluster: true, natMap: redisNatMap(stack) });
}

/** A few tables of awkward types and Redis keys of most kinds. */
export async function fill(stack: Stack): Promise<void> {
  await fillPostgres(stack);
  await using keys = await redis(stack);
  await keys.command('SET', 'text', 'naïve ☃');
  await keys.command('HSET', 'hash', 'a', '1', 'b', '2');
  await keys.command('RPUSH', 'list', 'x', 'y', 'x');
  await keys.command('ZADD', 'scores', '1.5', 'one', '-2', 'two');
  await keys.command('SADD', 'set', 'p', 'q');
}

/** The tables alone. */
export async function fillPostgres(stack: Stack): Promise<void> {
  await using sql = await postgres(stack);
  await sql.query(
    `CREATE TABLE "Größe ☃" (id bigint GENERATED ALWAYS AS IDENTITY, b bytea, j jsonb, a text[], n numeric)`,
  );
  await sql.query(`INSERT INTO "Größe ☃" (b, j, a, n)
    SELECT sha256(i::text::bytea), jsonb_build_object('i', i), ARRAY['a', NULL, 'c"'], i / 7.0 FROM generate_series(1, 500) i`);
  await sql.query('CREATE TABLE orders (id int, at timestamptz) PARTITION BY RANGE (id)');
  await sql.query('CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (1000)');
  await sql.query(
    `INSERT INTO orders SELECT i, '2026-01-01Z'::timestamptz + i * interval '1 hour' FROM generate_series(1, 300) i`,
  );
  await sql.query('CREATE VIEW latest AS SELECT max(id) FROM orders');
}

/** Everything that `fill` made, in one line each. */
export async function contents(stack: Stack): Promise<readonly string[]> {
  const tables = await tablesOf(stack);
  await using keys = await redis(stack);
  const found = await Promise.all([
    keys.command('GET', 'text'),
    keys.command('HGETALL', 'hash'),
    keys.command('LRANGE', 'list', '0', '-1'),
    keys.command('ZRANGE', 'scores', '0', '-1'),
    keys.command('SMEMBERS', 'set'),
  ]);
  return [tables, ...found.map((one) => JSON.stringify(one))];
}

/** Everything that `fillPostgres` made. */
export async function tablesOf(stack: Stack): Promise<string> {
  await using sql = await postgres(stack);
  const [tables] = await sql.query<{ text: string }>(
    `SELECT (SELECT string_agg(t::text, '' ORDER BY id) FROM "Größe ☃" t) || (SELECT string_agg(o::text, '' ORDER BY id) FROM orders o) AS text`,
  );
  return createHash('sha256')
    .update(tables?.text ?? '')
    .digest('hex');
}

export async function damage(stack: Stack): Promise<void> {
  await using sql = await postgres(stack);
  await sql.query(`UPDATE "Größe ☃" SET n = 0 WHERE id = 7`);
  await sql.query('DELETE FROM orders WHERE id > 200');
  await using keys = await redis(stack);
  await keys.command('DEL', 'list');
}

/** Digests of all passwords that services have. */
export async function passwords(stack: Stack): Promise<readonly string[]> {
  const roles = await Promise.all(['postgres', 'redis'].map(async (role) => loginOf(stack, role)));
  return roles.map(({ password }) =>
    createHash('sha256')
      .update(password?.reveal() ?? '')
      .digest('hex'),
  );
}
