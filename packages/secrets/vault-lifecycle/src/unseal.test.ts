import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SealState } from '@devstack-core/vault-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeClient, status, vaultError } from '../test/fake-client.ts';
import { ensureAuditDevice, sealState, unsealVault } from './index.ts';

let directory: string;
const keys = {
  version: 1,
  shares: 5,
  threshold: 3,
  keys: ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(64)),
  created: 'then',
};
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vault-lifecycle-'));
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'keys.json'), JSON.stringify(keys), { mode: 0o600 });
});
afterEach(() => rm(directory, { recursive: true }));

const active: SealState = { initialized: true, sealed: false, standby: false, version: '1' };

describe('unsealVault', () => {
  it('gives as many keys as are needed, forgets those of an earlier attempt first, and learns the name of the cluster', async () => {
    const given: [string, boolean | undefined][] = [];
    let sealed = true;
    const client = fakeClient({
      sealStatus: () => Promise.resolve(status(sealed ? {} : { sealed, clusterId: 'the-cluster' })),
      unseal(key, options) {
        given.push([key.reveal().slice(0, 1), options?.reset]);
        sealed = given.length < 3;
        return Promise.resolve(status({ sealed }));
      },
      health: () => Promise.resolve(active),
    });
    expect(await unsealVault({ client, directory })).toEqual({ outcome: 'unsealed' });
    expect(given).toEqual([['a', true], ['b', false], ['c', false]]); // prettier-ignore
    expect(JSON.parse(await readFile(join(directory, 'keys.json'), 'utf8'))).toEqual({
      ...keys,
      clusterId: 'the-cluster',
    });
    await expect(
      unsealVault({
        client: fakeClient({ sealStatus: () => Promise.resolve(status({ sealed: false, clusterId: 'another' })) }),
        directory,
      }),
    ).rejects.toMatchObject({
      code: 'VAULT_KEYS_FOREIGN',
    });
  });

  it.each([
    ['still sealed', () => Promise.resolve(status()), 'VAULT_KEYS_FOREIGN'],
    ['a key refused', () => Promise.reject(vaultError('VAULT_BAD_CREDENTIALS')), 'VAULT_KEYS_FOREIGN'],
    ['unreachable', () => Promise.reject(vaultError('VAULT_UNREACHABLE')), 'VAULT_UNREACHABLE'],
  ])('%s', async (_name, unseal, code) => {
    const client = fakeClient({ sealStatus: () => Promise.resolve(status()), unseal });
    await expect(unsealVault({ client, directory })).rejects.toMatchObject({ code });
  });

  it.each([
    [{ ...active, standby: true }, 'standby'],
    [{ ...active, sealed: true }, 'sealed again'],
  ])('gives up a Vault that does not become active', async (health, text) => {
    const client = fakeClient({
      sealStatus: () => Promise.resolve(status({ sealed: false })),
      health: () => Promise.resolve(health),
    });
    await expect(unsealVault({ client, directory, activeWithinMs: 50 })).rejects.toMatchObject({
      code: 'VAULT_NOT_ACTIVE',
      message: expect.stringContaining(text) as string,
    });
  });

  it('needs keys for a sealed Vault, good ones of the right number, and a Vault that is initialised', async () => {
    const client = fakeClient({ sealStatus: () => Promise.resolve(status({ shares: 3, threshold: 2 })) });
    await expect(unsealVault({ client, directory })).rejects.toMatchObject({
      code: 'VAULT_KEYS_FOREIGN',
      message: expect.stringContaining('3 of 5') as string,
    });
    for (const content of [
      '{',
      '[]',
      '{"version":1}',
      JSON.stringify({ ...keys, keys: ['a'] }),
      JSON.stringify({ ...keys, keys: ['x', 'y', 'z'] }),
    ]) {
      await writeFile(join(directory, 'keys.json'), content);
      await expect(unsealVault({ client, directory })).rejects.toMatchObject({ code: 'VAULT_KEYS_DAMAGED' });
    }
    await rm(join(directory, 'keys.json'));
    await expect(unsealVault({ client, directory })).rejects.toMatchObject({ code: 'VAULT_KEYS_LOST' });
    await writeFile(join(directory, 'keys.json'), JSON.stringify(keys), { mode: 0o644 });
    await expect(unsealVault({ client, directory })).rejects.toMatchObject({ code: 'FILE_TOO_OPEN' });
    const fresh = fakeClient({ sealStatus: () => Promise.resolve(status({ initialized: false })) });
    await expect(unsealVault({ client: fresh, directory })).rejects.toMatchObject({ code: 'VAULT_UNINITIALIZED' });
  });

  it('needs no keys for a Vault that is open', async () => {
    await rm(join(directory, 'keys.json'));
    const client = fakeClient({
      sealStatus: () => Promise.resolve(status({ sealed: false })),
      health: () => Promise.resolve(active),
    });
    expect(await unsealVault({ client, directory })).toEqual({ outcome: 'already' });
  });
});

describe('sealState', () => {
  it.each([
    [{ initialized: false, sealed: true }, 'new'],
    [{ sealed: true }, 'sealed'],
    [{ sealed: false }, 'unsealed'],
  ])('%j is %s', async (changes, state) => {
    expect(await sealState(fakeClient({ sealStatus: () => Promise.resolve(status(changes)) }))).toMatchObject({
      state,
    });
  });
});

describe('ensureAuditDevice', () => {
  const device = {
    type: 'file',
    description: '',
    options: { file_path: '/vault/audit/audit.log' },
    defaultLeaseTtlS: 0,
    maxLeaseTtlS: 0,
  };

  it('accepts that another process was faster', async () => {
    let asked = 0;
    const client = fakeClient({
      listAudit: () => Promise.resolve(asked++ === 0 ? {} : { file: device }),
      enableAudit: () => Promise.resolve(false),
    });
    expect(await ensureAuditDevice({ client })).toEqual({ outcome: 'already' });
  });

  it('enables the device once, readable for Vault alone', async () => {
    const enabled: unknown[] = [];
    const client = fakeClient({
      listAudit: () => Promise.resolve({}),
      enableAudit(options) {
        enabled.push(options);
        return Promise.resolve(true);
      },
    });
    expect(await ensureAuditDevice({ client })).toEqual({ outcome: 'enabled' });
    expect(enabled).toEqual([
      { path: 'file', type: 'file', options: { file_path: '/vault/audit/audit.log', mode: '0600' } },
    ]);
    expect(
      await ensureAuditDevice({ client: fakeClient({ listAudit: () => Promise.resolve({ other: device }) }) }),
    ).toEqual({ outcome: 'already' });
  });

  it.each([
    ['refused', () => Promise.reject(vaultError('VAULT_REQUEST_FAILED')), 'VAULT_REQUEST_FAILED'],
    ['taken by another device', () => Promise.resolve(false), 'called "file" writes elsewhere'],
  ])('says that it is %s', async (_name, enableAudit, text) => {
    const client = fakeClient({ listAudit: () => Promise.resolve({}), enableAudit });
    await expect(ensureAuditDevice({ client })).rejects.toMatchObject({
      code: 'VAULT_AUDIT_FAILED',
      message: expect.stringContaining(text) as string,
    });
  });

  it('passes on what is not about the device', async () => {
    const client = fakeClient({
      listAudit: () => Promise.resolve({}),
      enableAudit: () => Promise.reject(vaultError('VAULT_SEALED')),
    });
    await expect(ensureAuditDevice({ client })).rejects.toMatchObject({ code: 'VAULT_SEALED' });
  });
});
