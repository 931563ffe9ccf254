import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureAuditDevice, initializeVault, readRootToken, sealState, snapshotVault, unsealVault } from './index.ts';

const configuration = join(import.meta.dirname, '../../../../configs/vault');
const services = ['postgres', 'pgbouncer', 'mysql', 'mongodb', 'redis', 'rabbitmq', 'forgejo', 'reference-api', 'postgres-exporter', 'mysql-exporter', 'mongodb-exporter', 'redis-exporter']; // prettier-ignore
const roles = [...services, 'backup', 'migrate', 'operator'];

describe("the stack's own server configuration and policies", () => {
  let vault: VaultContainer;
  let client: VaultClient;
  let directory: string;
  const policies = new Map<string, string>();

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vault-configuration-'));
    for (const role of roles)
      policies.set(role, await readFile(join(configuration, 'policies', `${role}-policy.hcl`), 'utf8'));
    vault = await startVault({ state: 'new', configDirectory: join(configuration, 'config') });
    const anonymous = createVaultClient({ address: vault.address });
    await initializeVault({ client: anonymous, directory, shares: 1, threshold: 1 });
    await unsealVault({ client: anonymous, directory });
    client = anonymous.withToken(await readRootToken({ directory }));
    await ensureAuditDevice({ client });
    await client.enableMount({ path: 'secret', type: 'kv', options: { version: '2' } });
    await client.enableAuth({ path: 'approle', type: 'approle' });
    for (const [role, policy] of policies) {
      await client.writePolicy(role, policy);
      await client.writeRole(role, { tokenPolicies: [role], tokenNoDefaultPolicy: true, tokenTtlS: 300 });
      await client.kvWrite(`services/${role}`, { password: `of ${role}` });
      await client.kvWrite(`services/${role}/clients`, { user: 'verifier' });
    }
  });
  afterAll(async () => {
    await vault.remove();
    await rm(directory, { recursive: true });
  });

  const as = async (role: string): Promise<VaultClient> => {
    const { token } = await client.createToken({ policies: [role], noDefaultPolicy: true, ttlS: 300 });
    return client.withToken(token);
  };

  it('runs on raft without a capability and with a read-only root', async () => {
    expect(await sealState(client)).toMatchObject({ state: 'unsealed', storageType: 'raft' });
    expect((await client.health()).clusterName).toBe('devstack');
    expect(await vault.exec('sh', '-c', 'grep CapEff /proc/1/status; id -u; touch /x 2>&1 || true')).toMatch(
      /CapEff:\s0+\n8200\n.*Read-only/,
    );
    expect((await vault.auditLog()).length).toBeGreaterThan(0);
  });

  it('has one policy per role, with exact paths only', async () => {
    expect((await readdir(join(configuration, 'policies'))).sort()).toEqual(
      roles.map((role) => `${role}-policy.hcl`).sort(),
    );
    for (const [role, policy] of policies) {
      const paths = [...policy.matchAll(/^path "([^"]+)"/gm)].map((match) => match[1] ?? '');
      expect(
        paths.filter((path) => /[*+]/.test(path)),
        role,
      ).toEqual([]);
      expect(new Set(paths).size, role).toBe(paths.length);
      expect(policy, role).not.toMatch(/sudo/);
    }
  });

  const extra = new Map([
    ['backup', ['postgres', 'mysql', 'mongodb', 'redis', 'rabbitmq', 'forgejo']],
    ['migrate', ['postgres', 'mysql', 'mongodb']],
  ]);
  it.each(roles.filter((role) => role !== 'operator'))(
    '%s reads its own credentials and nothing else',
    async (role) => {
      const own = await as(role);
      const readable: string[] = [];
      for (const other of roles) {
        if (await allowed(own.kvRead(`services/${other}`))) readable.push(other);
        expect(await allowed(own.kvRead(`services/${other}/clients`)), other).toBe(other === role);
        expect(await allowed(own.kvWrite(`services/${other}`, { password: 'changed' })), other).toBe(false);
      }
      expect(readable.sort()).toEqual([role, ...(extra.get(role) ?? [])].sort());
      expect(await allowed(own.kvList('services'))).toBe(false);
      expect(await allowed(own.snapshot())).toBe(role === 'backup');
      for (const forbidden of forbiddenToAll(own)) expect(await allowed(forbidden())).toBe(false);
      expect(await own.lookupSelf()).toMatchObject({ policies: [role] });
      await own.renewSelf();
      await own.revokeSelf();
    },
  );

  it('operator does the daily work, for every role, and changes nothing of the rules', async () => {
    const operator = await as('operator');
    expect((await operator.kvList('services')).filter((name) => !name.endsWith('/')).sort()).toEqual([...roles].sort());
    for (const role of roles.filter((name) => name !== 'operator')) {
      const { version = 0 } = (await operator.kvRead(`services/${role}`)) ?? {};
      expect(await operator.kvWrite(`services/${role}`, { password: 'rotated' }, { cas: version })).toBe(version + 1);
      await operator.kvWrite(`services/${role}/clients`, { user: 'rotated' });
    }
    for (const role of roles) {
      expect(await operator.readRoleId(role)).toMatch(/-/);
      const { secretId, accessor } = await operator.createSecretId({ role });
      expect(await operator.listSecretIdAccessors(role)).toContain(accessor);
      expect(await operator.lookupSecretId({ role, secretId })).toMatchObject({ accessor });
      expect(await operator.lookupSecretIdAccessor({ role, accessor })).toMatchObject({ accessor });
      await operator.destroySecretIdAccessor({ role, accessor });
    }
    for (const forbidden of forbiddenToAll(operator)) expect(await allowed(forbidden())).toBe(false);
    expect(await allowed(operator.snapshot())).toBe(false);
    expect(await allowed(operator.writeRoleId('postgres', 'another'))).toBe(false);
    expect(await allowed(operator.kvDelete('services/postgres'))).toBe(false);
  });

  it('backup takes a snapshot with its own token', async () => {
    expect((await snapshotVault({ client: await as('backup') })).sizeBytes).toBeGreaterThan(1000);
  });

  const forbiddenToAll = (own: VaultClient): readonly (() => Promise<unknown>)[] => [
    () => own.writePolicy('postgres', 'path "*" { capabilities = ["sudo"] }'),
    () => own.readPolicy('postgres'),
    () => own.listPolicies(),
    () => own.listMounts(),
    () => own.enableMount({ path: 'x', type: 'kv' }),
    () => own.listAuth(),
    () => own.writeRole('postgres', { tokenTtlS: 1 }),
    () => own.deleteRole('postgres'),
    () => own.listAudit(),
    () => own.disableAudit('file'),
    () => own.createToken({ policies: ['root'] }),
    () => own.seal(),
    () => own.restoreSnapshot(new Uint8Array(10), { force: true }),
  ];
});

async function allowed(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'VAULT_PERMISSION_DENIED') return false;
    throw error;
  }
}
