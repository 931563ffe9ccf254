import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { renderPgpass } from '@devstack-core/credential-files';
import { secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { docker, EngineStack, findSecrets, oddPasswords, type Engine, type EngineSpec } from '../test/engine-stack.ts';
import { fresh } from '../test/fresh.ts';

const postgresSpec: EngineSpec = {
  service: 'postgres',
  role: 'postgres',
  image: 'devstack/postgres:local',
  uid: 5432,
  host: 11,
  config: 'postgres',
  tmpfs: ['/run/postgresql'],
};
const pgbouncerSpec: EngineSpec = {
  service: 'pgbouncer',
  role: 'pgbouncer',
  image: 'devstack/pgbouncer:local',
  uid: 6432,
  host: 12,
  config: 'pgbouncer',
  tmpfs: [],
  volume: false,
};

const own = { username: 'devstack', password: fresh(), database: 'devstack' };
const pooler = { username: 'pgbouncer', password: fresh() };
const passwords = { pgbouncer: pooler.password, forgejo: fresh(), reference_api: fresh(), postgres_exporter: fresh() };
const grants = {
  pgbouncer: 'auth-query',
  forgejo: 'own-database',
  reference_api: 'application',
  postgres_exporter: 'monitor',
};

let stack: EngineStack;
let postgres: Engine;
let pgbouncer: Engine;

beforeAll(async () => {
  stack = await EngineStack.start();
  await stack.writeSecret('postgres', own);
  await stack.writeSecret('postgres/clients', clients(passwords));
  await stack.writeSecret('pgbouncer', pooler);
  postgres = await stack.prepare(postgresSpec);
  pgbouncer = await stack.prepare(pgbouncerSpec);
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('the first start of PostgreSQL', () => {
  it.each([0, 150, 500, 900])(
    'begins anew after a kill %d ms into it, and leaves nothing half made',
    async (afterMs) => {
      await postgres.create();
      await postgres.waitForLog(/first start/);
      await sleep(afterMs);
      await postgres.kill();
      // Either the complete cluster or none of it: never a part under the final name.
      const files = await postgres.files();
      if (files.includes('data')) expect(await inVolume(postgres, 'ls -A /d/data')).toContain('.devstack-applied.json');
      await postgres.startAgain();
      expect(await postgres.files()).toEqual(['data']);
      expect(await query({ sql: 'SELECT current_user' })).toBe('devstack');
      await postgres.remove();
      postgres = await stack.prepare(postgresSpec);
    },
  );

  it('makes the administrator, the databases and the clients with what each may do', async () => {
    await postgres.create();
    await postgres.waitHealthy();
    expect(await query({ sql: 'SHOW data_checksums' })).toBe('on');
    expect(
      await query({ user: 'forgejo', database: 'forgejo', sql: 'CREATE TABLE t (i int); SELECT count(*) FROM t' }),
    ).toContain('0');
    expect(await query({ user: 'reference_api', sql: 'CREATE TABLE t (i int); SELECT current_schema()' })).toContain(
      'reference_api',
    );
    expect(await query({ user: 'reference_api', database: 'forgejo', sql: 'SELECT 1' })).toContain(
      'permission denied for database',
    );
    for (const database of ['devstack', 'postgres', 'template1']) {
      expect(await query({ user: 'forgejo', database, sql: 'SELECT 1' })).toContain('permission denied for database');
    }
    expect(await query({ user: 'postgres_exporter', sql: 'SELECT count(*) > 0 FROM pg_stat_activity' })).toBe('t');
    expect(await query({ user: 'postgres_exporter', sql: 'SELECT * FROM reference_api.t' })).toContain(
      'permission denied',
    );
    expect(
      await query({ user: 'reference_api', database: 'postgres', sql: `SELECT pgbouncer.user_lookup('devstack')` }),
    ).toContain('permission denied');
  });

  it('lets nobody in with a wrong password or none, over the socket neither', async () => {
    expect(await query({ password: 'wrong', sql: 'SELECT 1' })).toContain('password authentication failed');
    const socket = await postgres.exec([
      'psql',
      '-h',
      '/run/postgresql',
      '-U',
      'devstack',
      '-d',
      'devstack',
      '-wc',
      'SELECT 1',
    ]);
    expect(socket.stderr).toContain('no password supplied');
  });

  it('leaves the server as process 1, and no Node process', async () => {
    expect((await postgres.exec(['cat', '/proc/1/comm'])).stdout.trim()).toBe('postgres');
    const all = await postgres.exec(['sh', '-c', 'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done']);
    expect(all.stdout).not.toContain('container-init');
  });

  it('on a disk that is too small says so and makes no cluster', async () => {
    const small = await stack.prepare({ ...postgresSpec, service: 'postgres-small', host: 15, volume: false });
    await small.create(['--tmpfs', '/var/lib/devstack:uid=5432,gid=5432,mode=0700,size=20m']);
    expect((await docker(['wait', small.name])).stdout.trim()).toBe('1');
    expect(await small.logs()).toMatch(/FIRST_START_FAILED: initdb failed with exit code 1: .*No space left on device/);
  });
});

describe('PgBouncer', () => {
  it('serves every user of the server by its own password, and refuses a wrong one', async () => {
    await pgbouncer.create();
    await pgbouncer.waitHealthy();
    expect(await query({ through: pgbouncer, sql: 'SELECT current_user' })).toBe('devstack');
    expect(await query({ through: pgbouncer, user: 'reference_api', sql: 'SELECT current_user' })).toBe(
      'reference_api',
    );
    expect(await query({ through: pgbouncer, user: 'reference_api', password: 'wrong', sql: 'SELECT 1' })).toContain(
      'SASL authentication failed',
    );
    expect(
      await query({ through: pgbouncer, user: 'pgbouncer', database: 'pgbouncer', sql: 'SHOW VERSION' }),
    ).toContain('PgBouncer');
    expect(await query({ through: pgbouncer, user: 'devstack', database: 'pgbouncer', sql: 'SHOW VERSION' })).toContain(
      'not allowed',
    );
    expect((await pgbouncer.exec(['cat', '/proc/1/comm'])).stdout.trim()).toBe('pgbouncer');
  });
});

describe('later starts', () => {
  it('touch nothing while the secret is unchanged, and keep the data', async () => {
    await query({ sql: 'CREATE TABLE kept (i int); INSERT INTO kept VALUES (42)' });
    await postgres.recreate();
    await postgres.waitHealthy();
    expect(await query({ sql: 'SELECT i FROM kept' })).toBe('42');
    expect(await postgres.logs()).not.toMatch(/first start|applying/);
  });

  it.each(oddPasswords)('apply the rotated password %j: the old one is refused', async (password) => {
    const old = own.password;
    own.password = password;
    await stack.writeSecret('postgres', own);
    await postgres.restart();
    expect(await postgres.logs()).toContain('applying changed credentials');
    expect(await query({ sql: 'SELECT i FROM kept' })).toBe('42');
    expect(await query({ password: old, sql: 'SELECT 1' })).toContain('password authentication failed');
    expect(await query({ through: pgbouncer, sql: 'SELECT i FROM kept' })).toBe('42');
  });

  it.each(oddPasswords)('serve the pooler and a client whose passwords became %j', async (password) => {
    pooler.password = password;
    Object.assign(passwords, { pgbouncer: password, reference_api: password });
    await stack.writeSecret('postgres/clients', clients(passwords));
    await stack.writeSecret('pgbouncer', pooler);
    await postgres.restart();
    await pgbouncer.restart();
    expect(await query({ through: pgbouncer, user: 'reference_api', sql: 'SELECT current_user' })).toBe(
      'reference_api',
    );
  });

  it('come back after a kill while the server writes', async () => {
    await query({ sql: 'INSERT INTO kept VALUES (43)' });
    await postgres.kill();
    own.password = fresh();
    await stack.writeSecret('postgres', own);
    await postgres.startAgain();
    expect(await query({ sql: 'SELECT count(*) FROM kept' })).toBe('2');
  });
});

describe('secrets', () => {
  it('are in no place that others can read', async () => {
    const known = [own.password, pooler.password, ...Object.values(passwords)];
    expect(await findSecrets(postgres, known)).toEqual([]);
    expect(await findSecrets(pgbouncer, known)).toEqual([]);
  });

  it('would be found if they were there', async () => {
    await postgres.remove();
    postgres = await stack.prepare(postgresSpec);
    await postgres.create(['-e', `PLANTED=${own.password}`]);
    await postgres.waitHealthy();
    expect(await findSecrets(postgres, [own.password])).toEqual(
      expect.arrayContaining(['inspect: raw', 'environ: raw']),
    );
  });
});

interface Query {
  readonly sql: string;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly through?: Engine;
}

// Asks over TCP from inside of a container; the password travels on stdin.
async function query({
  sql,
  user = own.username,
  password,
  database = own.database,
  through = postgres,
}: Query): Promise<string> {
  const known: Readonly<Record<string, string>> = { ...passwords, [own.username]: own.password };
  const pgpass = renderPgpass([{ password: secret(password ?? known[user] ?? '') }]).reveal();
  const port = through === postgres ? '5432' : '6432';
  const script = `umask 077; cat > /tmp/pgpass; PGPASSFILE=/tmp/pgpass psql -XAtqw -h 127.0.0.1 -p ${port} -U "$1" -d "$2" -c "$3"; rm /tmp/pgpass`;
  const result = await through.exec(['sh', '-c', script, 'sh', user, database, sql], pgpass);
  return (result.stdout + result.stderr).trim();
}

async function inVolume(engine: Engine, script: string): Promise<string> {
  return (
    await docker([
      'run',
      '--rm',
      '--user',
      '0',
      '-v',
      `${engine.name}-data:/d`,
      '--entrypoint',
      'sh',
      engine.spec.image,
      '-c',
      script,
    ])
  ).stdout;
}

function clients(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([username, password]) => [
      username,
      JSON.stringify({ verifier: scram(password), role: username, grants: grants[username as keyof typeof grants] }),
    ]),
  );
}

// RFC 5803; the passwords of these tests need no preparation beyond NFKC (RFC 4013).
function scram(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, 4096, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$4096:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`;
}
