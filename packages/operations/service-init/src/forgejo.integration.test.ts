import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { docker, EngineStack, findSecrets, oddPasswords, type Engine, type EngineSpec } from '../test/engine-stack.ts';
import { startPostgres, writeClient } from '../test/postgres-engine.ts';

const spec: EngineSpec = {
  service: 'forgejo',
  role: 'forgejo',
  image: 'devstack/forgejo:local',
  uid: 3000,
  host: 31,
  config: 'forgejo',
  tmpfs: [],
};

const first = {
  username: 'devstack-admin',
  password: fresh(),
  email: 'devstack-admin@localhost.localdomain',
  secret_key: fresh(),
  internal_token: fresh(),
  jwt_secret: fresh(),
  postgres_username: 'forgejo',
  postgres_password: fresh(),
  postgres_database: 'forgejo',
};

let stack: EngineStack;
let postgres: Engine;
let engine: Engine;

beforeAll(async () => {
  stack = await EngineStack.start();
  postgres = await startPostgres(stack, first.postgres_username, first.postgres_password);
  await stack.writeSecret('forgejo', first);
  engine = await stack.prepare(spec);
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('the first start', () => {
  it('begins anew after a kill half-way, and leaves no access token', async () => {
    const tables = untilTable('access_token');
    await engine.create();
    await tables;
    await engine.kill();
    // The control: the kill came before the end.
    expect(
      await psql("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"),
    ).not.toContain('devstack');
    await engine.startAgain();
    expect(await api(first.password, 'GET', 'user')).toMatchObject({
      status: 200,
      body: { login: 'devstack-admin', is_admin: true },
    });
    expect((await api(first.password, 'GET', 'users/devstack-admin/tokens')).body).toEqual([]);
  });

  it('serves pages with their style sheets and scripts, and lets nobody register', async () => {
    const page = await (await fetch(`http://${engine.address}:3000/user/login`)).text();
    const assets = [...page.matchAll(/(?:href|src)="(\/assets\/(?:css|js)\/[^"]+)"/g)].map((match) => match[1] ?? '');
    expect(assets.length).toBeGreaterThan(1);
    for (const path of assets) expect((await fetch(`http://${engine.address}:3000${path}`)).status).toBe(200);
    expect(await (await fetch(`http://${engine.address}:3000/user/sign_up`)).text()).toContain(
      'Registration is disabled',
    );
    expect((await api('wrong-password', 'GET', 'user')).status).toBe(401);
  });

  it('answers on the SSH port, and is process 1', async () => {
    const greeting =
      "require('net').connect(2222,process.argv[1]).on('data',d=>{console.log(d.toString());process.exit()})";
    expect((await engine.exec(['node', '-e', greeting, engine.address])).stdout).toMatch(/^SSH-2\.0-/);
    expect((await engine.exec(['cat', '/proc/1/comm'])).stdout.trim()).toBe('gitea');
  });

  it('takes a repository over HTTP', async () => {
    expect(
      (await api(first.password, 'POST', 'user/repos', { name: 'kept', auto_init: true, default_branch: 'main' }))
        .status,
    ).toBe(201);
  });
});

describe('later starts', () => {
  it('change nothing when no secret has changed, also in a new container', async () => {
    await engine.recreate();
    await engine.waitHealthy();
    expect(await engine.logs()).not.toMatch(/first start|applying|router: completed|PING DATABASE/);
    expect((await api(first.password, 'GET', 'repos/devstack-admin/kept/contents/README.md')).status).toBe(200);
  });

  // Each change takes seconds: all that is odd, in one.
  it('take over a rotated password, and refuse the one before', async () => {
    const password = oddPasswords.join(' ');
    await stack.writeSecret('forgejo', { ...first, password });
    await engine.restart();
    expect((await api(password, 'GET', 'user')).status).toBe(200);
    expect((await api(first.password, 'GET', 'user')).status).toBe(401);
  });

  // `%(x)s` stands for another key in this file format: a password that holds it is refused before anything is started.
  it('take over a rotated password of PostgreSQL', async () => {
    const password = oddPasswords.join(' ').replace('%(x)s', '');
    await writeClient(stack, 'forgejo', password);
    await stack.writeSecret('forgejo', { ...first, postgres_password: password });
    await engine.stop();
    await postgres.restart();
    await engine.startAgain();
    expect((await api(first.password, 'GET', 'repos/devstack-admin/kept')).status).toBe(200);
  });
});

describe('the fallback without AppRole', () => {
  // The next test starts with AppRole again: the way back.
  it('starts with a token, and says so loudly', async () => {
    await engine.recreateWithToken();
    expect(await engine.logs()).toMatch(/WARNING: forgejo uses a token minted from the root token/);
  });
});

describe('secrets', () => {
  it('are found nowhere that others can look, and a planted one is found', async () => {
    const planted = fresh();
    const password = fresh();
    await stack.writeSecret('forgejo', {
      ...first,
      password,
      postgres_password: oddPasswords.join(' ').replace('%(x)s', ''),
    });
    await docker(['rm', '-f', engine.name]);
    await engine.create(['-e', `PLANTED=${planted}`]);
    await engine.waitHealthy();
    expect((await api(password, 'GET', 'user')).status).toBe(200);
    expect(
      await findSecrets(engine, [
        password,
        first.password,
        first.secret_key,
        first.internal_token,
        first.jwt_secret,
        oddPasswords.join(' ').replace('%(x)s', ''),
      ]),
    ).toEqual([]);
    expect(await findSecrets(engine, [planted])).toEqual(expect.arrayContaining(['inspect: raw', 'environ: raw']));
  });
});

async function api(
  password: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`http://${engine.address}:3000/api/v1/${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${first.username}:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

// Looks every few milliseconds, from one session.
async function untilTable(name: string): Promise<void> {
  await psql(
    `DO $$ BEGIN FOR i IN 1..6000 LOOP PERFORM pg_sleep(0.005); EXIT WHEN EXISTS (SELECT FROM pg_class WHERE relname = '${name}'); END LOOP; END $$`,
  );
}

async function psql(sql: string): Promise<string> {
  const result = await postgres.exec([
    'env',
    'PGSERVICEFILE=/run/credentials/pg_service.conf',
    'psql',
    '-XAtq',
    'service=health dbname=forgejo',
    '-c',
    sql,
  ]);
  return result.stdout;
}

function fresh(): string {
  return randomBytes(16).toString('hex');
}
