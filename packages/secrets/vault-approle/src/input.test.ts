import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { policiesDirectory } from '../test/stack.ts';
import { checkInput } from './check-input.ts';
import { mapLimited } from './each.ts';
import { loadPolicies, matrixRows, type Consumer, type RoleDefinition } from './index.ts';
import { readLoginFiles, readWord, removeLoginFiles, writeLoginFile, writeRecord } from './login-files.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'approle-input-'));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

describe('checkInput', () => {
  const role: RoleDefinition = { role: 'redis', policy: 'path "a" {}', boundCidrs: ['172.20.2.0/24', 'fd00::/64'] };
  const consumer: Consumer = { service: 'redis-1', role: 'redis', addresses: ['172.20.2.21', 'fd00::1'] };

  it('takes what is right', () => {
    expect(() => {
      checkInput({ roles: [role], consumers: [consumer] });
    }).not.toThrow();
  });

  it.each<[string, RoleDefinition[], Consumer[]]>([
    ['is there twice', [role, role], []],
    ['is not a name', [{ ...role, role: 'Redis!' }], []],
    ['of Vault’s own'.replace('’', "'"), [{ ...role, role: 'default' }], []],
    ['has no policy', [{ ...role, policy: ' ' }], []],
    ['is bound to no network', [{ ...role, boundCidrs: [] }], []],
    ['"172.20.2.0/33" is not a network', [{ ...role, boundCidrs: ['172.20.2.0/33'] }], []],
    ['longer than 300 s', [{ ...role, tokenTtlS: 301 }], []],
    ['which is not defined', [role], [{ ...consumer, role: 'mysql' }]],
    ['service "redis-1" is there twice', [role], [consumer, consumer]],
    ['not a name that a folder can have', [role], [{ ...consumer, service: '../redis' }]],
    ['is bound to no address', [role], [{ ...consumer, addresses: [] }]],
    ['"somewhere" is not an address', [role], [{ ...consumer, addresses: ['somewhere'] }]],
    ['wider than one address', [role], [{ ...consumer, addresses: ['172.20.2.0/24'] }]],
    ['outside the networks', [role], [{ ...consumer, addresses: ['172.20.3.21'] }]],
  ])('refuses what %s', (words, roles, consumers) => {
    const check = () => {
      checkInput({ roles, consumers });
    };
    expect(check).toThrow(expect.objectContaining({ code: 'BOOTSTRAP_INPUT_INVALID' }) as Error);
    expect(check).toThrow(words);
  });
});

describe('loadPolicies', () => {
  it('reads the fifteen roles of this repository', async () => {
    const policies = await loadPolicies(policiesDirectory);
    expect(policies).toHaveLength(15);
    expect(policies.find((policy) => policy.role === 'postgres-exporter')?.policy).toContain(
      'secret/data/services/postgres-exporter',
    );
  });

  it('refuses a folder without one, and an empty one', async () => {
    await expect(loadPolicies(join(directory, 'nowhere'))).rejects.toMatchObject({ code: 'POLICIES_INVALID' });
    await writeFile(join(directory, 'x-policy.hcl'), '\n');
    await expect(loadPolicies(directory)).rejects.toMatchObject({
      code: 'POLICIES_INVALID',
      details: { path: join(directory, 'x-policy.hcl') },
    });
  });
});

describe('mapLimited', () => {
  it('keeps the order and the limit', async () => {
    let running = 0;
    let most = 0;
    const results = await mapLimited([5, 1, 3, 2], 2, async (item) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, item));
      running--;
      return item * 2;
    });
    expect([results, most]).toEqual([[10, 2, 6, 4], 2]);
  });

  it('starts nothing more after a failure, and waits for what runs', async () => {
    const done: number[] = [];
    const work = mapLimited([1, 2, 3, 4], 2, async (item) => {
      if (item === 1) throw new Error('first');
      await new Promise((resolve) => setTimeout(resolve, 5));
      done.push(item);
    });
    await expect(work).rejects.toThrow('first');
    expect(done).toEqual([2]);
  });
});

describe('login files', () => {
  it('are written private, read as one word, and removed', async () => {
    const folder = join(directory, 'redis-1');
    await writeLoginFile(folder, 'secret-id', new Secret('one'));
    await writeRecord(folder, { accessor: 'a', expiresAt: 'never', superseded: [] });
    expect((await readWord(join(folder, 'secret-id'))).reveal()).toBe('one');
    expect(await readLoginFiles(folder)).toMatchObject({
      roleId: { state: 'missing' },
      secretId: { state: 'there' },
      issued: { accessor: 'a', expiresAt: 'never', superseded: [] },
    });
    expect(await removeLoginFiles(folder)).toBe(true);
    expect(await removeLoginFiles(folder)).toBe(false);
    expect(await removeLoginFiles(join(directory, 'nobody'))).toBe(false);
  });

  it('do not fail on a record that is not one', async () => {
    await writeFile(join(directory, 'issued.json'), '{"superseded": 1}');
    expect((await readLoginFiles(directory)).issued).toEqual({ superseded: [] });
    await writeFile(join(directory, 'issued.json'), '{');
    expect((await readLoginFiles(directory)).issued).toEqual({ superseded: [] });
  });

  it('that cannot be read keep the reason', async () => {
    await mkdir(join(directory, 'secret-id'), { mode: 0o700 });
    await symlink('nowhere', join(directory, 'role-id'));
    expect(await readLoginFiles(directory)).toMatchObject({
      roleId: { state: 'missing' },
      secretId: { state: 'unreadable' },
    });
    await expect(readWord(join(directory, 'secret-id'))).rejects.toMatchObject({ code: 'FILE_FAILED' });
  });
});

describe('matrixRows', () => {
  it('has a row for each role and owner, and an empty cell for what was not tried', () => {
    const cell = {
      role: 'a',
      target: 'b',
      path: 'p',
      operation: 'read',
      expected: 'denied',
      observed: 'denied',
      capabilities: [],
      verdict: 'as-expected',
    } as const;
    expect(
      matrixRows({ rows: [cell, { ...cell, operation: 'write', observed: 'allowed', verdict: 'violation' }] }),
    ).toEqual([{ role: 'a', target: 'b', read: 'denied', list: '', write: 'VIOLATION' }]);
  });
});
