import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secret } from '@devstack-core/redaction';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeContainer, type FakeContainer } from '../test/fake-container.ts';
import {
  connectFakeMongo,
  connectFakePostgres,
  failure,
  fakeDatabases,
  type FakeDatabases,
} from '../test/fake-databases.ts';
import { mongodbInit } from './mongodb.ts';

let state: FakeDatabases;

vi.mock('@devstack-core/database-connections', () => ({
  connectPostgres: (options: never) => connectFakePostgres(state, options),
  connectMongo: () => connectFakeMongo(state),
}));

beforeEach(() => {
  state = fakeDatabases();
});

const secrets = {
  username: 'devstack',
  password: 'p1-secret',
  database: 'devstack',
  postgres_username: 'ferretdb',
  postgres_password: 'a:b\\c-secret',
  postgres_database: 'ferretdb',
};
const client = {
  username: 'reference_api',
  password: secret('c1-secret'),
  role: 'reference-api',
  grants: 'application',
};

async function image(): Promise<FakeContainer> {
  const container = await fakeContainer('mongodb');
  // Keeps what it was given, as the throw-away server, until it is told to stop.
  await container.program(
    'ferretdb',
    `echo "$@" >> ${container.root}/started; env >> ${container.root}/started; sleep 60 & wait`,
  );
  return container;
}

describe('mongodb', () => {
  it('makes its users through a throw-away server, notes it in the database, and does nothing at the next start', async () => {
    await using container = await image();
    state.users = [
      { db: 'admin', user: 'devstack' },
      { db: 'devstack_setup_1', user: 'setup' },
    ];
    const context = container.context({ secrets, clients: [client] });
    const prepared = await mongodbInit.prepare(context);
    expect(
      state.commands.map(
        ({ database, command }) => `${database}.${Object.keys(command)[0] ?? ''} ${String(Object.values(command)[0])}`,
      ),
    ).toEqual([
      'admin.usersInfo [object Object]',
      'admin.updateUser devstack',
      'admin.createUser devstack_health',
      'admin.createUser reference_api',
      'devstack_setup_1.dropUser setup',
    ]);
    expect(state.statements).toContain('DROP SCHEMA x');
    expect(state.comment).not.toMatch(/-secret/);
    const started = await readFile(join(container.root, 'started'), 'utf8');
    expect(started).toContain('--listen-addr=127.0.0.1:27018');
    expect(started).not.toMatch(/-secret/);

    const asked = state.commands.length;
    expect(await mongodbInit.prepare(context)).toEqual(prepared);
    expect(state.commands).toHaveLength(asked);
    expect(JSON.stringify(prepared)).not.toMatch(/-secret|SETUP/);
    expect(await readFile(join(container.root, 'credentials/pgpass'), 'utf8')).toBe(
      '*:*:*:ferretdb:a\\:b\\\\c-secret\n',
    );
    expect(await readFile(join(container.root, 'credentials/health.json'), 'utf8')).not.toContain('p1-secret');
  });

  it('drops a user that is gone', async () => {
    await using container = await image();
    await mongodbInit.prepare(container.context({ secrets, clients: [client] }));
    state.users = ['devstack', 'devstack_health', 'reference_api'].map((user) => ({ db: 'admin', user }));
    await mongodbInit.prepare(container.context({ secrets, version: 2 }));
    expect(state.commands.at(-1)).toEqual({ database: 'admin', command: { dropUser: 'reference_api' } });
    expect(container.lines).toEqual(['first start: creating the users', 'applying changed credentials']);
  });

  it('waits for a PostgreSQL that starts, and says so', async () => {
    await using container = await image();
    state.refusals.push(
      failure('CONNECTION_REFUSED'),
      failure('DATABASE_ERROR', 'starting up', { serverCode: '57P03' }),
    );
    await mongodbInit.prepare(container.context({ secrets }));
    expect(container.lines[0]).toMatch(/waiting: PostgreSQL does not answer at postgres:5432/);
  });

  it('says at once that PostgreSQL does not know its password, and what to do', async () => {
    await using container = await image();
    state.refusals.push(failure('AUTHENTICATION_FAILED'));
    await expect(mongodbInit.prepare(container.context({ secrets }))).rejects.toMatchObject({
      code: 'APPLY_FAILED',
      hint: expect.stringContaining('restart postgres') as string,
    });
  });

  it.each([
    ['[x.go] cannot SASLprepare password: prohibited character 🔑', /"devstack" has a character/],
    ['something else', /something else/],
  ])('names what the server refused, and notes nothing: %s', async (text, message) => {
    await using container = await image();
    state.commandError = failure('DATABASE_ERROR', text);
    const failed = mongodbInit.prepare(container.context({ secrets }));
    await expect(failed).rejects.toMatchObject({
      code: 'APPLY_FAILED',
      message: expect.stringMatching(message) as string,
    });
    await expect(failed).rejects.toMatchObject({ message: expect.not.stringContaining('🔑') as string });
    expect(state.comment).toBeNull();
  });

  it.each(['not json', '{"devstack":7}', '{"devstack":{"secrets":{},"clients":{},"users":[]}}'])(
    'takes a comment that is not ours as a first start: %s',
    async (comment) => {
      await using container = await image();
      state.comment = comment;
      await mongodbInit.prepare(container.context({ secrets }));
      expect(container.lines).toEqual(['first start: creating the users']);
    },
  );

  it.each([
    ['DEVSTACK_POSTGRES_HOST', 'a b'],
    ['DEVSTACK_POSTGRES_PORT', 'x'],
  ])('refuses %s=%s', async (name, value) => {
    await using container = await image();
    await expect(
      mongodbInit.prepare(container.context({ secrets, settings: { [name]: value } })),
    ).rejects.toMatchObject({ code: 'SETTING_INVALID' });
  });

  it('refuses a client without a password', async () => {
    await using container = await image();
    const wrong = { username: 'x', verifier: secret('y'), role: 'x', grants: 'application' };
    await expect(mongodbInit.prepare(container.context({ secrets, clients: [wrong] }))).rejects.toMatchObject({
      code: 'CLIENT_INVALID',
    });
  });
});
