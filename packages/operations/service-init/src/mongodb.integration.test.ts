import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connectMongo, type MongoConnection } from '@devstack-core/database-connections';
import { secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { docker, EngineStack, findSecrets, oddPasswords, type Engine, type EngineSpec } from '../test/engine-stack.ts';
import { startPostgres, writeClient } from '../test/postgres-engine.ts';

const spec: EngineSpec = {
  service: 'mongodb',
  role: 'mongodb',
  image: 'devstack/mongodb:local',
  uid: 27017,
  host: 14,
  config: 'mongodb',
  tmpfs: [],
  volume: false,
};

const first = {
  username: 'devstack',
  password: fresh(),
  database: 'devstack',
  postgres_username: 'ferretdb',
  postgres_password: fresh(),
  postgres_database: 'ferretdb',
};
const clientPassword = fresh();
const clients = {
  reference_api: JSON.stringify({ password: clientPassword, role: 'reference-api', grants: 'application' }),
  mongodb_exporter: JSON.stringify({ password: fresh(), role: 'mongodb-exporter', grants: 'monitor' }),
};

let stack: EngineStack;
let postgres: Engine;
let engine: Engine;

beforeAll(async () => {
  stack = await EngineStack.start();
  postgres = await startPostgres(stack, first.postgres_username, first.postgres_password);
  await stack.writeSecret('mongodb', first);
  await stack.writeSecret('mongodb/clients', clients);
  engine = await stack.prepare(spec);
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('the first start', () => {
  it('begins anew after a kill half-way, and leaves no set-up user', async () => {
    const setUp = untilSetup();
    // Slow enough for the kill to arrive half-way.
    await engine.create(['--cpus', '0.2']);
    await setUp;
    await engine.kill();
    // The control: it did.
    expect(await schemas()).toContain('devstack_setup_');
    await engine.recreate();
    await engine.waitHealthy();
    await using connection = await connect('devstack', first.password);
    const { users } = await connection.db('admin').command({ usersInfo: { forAllDBs: true } });
    expect((users as { db: string; user: string }[]).map((user) => `${user.db}.${user.user}`).sort()).toEqual([
      'admin.devstack',
      'admin.devstack_health',
      'admin.mongodb_exporter',
      'admin.reference_api',
    ]);
    expect(await schemas()).not.toContain('devstack_setup_');
  });

  it('lets its users in, and neither a wrong password nor an anonymous client', async () => {
    await using connection = await connect('reference_api', clientPassword);
    await connection.db('devstack').collection('kept').insertOne({ _id: 1, text: 'still here' });
    expect(await connection.db('devstack').collection('kept').findOne({ _id: 1 })).toMatchObject({
      text: 'still here',
    });
    await expect(connect('devstack', 'wrong')).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    expect(await anonymous()).toContain('requires authentication');
  });

  it('leaves the server as process 1, and the throw-away one gone', async () => {
    expect((await engine.exec(['cat', '/proc/1/comm'])).stdout.trim()).toBe('ferretdb');
    const names = await Promise.all(
      (await engine.processes()).map((pid) => readFile(`/proc/${String(pid)}/comm`, 'utf8').catch(() => '')),
    );
    expect(names.filter((name) => name.trim() === 'ferretdb')).toHaveLength(1);
  });
});

describe('later starts', () => {
  it('change nothing when no secret has changed, also in a new container', async () => {
    await engine.recreate();
    await engine.waitHealthy();
    expect(await engine.logs()).not.toMatch(/first start|applying/);
    await using connection = await connect('reference_api', clientPassword);
    expect(await connection.db('devstack').collection('kept').findOne({ _id: 1 })).toMatchObject({
      text: 'still here',
    });
  });

  it.each(oddPasswords.map((password) => password.replace('🔑', '')))(
    'take over a rotated password, and refuse the one before: %s',
    async (password) => {
      const { data } = (await stack.call('GET', 'secret/data/services/mongodb'))['data'] as { data: typeof first };
      await stack.writeSecret('mongodb', { ...data, password });
      await engine.restart();
      await using connection = await connect('devstack', password);
      expect(await connection.db('devstack').collection('kept').countDocuments()).toBe(1);
      await expect(connect('devstack', data.password)).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    },
  );

  it('say whose password the protocol cannot hold, and not which character', async () => {
    const { data } = (await stack.call('GET', 'secret/data/services/mongodb'))['data'] as { data: typeof first };
    await stack.writeSecret('mongodb', { ...data, password: 'emoji 🔑' });
    await engine.stop();
    await docker(['start', engine.name]);
    await engine.waitForLog(/APPLY_FAILED: The password of user "devstack" has a character/);
    expect(await engine.logs()).not.toMatch(/🔑|1f511/i);
    await stack.writeSecret('mongodb', data);
    await docker(['start', engine.name]);
    await engine.waitHealthy();
  });

  it('lock out a client that is gone', async () => {
    await stack.writeSecret('mongodb/clients', {});
    await engine.restart();
    await expect(connect('reference_api', clientPassword)).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    await stack.writeSecret('mongodb/clients', clients);
  });

  it('take over a rotated password of PostgreSQL, odd as it may be, once PostgreSQL has it', async () => {
    const rotated = oddPasswords[1] ?? '';
    await writeClient(stack, 'ferretdb', rotated);
    await stack.writeSecret('mongodb', { ...first, postgres_password: rotated });
    await engine.stop();
    await postgres.restart();
    await engine.startAgain();
    await using connection = await connect('reference_api', clientPassword);
    expect(await connection.db('devstack').collection('kept').countDocuments()).toBe(1);
  });

  it('wait for a PostgreSQL that starts later', async () => {
    await engine.stop();
    await postgres.stop();
    await docker(['start', engine.name]);
    await engine.waitForLog(/waiting: PostgreSQL/);
    await postgres.startAgain();
    await engine.waitHealthy();
  });

  it('are unhealthy while PostgreSQL is away', async () => {
    await docker(['pause', postgres.name]);
    expect((await engine.exec(['devstack-healthcheck'])).exitCode).not.toBe(0);
    await docker(['unpause', postgres.name]);
    await engine.waitHealthy();
  });
});

describe('the fallback without AppRole', () => {
  // The next test starts with AppRole again: the way back.
  it('starts with a token, and says so loudly', async () => {
    await engine.recreateWithToken();
    expect(await engine.logs()).toMatch(/WARNING: mongodb uses a token minted from the root token/);
  });
});

describe('secrets', () => {
  it('are found nowhere that others can look, and a planted one is found', async () => {
    const planted = fresh();
    await docker(['rm', '-f', engine.name]);
    await engine.create(['-e', `PLANTED=${planted}`]);
    await engine.waitHealthy();
    const password = fresh();
    await stack.writeSecret('mongodb', { ...first, password, postgres_password: oddPasswords[1] ?? '' });
    await engine.restart();
    await (await connect('devstack', password)).close();
    expect(
      await findSecrets(engine, [
        password,
        first.password,
        clientPassword,
        first.postgres_password,
        oddPasswords[1] ?? '',
      ]),
    ).toEqual([]);
    expect(await findSecrets(engine, [planted])).toEqual(expect.arrayContaining(['inspect: raw', 'environ: raw']));
  });
});

function connect(username: string, password: string): Promise<MongoConnection> {
  return connectMongo({
    host: engine.address,
    port: 27017,
    username,
    password: secret(password),
    database: 'devstack',
  });
}

function schemas(): Promise<string> {
  return psql('SELECT nspname FROM pg_namespace');
}

// Looks every few milliseconds, from one session.
async function untilSetup(): Promise<void> {
  await psql(
    "DO $$ BEGIN FOR i IN 1..6000 LOOP PERFORM pg_sleep(0.005); EXIT WHEN EXISTS (SELECT FROM pg_namespace WHERE starts_with(nspname, 'devstack_setup_')); END LOOP; END $$",
  );
}

async function psql(sql: string): Promise<string> {
  const result = await postgres.exec([
    'env',
    'PGSERVICEFILE=/run/credentials/pg_service.conf',
    'psql',
    '-XAtq',
    'service=health dbname=ferretdb',
    '-c',
    sql,
  ]);
  return result.stdout;
}

// One command without a login: OP_MSG by hand, as the driver of the tests always logs in.
async function anonymous(): Promise<string> {
  const script = `
    const name = (text) => Buffer.from(text + '\\0');
    const int = (value) => { const b = Buffer.alloc(4); b.writeInt32LE(value); return b; };
    const body = Buffer.concat([Buffer.of(0x10), name('listDatabases'), int(1), Buffer.of(2), name('$db'), int(6), name('admin')]);
    const document = Buffer.concat([int(body.length + 5), body, Buffer.of(0)]);
    const socket = require('net').connect(27017, process.argv[1], () => socket.write(Buffer.concat([int(21 + document.length), int(1), int(0), int(2013), int(0), Buffer.of(0), document])));
    socket.on('data', (chunk) => { console.log(chunk.toString('latin1')); process.exit(0); });`;
  return (await engine.exec(['node', '-e', script, engine.address])).stdout;
}

function fresh(): string {
  return randomBytes(16).toString('hex');
}
