import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type TestStack } from '../test/stack.ts';
import {
  approleStatus,
  approleStatusRows,
  bootstrapVault,
  loginWithFiles,
  type AppRoleStatus,
  type RenewalEvent,
} from './index.ts';

describe('approleStatus', () => {
  let stack: TestStack;
  const file = (service: string, name = 'secret-id') => join(stack.directory, service, name);

  beforeAll(async () => {
    stack = await startStack();
    await bootstrapVault(stack.options);
  });
  afterAll(async () => stack[Symbol.asyncDispose]());

  it('is all valid after a bootstrap, asked by the operator', async () => {
    await using session = await loginWithFiles({
      client: stack.anonymous,
      directory: join(stack.directory, 'operator'),
    });
    const status = await approleStatus({
      client: session.client,
      consumers: stack.consumers,
      directory: stack.directory,
    });
    expect(status).toHaveLength(17);
    for (const row of status) expect(row).toMatchObject({ roleIdMatches: true, secretId: 'valid', accessors: 1 });
    expect(approleStatusRows(status)[0]).toMatchObject({ service: 'backup', secretIds: '1', note: '' });
  });

  it('tells the faults of the files apart', async () => {
    const short = { service: 'short', role: 'postgres', addresses: [stack.network.gateway] };
    const moved = { service: 'moved', role: 'postgres', addresses: [stack.network.gateway] };
    const ghost = { service: 'ghost', role: 'no-such-role', addresses: [stack.network.gateway] };
    const role = stack.roles.find((candidate) => candidate.role === 'postgres');
    if (role === undefined) throw new Error('There is no role postgres.');
    const only = { ...stack.options, roles: [{ ...role, secretIdTtlS: 3 }], consumers: [short, moved] };
    await bootstrapVault(only);
    await mkdir(join(stack.directory, 'ghost'), { mode: 0o700 });
    for (const name of ['role-id', 'secret-id']) await copyFile(file('mysql', name), file('ghost', name));
    await bootstrapVault(stack.options);

    await rm(file('postgres', 'role-id'));
    await writeFile(file('pgbouncer'), '\n');
    await copyFile(file('redis-2'), file('redis-1'));
    await copyFile(file('mysql'), file('mongodb'));
    await copyFile(file('mysql', 'role-id'), file('mongodb', 'role-id'));
    await chmod(file('rabbitmq'), 0o644);
    await rm(file('forgejo'));
    await mkdir(file('forgejo'), { mode: 0o700 });
    const info = await stack.root.listSecretIdAccessors('backup');
    for (const accessor of info) await stack.root.destroySecretIdAccessor({ role: 'backup', accessor });
    const elsewhere = stack.consumers.map((one) =>
      one.service === 'migrate' ? { ...one, addresses: [stack.network.vaultAddress] } : one,
    );

    const consumers = [...elsewhere, short, ghost];
    const status = await approleStatus({
      client: stack.root,
      consumers,
      directory: stack.directory,
      now: () => new Date(Date.now() + 4000),
    });
    const of = (service: string): Partial<AppRoleStatus> => status.find((row) => row.service === service) ?? {};
    expect(of('postgres')).toMatchObject({ roleId: 'missing', roleIdMatches: false, secretId: 'valid' });
    expect(of('pgbouncer')).toMatchObject({ roleId: 'matches', secretId: 'empty' });
    expect(of('redis-1')).toMatchObject({
      secretId: 'foreign',
      note: 'it is a secret_id of redis-2; the bootstrap mends it',
    });
    expect(of('mongodb')).toMatchObject({ roleId: 'differs', secretId: 'foreign' });
    expect(of('mongodb').note).toContain('a secret_id of mysql');
    expect(of('rabbitmq')).toMatchObject({ secretId: 'too-open' });
    expect(of('forgejo')).toMatchObject({ secretId: 'unreadable' });
    expect(of('backup')).toMatchObject({ secretId: 'revoked', accessors: 0 });
    expect(of('migrate')).toMatchObject({ secretId: 'wrong-network' });
    expect(of('short')).toMatchObject({ secretId: 'expired' });
    expect(of('short').expiresAt).toBeDefined();
    expect(of('ghost')).toMatchObject({ roleId: 'no-role' });
    expect(of('operator')).toMatchObject({ secretId: 'valid' });
  });

  it('is all valid again after the bootstrap', async () => {
    await rm(file('forgejo'), { recursive: true });
    const report = await bootstrapVault(stack.options);
    expect(report.changed.filter((step) => !step.startsWith('prune')).sort()).toEqual(
      [
        'role-id mongodb',
        'role-id postgres',
        ...['backup', 'forgejo', 'mongodb', 'pgbouncer', 'rabbitmq', 'redis-1'].map(
          (service) => `secret-id ${service}`,
        ),
      ].sort(),
    );
    const status = await approleStatus({ client: stack.root, consumers: stack.consumers, directory: stack.directory });
    expect(status.filter((row) => row.secretId !== 'valid' || !row.roleIdMatches || row.accessors !== 1)).toEqual([]);
  });
});

