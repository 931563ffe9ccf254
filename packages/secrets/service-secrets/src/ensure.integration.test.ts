import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureServiceSecrets, readServiceSecret, rotateServiceSecret, serviceSecretDefinitions } from './index.ts';

describe('service secrets in a real Vault', () => {
  let vault: VaultContainer;
  let client: VaultClient;
  const roles = serviceSecretDefinitions.map((definition) => definition.role);

  beforeAll(async () => {
    vault = await startVault();
    client = createVaultClient(vault.clientOptions);
    await client.enableMount({ path: 'secret', type: 'kv', options: { version: '2' } });
  });
  afterAll(async () => vault.remove());

  it('are made once, by two who do it at the same time, and no value reaches the audit log', async () => {
    const reports = await Promise.all([
      ensureServiceSecrets({ client, roles }),
      ensureServiceSecrets({ client, roles }),
    ]);
    const created = reports.flatMap((report) => report.created);
    expect(created).toHaveLength(17);
    expect(new Set(created).size).toBe(17);
    const audit = await vault.auditText();
    for (const role of roles) {
      const secret = await readServiceSecret(client, role);
      const generated = Object.entries(secret ?? {}).filter(([field]) => /password|secret|token|cookie/.test(field));
      expect(generated.length).toBeGreaterThan(0);
      for (const [, value] of generated) expect(audit.includes(value.reveal())).toBe(false);
    }
  });

  it('are made again after their last version was deleted, and rotated with their verifiers', async () => {
    const before = (await readServiceSecret(client, 'redis'))?.['password']?.reveal();
    await client.request('DELETE', 'secret/data/services/redis');
    expect((await ensureServiceSecrets({ client, roles })).created).toEqual(['services/redis']);
    expect((await readServiceSecret(client, 'redis'))?.['password']?.reveal()).not.toBe(before);
    expect((await rotateServiceSecret({ client, role: 'redis-exporter' })).servers).toEqual(['redis']);
    expect((await ensureServiceSecrets({ client, roles })).kept).toHaveLength(17);
  });
});
