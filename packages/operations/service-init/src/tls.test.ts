import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fakeContainer, type FakeContainer } from '../test/fake-container.ts';
import { writeAppliedVersions } from './applied-versions.ts';
import { mysqlInit } from './mysql.ts';
import { pgbouncerInit } from './pgbouncer.ts';
import { planName } from './postgres-sql.ts';
import { postgresInit } from './postgres.ts';
import { rabbitmqInit, renderTls } from './rabbitmq.ts';
import { redisInit } from './redis.ts';
import type { PreparedService, ServiceInit } from './service-init.ts';
import { postgresTrust, tlsMode, trustEnvironment, type ServiceTls } from './tls.ts';

const secrets = {
  username: 'devstack',
  password: 'p',
  root_password: 'r',
  database: 'devstack',
  erlang_cookie: 'COOKIE',
};

const files = { certificate: '/tls/tls.crt', privateKey: '/tls/tls.key', ca: '/tls/ca.crt' };

async function prepare(
  container: FakeContainer,
  init: ServiceInit,
  mode: string,
  settings: Record<string, string> = {},
): Promise<PreparedService> {
  const context = container.context({ secrets, settings: { ...settings, DEVSTACK_TLS: mode } });
  return init.prepare({ ...context, ...(mode === 'false' ? {} : { tls: { ...files, mode: mode as 'true' } }) });
}

describe('the mode', () => {
  test.each([
    [{}, 'false'],
    [{ DEVSTACK_TLS: '' }, 'false'],
    [{ DEVSTACK_TLS: 'true' }, 'true'],
    [{ DEVSTACK_TLS: 'required' }, 'required'],
  ])('of %j is %s', (settings, mode) => {
    expect(tlsMode(settings, 'DEVSTACK_TLS')).toBe(mode);
  });

  test.each(['yes', 'TRUE', 'on'])('%s is refused: a misspelled mode must not mean plain', (value) => {
    expect(() => tlsMode({ DEVSTACK_TLS: value }, 'DEVSTACK_TLS')).toThrow(
      expect.objectContaining({ code: 'SETTING_INVALID' }),
    );
  });

  test('clients of PostgreSQL verify it when it speaks TLS', () => {
    const context = { approleDirectory: '/run/approle', settings: { DEVSTACK_POSTGRES_TLS: 'true' } };
    expect(postgresTrust(context)).toBe('/run/approle/ca.pem');
    expect(trustEnvironment(context)).toEqual({ PGSSLROOTCERT: '/run/approle/ca.pem' });
    expect(postgresTrust({ ...context, settings: {} })).toBeUndefined();
    expect(trustEnvironment({ ...context, settings: {} })).toEqual({});
  });
});

describe.each([
  ['postgres', postgresInit, ['postgres'], 'ssl=on', 'hba_file='],
  ['redis', redisInit, ['redis-server'], '--tls-port 6390', '--port 0'],
  ['mysql', mysqlInit, ['mariadbd'], '--ssl-cert=', '--require-secure-transport=ON'],
] as const)('%s', (role, init, programs, offered, refuses) => {
  test.each([
    ['false', false, false],
    ['true', true, false],
    ['required', true, true],
  ])('with %s offers TLS: %s, refuses plain connections: %s', async (mode, offers, only) => {
    await using container = await fakeContainer(role);
    for (const program of programs) await container.program(program);
    await startedBefore(container);
    const argv = (await prepare(container, init, mode)).argv.join(' ');
    expect(argv.includes(offered)).toBe(offers);
    expect(argv.includes(refuses)).toBe(only);
  });
});

// A first start was made before, so that only the server's arguments are left to find.
async function startedBefore(container: FakeContainer): Promise<void> {
  const data = join(container.root, 'data/data');
  await mkdir(join(data, 'mysql'), { recursive: true });
  await writeFile(join(data, 'PG_VERSION'), '17');
  await writeAppliedVersions(data, planName, container.context({ secrets }).versions);
}

describe('pgbouncer', () => {
  test.each([
    ['false', undefined],
    ['true', 'client_tls_sslmode = allow'],
    ['required', 'client_tls_sslmode = require'],
  ])('with %s writes %s; the server is verified when that speaks TLS', async (mode, line) => {
    await using container = await fakeContainer('pgbouncer');
    await container.program('pgbouncer');
    await prepare(container, pgbouncerInit, mode, { DEVSTACK_POSTGRES_TLS: 'required' });
    const ini = await readFile(join(container.root, 'credentials/pgbouncer.ini'), 'utf8');
    if (line === undefined) expect(ini).not.toContain('client_tls');
    else expect(ini).toContain(line);
    expect(ini).toContain('server_tls_sslmode = verify-full');
    await prepare(container, pgbouncerInit, mode);
    expect(await readFile(join(container.root, 'credentials/pgbouncer.ini'), 'utf8')).not.toContain('server_tls');
  });
});

describe('rabbitmq', () => {
  const tls: ServiceTls = { mode: 'true', ...files };

  test('offers TLS on ports of its own; plain ones stay on loopback where TLS is required', () => {
    expect(renderTls(tls)).toContain('listeners.ssl.default = 5671\n');
    expect(renderTls(tls)).not.toContain('127.0.0.1');
    expect(renderTls({ ...tls, mode: 'required' })).toContain('listeners.tcp.default = 127.0.0.1:5672\n');
  });

  test.each([
    ['false', undefined],
    ['true', 'credentials/conf.d'],
  ])('with %s reads %s after its own file', async (mode, folder) => {
    await using container = await fakeContainer('rabbitmq');
    await container.program('rabbitmq-server');
    const { env } = await prepare(container, rabbitmqInit, mode);
    expect(env['RABBITMQ_CONFIG_FILES']).toBe(folder === undefined ? undefined : join(container.root, folder));
  });
});
