import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type TestStack } from '../test/stack.ts';
import { bootstrapVault, leastPrivilegeMatrix, matrixRows } from './index.ts';

describe('leastPrivilegeMatrix', () => {
  let stack: TestStack;

  beforeAll(async () => {
    stack = await startStack();
    await bootstrapVault(stack.options);
    await stack.root.kvWrite('services/postgres', { password: 'of-postgres' });
    await stack.root.kvWrite('private', { value: 'of nobody' });
  });
  afterAll(async () => stack[Symbol.asyncDispose]());

  it('finds every role of this repository confined to its own paths, but for the named exceptions', async () => {
    const matrix = await leastPrivilegeMatrix({
      client: stack.root,
      roles: stack.roles,
      paths: ['secret/data/private'],
    });
    expect(matrix.violations).toEqual([]);
    expect([...new Set(matrix.exceptions.map((cell) => cell.role))].sort()).toEqual(['backup', 'migrate', 'operator']);
    expect(matrix.rows.length).toBeGreaterThan(15 * 14 * 10);
    const denied = matrix.rows.filter((cell) => cell.role === 'redis' && cell.target === 'postgres');
    expect(denied.length).toBeGreaterThanOrEqual(10);
    expect(new Set(denied.map((cell) => cell.observed))).toEqual(new Set(['denied']));
    const rows = matrixRows(matrix);
    expect(rows).toContainEqual({ role: 'redis', target: 'redis', read: 'allowed', list: 'denied', write: 'denied' });
    expect(rows).toContainEqual({ role: 'redis', target: 'postgres', read: 'denied', list: 'denied', write: 'denied' });
    expect(rows).toContainEqual({
      role: 'migrate',
      target: 'postgres',
      read: 'exception',
      list: 'denied',
      write: 'denied',
    });
    expect(rows).toContainEqual({ role: 'redis', target: 'own policy', read: 'denied', list: '', write: 'denied' });
  });

  it('finds a policy that is too wide (control), and changes nothing by trying', async () => {
    await stack.root.writePolicy(
      'redis',
      'path "secret/*" { capabilities = ["create", "read", "update", "list"] }\npath "sys/policies/acl/*" { capabilities = ["update"] }\npath "auth/token/*" { capabilities = ["update", "read"] }\npath "auth/approle/role/*" { capabilities = ["update"] }',
    );
    try {
      const matrix = await leastPrivilegeMatrix({
        client: stack.root,
        roles: ['redis', 'postgres'],
        paths: ['secret/data/private'],
      });
      expect(new Set(matrix.violations.map((cell) => cell.role))).toEqual(new Set(['redis']));
      expect(matrix.violations.map((cell) => `${cell.operation} ${cell.path}`)).toEqual(
        expect.arrayContaining([
          'read secret/data/services/postgres',
          'list secret/metadata/services',
          'write secret/data/services/postgres',
          'write auth/approle/role/postgres/secret-id',
          'write sys/policies/acl/redis',
          'read secret/data/private',
          'write secret/data/private',
        ]),
      );
      expect(matrixRows(matrix)).toContainEqual({
        role: 'redis',
        target: 'postgres',
        read: 'VIOLATION',
        list: 'VIOLATION',
        write: 'VIOLATION',
      });
      const kept = await stack.root.kvRead('services/postgres');
      expect([kept?.version, kept?.data['password']?.reveal()]).toEqual([1, 'of-postgres']);
      expect(await stack.root.listSecretIdAccessors('postgres')).toHaveLength(1);
      expect(await stack.root.readPolicy('redis')).toContain('sys/policies');
    } finally {
      await bootstrapVault(stack.options);
    }
  });

  it('finds a role that cannot read its own secret', async () => {
    await stack.root.writePolicy('redis', 'path "auth/token/*" { capabilities = ["read", "update"] }');
    const matrix = await leastPrivilegeMatrix({ client: stack.root, roles: ['redis'] });
    expect(matrix.violations).toContainEqual(
      expect.objectContaining({
        path: 'secret/data/services/redis',
        observed: 'denied',
        note: 'the role cannot do what it is for',
      }),
    );
    await bootstrapVault(stack.options);
  });

  it('can try with clients that are logged in otherwise', async () => {
    const { token } = await stack.root.createToken({ policies: ['mysql'], noDefaultPolicy: true, ttlS: 60 });
    const matrix = await leastPrivilegeMatrix({
      client: stack.root,
      clientFor: () => Promise.resolve(stack.anonymous.withToken(token)),
      roles: ['mysql', 'redis'].slice(0, 1),
    });
    expect(matrix.violations).toEqual([]);
    expect(matrix.rows.find((cell) => cell.path === 'sys/seal')?.observed).toBe('unclear');
  });
});
