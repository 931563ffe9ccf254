import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { renderMyCnf } from '@devstack-core/credential-files';
import { secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { docker, EngineStack, findSecrets, oddPasswords, type Engine, type EngineSpec } from '../test/engine-stack.ts';
import { mysqlNativeHash } from './mysql-users.ts';

const spec: EngineSpec = {
  service: 'mysql',
  role: 'mysql',
  image: 'devstack/mysql:local',
  uid: 3306,
  host: 13,
  config: 'mysql',
  tmpfs: ['/run/mysqld'],
};

const first = { username: 'devstack', password: fresh(), root_password: fresh(), database: 'devstack' };
const clientPassword = fresh();
const monitorPassword = fresh();
const clients = {
  reference_api: JSON.stringify({
    verifier: mysqlNativeHash(secret(clientPassword)),
    role: 'reference-api',
    grants: 'application',
  }),
  mysql_exporter: JSON.stringify({
    verifier: mysqlNativeHash(secret(monitorPassword)),
    role: 'mysql-exporter',
    grants: 'monitor',
  }),
};

let stack: EngineStack;
let engine: Engine;

beforeAll(async () => {
  stack = await EngineStack.start();
  await stack.writeSecret('mysql', first);
  await stack.writeSecret('mysql/clients', clients);
  engine = await stack.prepare(spec);
});

afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

describe('the first start', () => {
  it('begins anew after a kill half-way, and leaves nothing half made', async () => {
    await engine.create();
    await engine.waitForLog(/first start/);
    await sleep(400);
    await engine.kill();
    // The control: the kill did hit the first start.
    expect(await engine.files()).toEqual(['data.partial']);
    await engine.startAgain();
    expect(await engine.files()).toEqual(['.devstack-users.json', 'data']);
  });

  it('creates the administrator, the database and the clients with what each may do', async () => {
    expect(await query('devstack', first.password, 'SHOW GRANTS')).toContain('GRANT ALL PRIVILEGES ON *.*');
    expect(
      await query(
        'reference_api',
        clientPassword,
        'CREATE TABLE devstack.t (i INT); INSERT INTO devstack.t VALUES (42); SELECT i FROM devstack.t',
      ),
    ).toContain('42');
    expect(await query('reference_api', clientPassword, 'SELECT User FROM mysql.user')).toContain('ERROR 1142');
    expect(await query('mysql_exporter', monitorPassword, 'SHOW GLOBAL STATUS LIKE "Uptime"')).toContain('Uptime');
    expect(await query('mysql_exporter', monitorPassword, 'SELECT * FROM devstack.t')).toContain('ERROR 1142');
  });

  it('refuses a wrong password, an anonymous user, root over the network, and the server’s system user without a password', async () => {
    expect(await query('devstack', 'wrong', 'SELECT 1')).toContain('ERROR 1045');
    expect(await query('', '', 'SELECT 1')).toContain('Access denied');
    expect(await query('root', first.root_password, 'SELECT 1')).toContain('Access denied');
    const socket = await engine.exec([
      'mariadb',
      '--no-defaults',
      '--socket=/run/mysqld/mysqld.sock',
      '--user=mysql',
      '-e',
      'SELECT 1',
    ]);
    expect(socket.stderr).toContain('Access denied');
  });

  it('lets root in over the socket by its password', async () => {
    const settings = renderMyCnf({
      client: { socket: '/run/mysqld/mysqld.sock', user: 'root', password: secret(first.root_password) },
    });
    const result = await engine.exec(
      ['mariadb', '--defaults-file=/dev/stdin', '-N', '-e', 'SELECT CURRENT_USER()'],
      settings.reveal(),
    );
    expect(result.stdout.trim()).toBe('root@localhost');
  });

  it('leaves the server as process 1, without a Node process beside it', async () => {
    const processes = await engine.exec([
      'sh',
      '-c',
      'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done',
    ]);
    expect((await engine.exec(['cat', '/proc/1/comm'])).stdout.trim()).toBe('mariadbd');
    expect(processes.stdout).not.toContain('container-init');
  });
});

describe('later starts', () => {
  it('keep data and passwords, also in a new container', async () => {
    await engine.recreate();
    await engine.waitHealthy();
    expect(await engine.logs()).not.toContain('first start');
    expect(await query('reference_api', clientPassword, 'SELECT i FROM devstack.t')).toContain('42');
  });

  it.each(oddPasswords)('take over a rotated password, and refuse the one before: %s', async (password) => {
    const { data } = (await stack.call('GET', 'secret/data/services/mysql'))['data'] as { data: typeof first };
    await stack.writeSecret('mysql', { ...data, password });
    await engine.restart();
    expect(await query('devstack', password, 'SELECT 6*7')).toContain('42');
    expect(await query('devstack', data.password, 'SELECT 1')).toContain('ERROR 1045');
  });

  it('take over the rotated password of a client, and lock out a client that is gone', async () => {
    const rotated = fresh();
    await stack.writeSecret('mysql/clients', {
      reference_api: JSON.stringify({
        verifier: mysqlNativeHash(secret(rotated)),
        role: 'reference-api',
        grants: 'application',
      }),
    });
    await engine.restart();
    expect(await query('reference_api', rotated, 'SELECT i FROM devstack.t')).toContain('42');
    expect(await query('reference_api', clientPassword, 'SELECT 1')).toContain('ERROR 1045');
    expect(await query('mysql_exporter', monitorPassword, 'SELECT 1')).toContain('ERROR 1045');
    await stack.writeSecret('mysql/clients', clients);
  });
});

describe('the fallback without AppRole', () => {
  // The next test starts with AppRole again: the way back.
  it('starts with a token, and says so loudly', async () => {
    await engine.recreateWithToken();
    expect(await engine.logs()).toMatch(/WARNING: mysql uses a token minted from the root token/);
  });
});

describe('secrets', () => {
  it('are found nowhere that others can look, and a planted one is found', async () => {
    const planted = fresh();
    await stack.writeSecret('mysql', first);
    await stack.writeSecret('mysql/clients', clients);
    await docker(['rm', '-f', engine.name]);
    await engine.create(['-e', `PLANTED=${planted}`]);
    await engine.waitHealthy();
    const values = [first.password, first.root_password, clientPassword, monitorPassword];
    expect(await findSecrets(engine, values)).toEqual([]);
    expect(await findSecrets(engine, [planted])).toEqual(expect.arrayContaining(['inspect: raw', 'environ: raw']));
  });
});

async function query(username: string, password: string, sql: string): Promise<string> {
  const settings = renderMyCnf({
    client: { protocol: 'tcp', host: engine.address, user: username, password: secret(password) },
  });
  const result = await engine.exec(
    ['mariadb', '--defaults-file=/dev/stdin', '--default-character-set=utf8mb4', '-N', '-e', sql],
    settings.reveal(),
  );
  return result.stdout + result.stderr;
}

function fresh(): string {
  return randomBytes(16).toString('hex');
}
