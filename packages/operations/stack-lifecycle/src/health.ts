import type { ServiceModel } from '@devstack-core/compose-project';
import { isDevstackError, type DevstackError } from '@devstack-core/errors';
import { probe, type ProbeOptions, type ProbeResult } from '@devstack-core/health-probe';
import { Secret } from '@devstack-core/redaction';
import { readServiceSecret } from '@devstack-core/service-secrets';
import type { VaultClient } from '@devstack-core/vault-client';
import type { Stack } from './stack.ts';
import { endpointOf } from './tls.ts';
import { operatorSession } from './vault-steps.ts';

/** What every probe of a stack says, in the order of the compose files. */
export interface HealthReport {
  readonly healthy: boolean;
  readonly services: readonly ProbeResult[];
}

/** Asks each service by its own protocol, with its own credentials, all at once. A failed probe is a value, not an exception. */
export async function health(
  stack: Stack,
  services: readonly ServiceModel[],
  options: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<HealthReport> {
  let probes: readonly ServiceProbe[];
  try {
    probes = await probesFor(stack, services);
  } catch (error) {
    if (!isDevstackError(error)) throw error;
    return withoutVault(stack, services, error);
  }
  const results = await Promise.all(
    probes.map((one) =>
      probe({
        timeoutMs: options.timeoutMs ?? 5_000,
        ...one,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      }),
    ),
  );
  return { healthy: results.every((result) => result.healthy), services: results };
}

// Without Vault there is no password to ask with: Vault's own probe says what is wrong, the others that they could not be asked.
async function withoutVault(
  stack: Stack,
  services: readonly ServiceModel[],
  error: DevstackError,
): Promise<HealthReport> {
  const results = await Promise.all(
    services.map(async (service): Promise<ProbeResult> => {
      if (service.name === 'vault') return probe(probeFor(stack, service, {}));
      return {
        service: service.name,
        protocol: service.protocol ?? 'tcp',
        healthy: false,
        checked: 'nothing',
        latencyMs: 0,
        reason: `not asked, as its password could not be read: ${error.message}`,
        ...(error.hint === undefined ? {} : { nextStep: error.hint }),
        code: error.code,
        details: {},
      };
    }),
  );
  return { healthy: false, services: results };
}

/** A probe that belongs to a service of the stack. */
export type ServiceProbe = ProbeOptions & { readonly service: string };

/** The probe of each service, with credentials read as `operator`. Throws where Vault cannot be used. */
export async function probesFor(stack: Stack, services: readonly ServiceModel[]): Promise<readonly ServiceProbe[]> {
  const needsVault = services.some((service) => service.name !== 'vault');
  if (!needsVault) return services.map((service) => probeFor(stack, service, {}));
  await using session = await operatorSession(stack);
  const { client } = session;
  const roles = [...new Set(services.flatMap((service) => (service.role === undefined ? [] : [service.role])))];
  const secrets = new Map(await Promise.all(roles.map(async (role) => [role, await read(client, role)] as const)));
  return services.map((service) => probeFor(stack, service, secrets.get(service.role ?? '') ?? {}));
}

async function read(client: VaultClient, role: string): Promise<Readonly<Record<string, Secret>>> {
  return (await readServiceSecret(client, role)) ?? {};
}

function probeFor(stack: Stack, service: ServiceModel, credentials: Readonly<Record<string, Secret>>): ServiceProbe {
  const { host, port, tls } = endpointOf(stack, service) ?? { host: '127.0.0.1', port: 0, tls: false };
  return {
    service: service.name,
    protocol: service.protocol ?? 'tcp',
    host,
    port,
    tls,
    ports: Object.fromEntries(service.ports.map((one) => [one.name, one.hostPort])),
    // PgBouncer's own database is its console; a query has to go through it to the server.
    credentials: service.protocol === 'pgbouncer' ? { ...credentials, database: new Secret('postgres') } : credentials,
    ...(service.protocol === 'redis-cluster' ? { natMap: redisNatMap(stack) } : {}),
    // Not /ready, which is for whoever sends requests there: that is content with what they need.
    ...(service.protocol === 'http' ? { path: '/health' } : {}),
  };
}

/** Cluster nodes announce their own addresses; from this machine each is reached through its published port. */
export function redisNatMap(stack: Stack): Readonly<Record<string, { host: string; port: number }>> {
  const nodes = stack.model.services.filter((service) => service.protocol === 'redis-cluster');
  return Object.fromEntries(
    nodes.flatMap((node) => {
      const endpoint = endpointOf(stack, node);
      return node.networks.flatMap((leg) =>
        leg.address === undefined || endpoint === undefined
          ? []
          : [
              [
                `${leg.address}:${endpoint.tls === false ? '6379' : '6390'}`,
                { host: endpoint.host, port: endpoint.port },
              ],
            ],
      );
    }),
  );
}
