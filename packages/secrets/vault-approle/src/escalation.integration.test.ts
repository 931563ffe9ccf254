import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type TestStack } from '../test/stack.ts';
import { bootstrapVault } from './index.ts';

// What somebody tries who has taken over a service: everything is asked from that service's own address, with its own login.

const wide = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

const attempts: readonly (readonly [what: string, call: Call])[] = [
  ['read the secret of another role', { method: 'GET', path: 'secret/data/services/postgres' }],
  ['write the secret of another role', { method: 'POST', path: 'secret/data/services/postgres', body: { data: { a: 'b' } } }],
  ['list who has secrets', { method: 'GET', path: 'secret/metadata/services?list=true' }],
  ['widen its own policy', { method: 'PUT', path: 'sys/policies/acl/redis', body: { policy: wide } }],
  ['make a policy', { method: 'PUT', path: 'sys/policies/acl/mine', body: { policy: wide } }],
  ['give its own role another policy', { method: 'POST', path: 'auth/approle/role/redis', body: { token_policies: ['operator'] } }],
  ['make a token', { method: 'POST', path: 'auth/token/create', body: { policies: ['redis'] } }],
  ['make an orphan of it', { method: 'POST', path: 'auth/token/create-orphan', body: {} }],
  ['list the tokens', { method: 'GET', path: 'auth/token/accessors?list=true' }],
  ['list the roles', { method: 'GET', path: 'auth/approle/role?list=true' }],
  ['have a login of another role issued', { method: 'POST', path: 'auth/approle/role/postgres/secret-id', body: {} }],
  ['have a login of its own issued', { method: 'POST', path: 'auth/approle/role/redis/secret-id', body: {} }],
  ['have a certificate of another service signed', { method: 'POST', path: 'pki/sign/postgres', body: { csr: '' } }],
  ['turn the audit log off', { method: 'DELETE', path: 'sys/audit/file' }],
  ['mount something', { method: 'POST', path: 'sys/mounts/mine', body: { type: 'kv' } }],
  ['seal Vault', { method: 'PUT', path: 'sys/seal' }],
  ['take a snapshot', { method: 'GET', path: 'sys/storage/raft/snapshot' }],
]; // prettier-ignore

describe('a service that was taken over', () => {
  let stack: TestStack;
  let token: string;

  const from = (address: string, call: Call & { readonly token?: string }) => stack.vault.requestFrom(address, call);
  const own = (): string => stack.addressOf('redis-1');
  const login = async (service: string) => {
    const read = (name: string) => readFile(join(stack.directory, service, name), 'utf8');
    return { role_id: (await read('role-id')).trim(), secret_id: (await read('secret-id')).trim() };
  };
  const logIn = async (address: string, body: unknown) =>
    from(address, { method: 'POST', path: 'auth/approle/login', body });

  beforeAll(async () => {
    stack = await startStack();
    await bootstrapVault(stack.options);
    for (const role of ['redis', 'postgres']) await stack.root.kvWrite(`services/${role}`, { password: `of ${role}` });
    const { status, body } = await logIn(own(), await login('redis-1'));
    expect(status).toBe(200);
    token = (body as { auth: { client_token: string } }).auth.client_token;
  });
  afterAll(async () => stack[Symbol.asyncDispose]());

  it('reads its own secret (control: the token is good)', async () => {
    const answer = await from(own(), { method: 'GET', path: 'secret/data/services/redis', token });
    expect(answer.status).toBe(200);
  });

  it.each(attempts)('cannot %s', async (_what, call) => {
    const answer = await from(own(), { ...call, token });
    expect(answer.status).toBe(403);
    expect(JSON.stringify(answer.body)).toContain('permission denied');
  });

  it('could with a wider policy (control: these are refused by the policy, not by chance)', async () => {
    const before = await stack.root.readPolicy('redis');
    await stack.root.writePolicy('redis', wide);
    try {
      for (const [what, call] of attempts.slice(0, 3)) {
        const answer = await from(own(), { ...call, token });
        expect(answer.status, what).toBeLessThan(300);
      }
    } finally {
      await stack.root.writePolicy('redis', before ?? '');
    }
  });

  it('gets nothing without a token, or with one that was made up', async () => {
    const call = { method: 'GET', path: 'secret/data/services/redis' };
    expect((await from(own(), call)).status).toBe(403);
    expect((await from(own(), { ...call, token: 'hvs.made-up' })).status).toBe(403);
  });

  it('cannot log in as another service, nor from another address', async () => {
    const redis = await login('redis-1');
    const postgres = await login('postgres');
    expect((await logIn(own(), postgres)).status).toBe(400);
    expect((await logIn(stack.addressOf('postgres'), redis)).status).toBe(400);
    expect((await logIn(own(), { ...redis, role_id: postgres.role_id })).status).toBe(400);
  });

  it('cannot use a secret_id that was destroyed, nor one that is over', async () => {
    const { role_id: roleId } = await login('redis-1');
    const issue = (ttlS: number) => stack.root.createSecretId({ role: 'redis', cidrs: [`${own()}/32`], ttlS });
    const destroyed = await issue(600);
    const body = { role_id: roleId, secret_id: destroyed.secretId.reveal() };
    expect((await logIn(own(), body)).status).toBe(200);
    await stack.root.destroySecretIdAccessor({ role: 'redis', accessor: destroyed.accessor });
    expect((await logIn(own(), body)).status).toBe(400);

    const short = await issue(1);
    const late = { role_id: roleId, secret_id: short.secretId.reveal() };
    // Vault may take it until it has tidied up; it is told to.
    for (let status = 200; status !== 400; status = (await logIn(own(), late)).status) {
      await stack.vault.requestFrom(own(), {
        method: 'POST',
        path: 'auth/approle/tidy/secret-id',
        token: stack.vault.rootToken.reveal(),
      });
      await sleep(250);
    }
  });
});
