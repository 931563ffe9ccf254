import type { ComposeModel } from '@devstack-core/compose-project';
import { loadPolicies, type Consumer, type RoleDefinition } from '@devstack-core/vault-approle';
import type { Stack } from './stack.ts';

/** The host's own logins: they reach Vault through a published port, so Vault sees the gateway of one of its networks. */
const hostRoles = ['operator', 'backup', 'migrate'];

/** Every role with its policy and the networks it may log in from, read from the policies and the compose files. */
export async function roleDefinitions(stack: Stack): Promise<readonly RoleDefinition[]> {
  const policies = await loadPolicies(stack.directories.policies);
  const all = [...new Set(stack.model.service('vault').networks.map((leg) => subnetOf(stack, leg.name)))];
  return policies.map(({ role, policy }) => {
    const own = stack.model.services
      .filter((service) => service.role === role)
      .flatMap((service) => service.networks.map((leg) => subnetOf(stack, leg.name)));
    return { role, policy, boundCidrs: own.length === 0 ? all : [...new Set(own)] };
  });
}

/** Every login that a secret_id is issued for: one per service with a role, and one per host role, each bound to its own addresses. */
export function consumersOf(stack: Stack): readonly Consumer[] {
  return [...serviceConsumers(stack.model), ...hostConsumers(stack)];
}

function serviceConsumers(model: ComposeModel): readonly Consumer[] {
  return model.services
    .filter((service) => service.role !== undefined && service.authentication === 'approle')
    .map((service) => ({
      service: service.name,
      role: service.role ?? service.name,
      addresses: service.networks.flatMap((leg) => (leg.address === undefined ? [] : [`${leg.address}/32`])),
    }));
}

function hostConsumers(stack: Stack): readonly Consumer[] {
  const gateways = stack.model.service('vault').networks.flatMap((leg) => {
    const gateway = stack.model.networks.find((network) => network.name === leg.name)?.gateway;
    return gateway === undefined ? [] : [`${gateway}/32`];
  });
  return hostRoles.map((role) => ({ service: role, role, addresses: gateways }));
}

function subnetOf(stack: Stack, network: string): string {
  const found = stack.model.networks.find((candidate) => candidate.name === network);
  return found?.subnet ?? `${stack.project.subnetPrefix}.0.0/16`;
}
