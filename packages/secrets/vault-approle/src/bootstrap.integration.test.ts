import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type TestStack } from '../test/stack.ts';
import { bootstrapVault, rollbackBootstrap, validateBootstrap } from './index.ts';

describe('bootstrapVault', () => {
  let stack: TestStack;

  beforeAll(async () => {
    stack = await startStack();
  });
  afterAll(async () => stack[Symbol.asyncDispose]());

  it('sets up a new Vault and says what it did', async () => {
    const report = await bootstrapVault({ ...stack.options, auditPath: '/vault/audit/second.log' });
    expect(report.unchanged).toEqual([]);
    expect(report.changed).toEqual(
      expect.arrayContaining([
        'kv secret',
        'approle approle',
        'audit /vault/audit/second.log',
        'policy postgres',
        'role operator',
        'role-id redis-1',
        'secret-id redis-3',
      ]),
    );
    expect(report.consumers.every((consumer) => !consumer.reused)).toBe(true);
    const days = (Date.parse(report.consumers[0]?.secretIdExpiresAt ?? '') - Date.now()) / 86_400_000;
    expect(days).toBeCloseTo(30, 1);
  });

  it('changes nothing the second time, and makes no request that could', async () => {
    const before = (await stack.vault.auditLog()).length;
    const report = await bootstrapVault({ ...stack.options, auditPath: '/vault/audit/second.log' });
    expect(report.changed).toEqual([]);
    expect(report.consumers.every((consumer) => consumer.reused)).toBe(true);
    const requests = (await stack.vault.auditLog()).slice(before).filter((entry) => entry.type === 'request');
    const writing = requests.filter(
      ({ request }) =>
        request.operation !== 'read' && request.operation !== 'list' && !request.path.endsWith('/lookup'),
    );
    expect(writing).toEqual([]);
  });

  it('writes the files private, and no value of them into the audit log', async () => {
    const audit = await stack.vault.auditText();
    for (const { service } of stack.consumers) {
      for (const name of ['role-id', 'secret-id']) {
        const path = join(stack.directory, service, name);
        expect((await stat(path)).mode & 0o777).toBe(0o600);
        if (name === 'secret-id') expect(audit).not.toContain((await readFile(path, 'utf8')).trim());
      }
      expect((await stat(join(stack.directory, service))).mode & 0o777).toBe(0o700);
    }
  });

  it('binds each secret_id and its tokens to the address of its service', async () => {
    const login = await loginBody('redis-1');
    const from = (address: string) =>
      stack.vault.requestFrom(address, { method: 'POST', path: 'auth/approle/login', body: login });
    expect((await from(stack.addressOf('redis-2'))).status).toBe(400);
    const { status, body } = await from(stack.addressOf('redis-1'));
    expect(status).toBe(200);
    const { client_token: token, lease_duration: ttlS } = (
      body as { auth: { client_token: string; lease_duration: number } }
    ).auth;
    expect(ttlS).toBeLessThanOrEqual(300);
    const look = { method: 'GET', path: 'auth/token/lookup-self', token };
    expect((await stack.vault.requestFrom(stack.addressOf('redis-1'), look)).status).toBe(200);
    expect((await stack.vault.requestFrom(stack.addressOf('redis-2'), look)).status).toBe(403);
  });

  it('keeps the role-id, and mends what was changed behind its back', async () => {
    const roleId = await stack.root.readRoleId('mysql');
    await stack.root.writePolicy('mysql', 'path "secret/*" { capabilities = ["read"] }');
    await stack.root.writeRole('mysql', { tokenTtlS: 3600 });
    await stack.root.tuneAuth({ path: 'approle', maxLeaseTtlS: 3600 });
    await rm(join(stack.directory, 'mysql', 'role-id'));
    await writeFile(join(stack.directory, 'mongodb', 'secret-id'), '');
    await chmod(join(stack.directory, 'rabbitmq', 'secret-id'), 0o644);
    const problems = await validateBootstrap(stack.options);
    const expected = [
      'approle-tune approle',
      'policy mysql',
      'role mysql',
      'role-id mysql',
      'secret-id mongodb',
      'secret-id rabbitmq',
    ];
    expect(
      problems
        .map((problem) => problem.step)
        .filter((step) => !step.startsWith('prune'))
        .sort(),
    ).toEqual(expected.sort());
    expect(problems.find((problem) => problem.step === 'role mysql')?.message).toContain('tokenTtlS');
    const report = await bootstrapVault(stack.options);
    expect(report.changed.filter((step) => !step.startsWith('prune')).sort()).toEqual(expected.sort());
    expect(await stack.root.readRoleId('mysql')).toBe(roleId);
    expect((await readFile(join(stack.directory, 'mysql', 'role-id'), 'utf8')).trim()).toBe(roleId);
    expect(await validateBootstrap(stack.options)).toEqual([]);
    expect(await stack.root.listSecretIdAccessors('rabbitmq')).toHaveLength(1);
  });

  it('rewrites the role-id file when the role was made anew', async () => {
    await stack.root.deleteRole('forgejo');
    const report = await bootstrapVault(stack.options);
    expect(report.changed).toEqual(expect.arrayContaining(['role forgejo', 'role-id forgejo', 'secret-id forgejo']));
    expect((await readFile(join(stack.directory, 'forgejo', 'role-id'), 'utf8')).trim()).toBe(
      await stack.root.readRoleId('forgejo'),
    );
  });

  it('renews a secret_id when less than a third of its lifetime is left, and leaves the old one to its holder', async () => {
    const day = 86_400;
    const before = await bootstrapVault({ ...stack.options, secretIdTtlS: 60 * day });
    expect(before.changed.filter((step) => step.startsWith('secret-id'))).toEqual([]);
    const report = await bootstrapVault({ ...stack.options, secretIdTtlS: 120 * day });
    expect(report.changed.filter((step) => step.startsWith('secret-id'))).toHaveLength(stack.consumers.length);
    expect(await stack.root.listSecretIdAccessors('postgres')).toHaveLength(2);
    const later = () => new Date(Date.now() + 2 * 3_600_000);
    await bootstrapVault({ ...stack.options, now: later });
    expect(await stack.root.listSecretIdAccessors('postgres')).toHaveLength(1);
  });

  it('is not locked out by a service that keeps failing to log in', async () => {
    const good = await loginBody('redis-1');
    const login = (service: string, body: object) =>
      stack.vault.requestFrom(stack.addressOf(service), { method: 'POST', path: 'auth/approle/login', body });
    for (let attempt = 0; attempt < 6; attempt++)
      expect((await login('redis-2', { ...good, secret_id: 'wrong' })).status).toBe(400);
    expect((await login('redis-1', good)).status).toBe(200);
  });

  it('removes the secret_ids of a service that is gone, and nobody else’s', async () => {
    const foreign = await stack.root.createSecretId({
      role: 'redis',
      metadata: { owner: 'somebody' },
      cidrs: [`${stack.addressOf('redis-1')}/32`],
      ttlS: 3600,
    });
    const consumers = stack.consumers.filter(({ service }) => service !== 'redis-3');
    const report = await bootstrapVault({ ...stack.options, consumers });
    expect(report.changed).toEqual([expect.stringMatching(/^prune redis-3 /)]);
    expect(await stack.root.listSecretIdAccessors('redis')).toContain(foreign.accessor);
    await stack.root.destroySecretIdAccessor({ role: 'redis', accessor: foreign.accessor });
    await bootstrapVault(stack.options);
  });

  it('says when something else keeps changing the same Vault', async () => {
    const meddling = {
      ...stack.root,
      readPolicy: (name: string) => (name === 'redis' ? Promise.resolve('other') : stack.root.readPolicy(name)),
    };
    await expect(bootstrapVault({ ...stack.options, client: meddling })).rejects.toMatchObject({
      code: 'BOOTSTRAP_NOT_CONVERGED',
      details: { steps: ['policy redis'] },
    });
  });

  it('can be taken back, twice, with or without the secrets', async () => {
    await stack.root.writeRole('somebody-else', { tokenPolicies: ['default'] });
    const first = await rollbackBootstrap(stack.options);
    expect(first.removed).toEqual(expect.arrayContaining(['role postgres', 'policy postgres', 'files redis-1']));
    expect(await stack.root.listRoles()).toEqual(['somebody-else']);
    await stack.root.deleteRole('somebody-else');
    const second = await rollbackBootstrap({ ...stack.options, removeSecrets: true });
    expect(second.removed).toEqual(['approle approle', 'kv secret']);
    expect((await rollbackBootstrap({ ...stack.options, removeSecrets: true })).removed).toEqual([]);
    expect(Object.keys(await stack.root.listAuth())).toEqual(['token']);
    await bootstrapVault(stack.options);
    expect(await validateBootstrap(stack.options)).toEqual([]);
  });

  async function loginBody(service: string): Promise<Record<string, string>> {
    const [role_id, secret_id] = await Promise.all(
      ['role-id', 'secret-id'].map(async (name) =>
        (await readFile(join(stack.directory, service, name), 'utf8')).trim(),
      ),
    );
    return { role_id: role_id ?? '', secret_id: secret_id ?? '' };
  }
});