describe('loginWithFiles', () => {
  let stack: TestStack;

  beforeAll(async () => {
    stack = await startStack();
    const roles = stack.roles.map((role) =>
      role.role === 'redis' ? { ...role, tokenTtlS: 2, tokenMaxTtlS: 6 } : role,
    );
    const consumers = [...stack.consumers, { service: 'client', role: 'redis', addresses: [stack.network.gateway] }];
    await bootstrapVault({ ...stack.options, roles, consumers });
  });
  afterAll(async () => stack[Symbol.asyncDispose]());

  const directory = (service: string) => join(stack.directory, service);

  it('gives a session with the policy of its role alone, and revokes its token at the end', async () => {
    let leaked;
    {
      await using session = await loginWithFiles({ client: stack.anonymous, directory: directory('operator') });
      expect(session.policies).toEqual(['operator']);
      expect(session.expiresAt.getTime() - Date.now()).toBeLessThanOrEqual(300_000);
      await session.client.lookupSelf();
      leaked = session.token;
    }
    await expect(stack.anonymous.withToken(leaked).lookupSelf()).rejects.toMatchObject({
      code: 'VAULT_PERMISSION_DENIED',
    });
  });

  it('renews, and logs in again when the token cannot live longer', async () => {
    await using session = await loginWithFiles({ client: stack.anonymous, directory: directory('client') });
    const first = session.token;
    const events: string[] = [];
    session.startRenewal({ onEvent: (event) => events.push(event.type === 'failed' ? event.code : event.type) });
    session.startRenewal();
    const deadline = Date.now() + 15_000;
    while (!events.includes('logged-in') || events.length < 3) {
      if (Date.now() > deadline) throw new Error(`No new login within 15 s: ${events.join(', ')}`);
      await sleep(50);
    }
    expect(events).toContain('renewed');
    expect(events.filter((event) => event !== 'renewed' && event !== 'logged-in')).toEqual([]);
    expect(session.token.reveal()).not.toBe(first.reveal());
    await session.client.lookupSelf();
    await session.revoke();
    session.startRenewal();
  });

  it('tells of a renewal that fails and goes on trying', async () => {
    await using session = await loginWithFiles({
      client: stack.anonymous.with({ retry: { deadlineMs: 0 } }),
      directory: directory('client'),
    });
    await rm(join(directory('client'), 'role-id'));
    await session.client.revokeSelf();
    const event = await new Promise<RenewalEvent>((resolve) => {
      session.startRenewal({ onEvent: resolve });
    });
    expect(event).toMatchObject({ type: 'failed', code: 'APPROLE_FILE_MISSING', retryInMs: 500 });
  });

  it('names a file that is missing, empty or too open', async () => {
    const login = (service: string) => loginWithFiles({ client: stack.anonymous, directory: directory(service) });
    await rm(join(directory('mysql'), 'secret-id'));
    await expect(login('mysql')).rejects.toMatchObject({
      code: 'APPROLE_FILE_MISSING',
      details: { path: join(directory('mysql'), 'secret-id') },
    });
    await writeFile(join(directory('backup'), 'secret-id'), '');
    await expect(login('backup')).rejects.toMatchObject({ code: 'APPROLE_FILE_EMPTY' });
    await chmod(join(directory('migrate'), 'secret-id'), 0o640);
    await expect(login('migrate')).rejects.toMatchObject({ code: 'FILE_TOO_OPEN' });
    await expect(login('postgres')).rejects.toMatchObject({ code: 'VAULT_BAD_CREDENTIALS' });
  });

  it('tries again with files that changed while it asked', async () => {
    const good = directory('operator');
    const other = directory('twice');
    await mkdir(other, { mode: 0o700 });
    await copyFile(join(good, 'role-id'), join(other, 'role-id'));
    await writeFile(join(other, 'secret-id'), 'outdated', { mode: 0o600 });
    const client = {
      ...stack.anonymous,
      loginAppRole: async (files: Parameters<typeof stack.anonymous.loginAppRole>[0]) => {
        await copyFile(join(good, 'secret-id'), join(other, 'secret-id'));
        return stack.anonymous.loginAppRole(files);
      },
    };
    await using session = await loginWithFiles({ client, directory: other });
    expect(session.policies).toEqual(['operator']);
  });

  it('uses a delivered token when told, and leaves it alive', async () => {
    const { token } = await stack.root.createToken({ policies: ['postgres'], ttlS: 60, noDefaultPolicy: true });
    await mkdir(directory('fallback'), { mode: 0o700 });
    await writeFile(join(directory('fallback'), 'token'), token.reveal(), { mode: 0o600 });
    {
      await using session = await loginWithFiles({
        client: stack.anonymous,
        directory: directory('fallback'),
        method: 'token',
      });
      expect(session.policies).toEqual(['postgres']);
    }
    await stack.anonymous.withToken(token).lookupSelf();
  });
});
