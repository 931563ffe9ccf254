import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { secret } from '@devstack-core/redaction';
import { describe, expect, it } from 'vitest';
import { fakeContainer, wrap } from '../test/fake-container.ts';
import { rabbitmqInit, renderDefinitions } from './rabbitmq.ts';

const secrets = { username: 'devstack', password: 'p1-secret', erlang_cookie: 'COOKIESECRET' };
const hash = Buffer.alloc(36, 7).toString('base64');

function client(grants: string, verifier = hash) {
  return { username: 'reference-api', verifier: secret(verifier), role: 'reference-api', grants };
}

function definitions(clients: ReturnType<typeof client>[], former: readonly string[] = []) {
  const context = { role: 'rabbitmq', secrets: wrap(secrets), clients };
  const text = renderDefinitions(context, secret('h1-secret'), former).reveal();
  expect(text).not.toMatch(/-secret/);
  return JSON.parse(text) as {
    users: { name: string; password_hash: string; tags: string[] }[];
    permissions: { user: string; configure: string }[];
  };
}

describe('definitions', () => {
  it('hold hashes; an application may use everything in /, a monitor reads figures alone', () => {
    const { users, permissions } = definitions([client('application')]);
    expect(users.map((user) => user.name)).toEqual(['devstack', 'devstack-health', 'reference-api']);
    expect(permissions.map((entry) => entry.user)).toContain('reference-api');
    const monitor = definitions([client('monitor')]);
    expect(monitor.users.at(-1)).toMatchObject({ tags: ['monitoring'], password_hash: hash });
    expect(monitor.permissions.map((entry) => entry.user)).not.toContain('reference-api');
  });

  it('leave a user of an earlier start no password and no right', () => {
    const { users, permissions } = definitions([], ['devstack', 'gone']);
    expect(users.at(-1)).toMatchObject({ name: 'gone', password_hash: '' });
    expect(permissions.at(-1)).toMatchObject({ user: 'gone', configure: '^$' });
  });

  it.each([client('everything'), client('application', 'plain')])('refuse a client that is not usable', (wrong) => {
    expect(() => definitions([wrong])).toThrow(expect.objectContaining({ code: 'CLIENT_INVALID' }));
  });
});

describe('rabbitmq', () => {
  it('gets its cookie as a file that only its user can read, and no secret in arguments or variables', async () => {
    await using container = await fakeContainer('rabbitmq');
    await container.program('rabbitmq-server');
    const prepared = await rabbitmqInit.prepare(container.context({ secrets }));
    const cookie = join(container.root, 'credentials/.erlang.cookie');
    expect((await stat(cookie)).mode & 0o777).toBe(0o400);
    expect(await readFile(cookie, 'utf8')).toBe('COOKIESECRET');
    expect(JSON.stringify(prepared)).not.toMatch(/secret/i);
    expect(prepared.env['HOME']).toBe(join(container.root, 'credentials'));
  });
});
