import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVaultClient, type VaultClient } from '@devstack-core/vault-client';
import { startVault, type VaultContainer } from '@devstack-core/vault-testing';
import { loadPolicies, type BootstrapOptions, type Consumer, type RoleDefinition } from '../src/index.ts';

/** The policies of this repository. */
export const policiesDirectory: string = new URL('../../../../configs/vault/policies', import.meta.url).pathname;

/** A throw-away Vault with a network, and what a stack of 15 roles would tell the bootstrap. */
export interface TestStack extends AsyncDisposable {
  readonly vault: VaultContainer;
  readonly network: NonNullable<VaultContainer['network']>;
  readonly root: VaultClient;
  /** Without a token. */
  readonly anonymous: VaultClient;
  readonly directory: string;
  readonly roles: readonly RoleDefinition[];
  /** One for each role (three for redis), each with an address of its own; `operator` logs in from this host. */
  readonly consumers: readonly Consumer[];
  readonly options: BootstrapOptions;
  addressOf(service: string): string;
}

export async function startStack(): Promise<TestStack> {
  const vault = await startVault({ network: true });
  const network = vault.network;
  if (network === undefined) throw new Error('The throw-away Vault has no network.');
  const directory = await mkdtemp(join(tmpdir(), 'vault-approle-'));
  const root = createVaultClient(vault.clientOptions);
  const roles = (await loadPolicies(policiesDirectory)).map(({ role, policy }) => ({
    role,
    policy,
    boundCidrs: [network.subnet],
  }));
  const services = roles.flatMap(({ role }) => (role === 'redis' ? ['redis-1', 'redis-2', 'redis-3'] : [role]));
  const consumers = services.map((service, index) => ({
    service,
    role: service.startsWith('redis-') && service !== 'redis-exporter' ? 'redis' : service,
    addresses: [service === 'operator' ? network.gateway : network.subnet.replace(/0\/24$/, String(index + 50))],
  }));
  return {
    vault,
    network,
    root,
    anonymous: createVaultClient({ address: vault.address }),
    directory,
    roles,
    consumers,
    options: { client: root, roles, consumers, directory },
    addressOf: (service) => consumers.find((consumer) => consumer.service === service)?.addresses[0] ?? '',
    async [Symbol.asyncDispose]() {
      await vault.remove();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
