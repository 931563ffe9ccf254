import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeContainer, type FakeContainer } from '../test/fake-container.ts';
import { connectFakePostgres, fakeDatabases, type FakeDatabases } from '../test/fake-databases.ts';
import { forgejoInit } from './forgejo.ts';

let state: FakeDatabases;

vi.mock('@devstack-core/database-connections', () => ({
  connectPostgres: (options: never) => connectFakePostgres(state, options),
}));

beforeEach(() => {
  state = fakeDatabases();
});

const secrets = {
  username: 'devstack-admin',
  password: 'p1-secret',
  email: 'admin@localhost.localdomain',
  secret_key: 'k1-secret',
  internal_token: 't1-secret',
  jwt_secret: 'j1-secret',
  postgres_username: 'forgejo',
  postgres_password: 'd1-secret',
  postgres_database: 'forgejo',
};

// A stand-in with the commands and the part of the API that are used.
async function image(
  options: { readonly users?: string; readonly patchStatus?: number; readonly migrate?: string } = {},
): Promise<FakeContainer> {
  const container = await fakeContainer('forgejo');
  await writeFile(join(container.root, 'config/app.ini'), 'APP_NAME = Test\n[server]\nHTTP_PORT = 3000\n');
  await writeFile(
    join(container.root, 'server.mjs'),
    `import { appendFileSync } from 'node:fs';
     import { createServer } from 'node:http';
     createServer((request, response) => {
       let body = '';
       request.on('data', (chunk) => (body += chunk)).on('end', () => {
         appendFileSync('${container.root}/calls', [request.method, request.url, request.headers.authorization ?? '', body].join(' ') + '\\n');
         response.statusCode = request.method === 'PATCH' ? ${String(options.patchStatus ?? 200)} : 200;
         response.end(request.method === 'GET' && request.url.includes('tokens') ? '[{"name":"devstack-init-old"},{"name":"mine"}]' : '');
       });
     }).listen(3099, '127.0.0.1');`,
  );
  await container.program(
    'gitea',
    `echo "$*" >> ${container.root}/commands
     case "$*" in
       migrate*) ${options.migrate ?? 'exit 0'};;
       *"user list"*) printf 'ID Username Email IsActive\\n${options.users ?? ''}';;
       *generate-access-token*) echo 0123456789abcdef-token;;
       web*) exec ${process.execPath} ${container.root}/server.mjs;;
     esac`,
  );
  return container;
}

const lines = async (container: FakeContainer, name: string): Promise<string[]> =>
  (await readFile(join(container.root, name), 'utf8')).trim().split('\n');

// One port for the throw-away server: these tests follow each other.
describe('forgejo', () => {
  it('makes tables and administrator without a password in an argument, proves the password, removes its tokens, and does nothing at the next start', async () => {
    await using container = await image();
    const context = container.context({ secrets });
    const prepared = await forgejoInit.prepare(context);
    const commands = await lines(container, 'commands');
    expect(commands.map((line) => line.split(' --')[0])).toEqual([
      'migrate',
      'admin user list',
      'admin user create',
      'admin user generate-access-token',
      'web',
    ]);
    expect(commands.join('\n')).not.toMatch(/-secret|-token$/m);
    const calls = (await lines(container, 'calls')).filter((line) => !line.includes('healthz'));
    const basic = `Basic ${Buffer.from('devstack-admin:p1-secret').toString('base64')}`;
    expect(calls[0]).toMatch(
      /^PATCH \/api\/v1\/admin\/users\/devstack-admin token 0123456789abcdef-token .*"password":"p1-secret"/,
    );
    expect(calls.slice(1)).toEqual(
      [
        `GET /api/v1/users/devstack-admin/tokens?limit=50 ${basic} `,
        `DELETE /api/v1/users/devstack-admin/tokens/devstack-init-old ${basic} `,
      ]
        .map((line) => line.trimEnd())
        .map((line) => expect.stringContaining(line) as string),
    );
    expect(await forgejoInit.prepare(context)).toEqual(prepared);
    expect(await lines(container, 'commands')).toHaveLength(commands.length);
    expect(JSON.stringify(prepared)).not.toMatch(/-secret/);
  });

  it('takes an administrator that is there, for a password that was rotated', async () => {
    await using container = await image({ users: '1 devstack-admin a@b true\\n' });
    await forgejoInit.prepare(container.context({ secrets }));
    expect((await lines(container, 'commands')).some((line) => line.includes('user create'))).toBe(false);
  });

  it('appends the secrets to the configuration, and gives the throw-away server no port outside', async () => {
    await using container = await image();
    await forgejoInit.prepare(container.context({ secrets, settings: { DEVSTACK_FORGEJO_PORT: '3300' } }));
    const ini = await readFile(join(container.root, 'credentials/app.ini'), 'utf8');
    expect(ini).toMatch(/^APP_NAME = Test\n/);
    expect(ini).toContain('PASSWD = `d1-secret`');
    expect(ini).toContain('http://localhost:3300/');
    expect(/JWT_SECRET = `(.*)`/.exec(ini.slice(ini.indexOf('[oauth2]')))?.[1]).toMatch(/^[\w-]{43}$/);
    const setup = await readFile(join(container.root, 'credentials/setup.ini'), 'utf8');
    expect(setup).toContain('HTTP_ADDR = `127.0.0.1`');
    expect(setup).toContain('START_SSH_SERVER = false');
  });

  it.each([
    [{ patchStatus: 422 }, /does not meet the rules/],
    [{ patchStatus: 500 }, /status 500/],
    [
      { migrate: 'echo "[F] failed: no space left"; exit 1' },
      /"gitea migrate" ended with exit code 1 \(\[F\] failed: no space left\)/,
    ],
  ])('says what went wrong, and notes nothing: %j', async (options, message) => {
    await using container = await image(options);
    await expect(forgejoInit.prepare(container.context({ secrets }))).rejects.toMatchObject({
      code: 'APPLY_FAILED',
      message: expect.stringMatching(message) as string,
    });
    expect(state.comment).toBeNull();
  });

  it('says that the throw-away server ended, rather than wait for it', async () => {
    await using container = await image();
    await writeFile(join(container.root, 'server.mjs'), 'process.exit(1)');
    await expect(forgejoInit.prepare(container.context({ secrets }))).rejects.toMatchObject({
      message: expect.stringContaining('server ended') as string,
    });
  });

  it('refuses a port that is none, and a configuration folder that is not mounted', async () => {
    await using container = await image();
    await expect(
      forgejoInit.prepare(container.context({ secrets, settings: { DEVSTACK_FORGEJO_SSH_PORT: 'x' } })),
    ).rejects.toMatchObject({ code: 'SETTING_INVALID' });
    await expect(
      forgejoInit.prepare({ ...container.context({ secrets }), configDirectory: '/nonexistent' }),
    ).rejects.toMatchObject({ code: 'SETTING_INVALID' });
  });
});
