import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createVaultClient } from '@devstack-core/vault-client';
import { startVault } from '@devstack-core/vault-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  checkSnapshot,
  ensureAuditDevice,
  initializeVault,
  readRootToken,
  restoreVault,
  sealState,
  snapshotVault,
  unsealVault,
} from './index.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vault-lifecycle-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('unsealing', () => {
  it('tells the states apart, waits until raft is active, and repeats itself after a restart', async () => {
    await using vault = await startVault({ state: 'new', storage: 'raft' });
    const directory = join(root, 'states');
    const client = createVaultClient(vault.clientOptions);
    expect(await sealState(client)).toMatchObject({ state: 'new', storageType: 'raft' });
    await expect(unsealVault({ client, directory })).rejects.toMatchObject({ code: 'VAULT_UNINITIALIZED' });
    await initializeVault({ client, directory });
    expect(await sealState(client)).toMatchObject({ state: 'sealed', shares: 5, threshold: 3, progress: 0 });

    const events: string[] = [];
    expect(await unsealVault({ client, directory, onEvent: ({ type }) => void events.push(type) })).toEqual({
      outcome: 'unsealed',
    });
    expect(events).toEqual(['unseal-progress', 'unseal-progress', 'unseal-progress', 'unsealed', 'active']);
    expect(await sealState(client)).toMatchObject({
      state: 'unsealed',
      clusterId: expect.stringMatching(/-/) as string,
    });

    await vault.restart();
    // Keys that an earlier attempt left in Vault's count do no harm.
    const { keys } = JSON.parse(await readFile(join(directory, 'keys.json'), 'utf8')) as { keys: [string, string] };
    const { Secret } = await import('@devstack-core/redaction');
    await client.unseal(new Secret(keys[0]));
    expect(await unsealVault({ client, directory })).toEqual({ outcome: 'unsealed' });
    const asRoot = client.withToken(await readRootToken({ directory }));
    expect(await asRoot.lookupSelf()).toMatchObject({ policies: ['root'] });
  });

  it('has every request audited, once', async () => {
    await using vault = await startVault({ audit: false });
    const client = createVaultClient(vault.clientOptions);
    expect(await ensureAuditDevice({ client })).toEqual({ outcome: 'enabled' });
    expect(await ensureAuditDevice({ client })).toEqual({ outcome: 'already' });
    await client.lookupSelf();
    expect((await vault.auditLog()).map(({ request }) => request.path)).toContain('auth/token/lookup-self');
    await expect(ensureAuditDevice({ client, path: '/vault/audit/other.log' })).rejects.toMatchObject({
      code: 'VAULT_AUDIT_FAILED',
      message: expect.stringContaining('elsewhere') as string,
    });
    expect(await ensureAuditDevice({ client, path: '/vault/audit/other.log', name: 'second' })).toEqual({
      outcome: 'enabled',
    });
    await expect(ensureAuditDevice({ client, path: '/nowhere/audit.log', name: 'third' })).rejects.toMatchObject({
      code: 'VAULT_AUDIT_FAILED',
    });
    await expect(ensureAuditDevice({ client: client.withToken(undefined) })).rejects.toMatchObject({
      code: 'VAULT_PERMISSION_DENIED',
    });
  });
});

describe('a snapshot', () => {
  it('brings everything back, in the same Vault and in a new one', async () => {
    await using vault = await startVault({ state: 'new', storage: 'raft' });
    const directory = join(root, 'snapshot');
    const anonymous = createVaultClient(vault.clientOptions);
    await initializeVault({ client: anonymous, directory, shares: 3, threshold: 2 });
    await unsealVault({ client: anonymous, directory });
    const client = anonymous.withToken(await readRootToken({ directory }));
    await client.enableMount({ path: 'secret', type: 'kv', options: { version: '2' } });
    await client.kvWrite('a', { x: 'before' });

    const file = join(directory, 'vault.snap');
    const snapshot = await snapshotVault({ client, file });
    expect(snapshot).toMatchObject({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      sizeBytes: (await stat(file)).size,
    });
    expect(snapshot.raftIndex).toBeGreaterThan(1);
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    await client.kvWrite('a', { x: 'after' });
    expect(await restoreVault({ client, data: await readFile(file) })).toEqual({ sealed: false });
    expect((await client.kvRead('a'))?.data['x']?.reveal()).toBe('before');

    await using fresh = await startVault({ state: 'new', storage: 'raft' });
    const throwaway = join(root, 'throwaway');
    const target = createVaultClient(fresh.clientOptions);
    await initializeVault({ client: target, directory: throwaway, shares: 3, threshold: 2 });
    await unsealVault({ client: target, directory: throwaway });
    const asThrowaway = target.withToken(await readRootToken({ directory: throwaway }));
    // The control: without force Vault refuses a snapshot that its own keys cannot open.
    await expect(restoreVault({ client: asThrowaway, data: snapshot.data })).rejects.toMatchObject({
      code: 'VAULT_SNAPSHOT_FOREIGN',
    });
    expect(await restoreVault({ client: asThrowaway, data: snapshot.data, force: true })).toEqual({ sealed: true });
    // The keys of the old Vault are the right ones now.
    await unsealVault({ client: target, directory });
    expect((await target.withToken(await readRootToken({ directory })).kvRead('a'))?.data['x']?.reveal()).toBe(
      'before',
    );
    await expect(unsealVault({ client: target, directory: throwaway })).rejects.toMatchObject({
      code: 'VAULT_KEYS_FOREIGN',
    });

    for (const bad of [
      new Uint8Array(0),
      snapshot.data.subarray(0, -50),
      snapshot.data.map((byte, at) => (at === 200 ? byte ^ 1 : byte)),
      gzipSync('no tar'),
    ]) {
      await expect(restoreVault({ client, data: bad, force: true })).rejects.toMatchObject({
        code: 'VAULT_SNAPSHOT_DAMAGED',
      });
      expect(() => checkSnapshot(bad)).toThrow(expect.objectContaining({ code: 'VAULT_SNAPSHOT_DAMAGED' }));
    }
    expect((await client.kvRead('a'))?.data['x']?.reveal()).toBe('before');
  });
});
