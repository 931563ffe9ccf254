import type Dockerode from 'dockerode';
import type { Connection } from './connection.ts';
import { definite, labelFilters, statusCode, type ListContainersOptions } from './containers.ts';
import type { NetworkDetails } from './types.ts';

export async function listNetworks(
  connection: Connection,
  options: Pick<ListContainersOptions, 'project' | 'labels'>,
): Promise<readonly NetworkDetails[]> {
  const filters = { label: labelFilters(options) };
  const rows = await connection.ask('engine', 'networks', () => connection.docker.listNetworks({ filters }));
  return rows.map(toDetails);
}

/** Undefined where there is no such network. */
export async function inspectNetwork(connection: Connection, name: string): Promise<NetworkDetails | undefined> {
  return connection.ask('network', name, async () => {
    try {
      return toDetails(await connection.docker.getNetwork(name).inspect());
    } catch (error) {
      if (statusCode(error) === 404) return undefined;
      throw error;
    }
  });
}

export interface CreateNetworkOptions {
  readonly name: string;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly internal?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
}

/** Gives the new network's id. */
export async function createNetwork(connection: Connection, options: CreateNetworkOptions): Promise<string> {
  const config = {
    ...(options.subnet === undefined ? {} : { Subnet: options.subnet }),
    ...(options.gateway === undefined ? {} : { Gateway: options.gateway }),
  };
  const network = await connection.ask('network', options.name, () =>
    connection.docker.createNetwork({
      Name: options.name,
      CheckDuplicate: true,
      Internal: options.internal ?? false,
      Labels: { ...options.labels },
      Options: { ...options.options },
      ...(Object.keys(config).length === 0 ? {} : { IPAM: { Driver: 'default', Config: [config] } }),
    }),
  );
  return network.id;
}

/** Removes a network; one that is gone is fine. */
export async function removeNetwork(connection: Connection, name: string): Promise<void> {
  await connection.ask('network', name, async () => {
    try {
      await connection.docker.getNetwork(name).remove();
    } catch (error) {
      if (statusCode(error) !== 404) throw error;
    }
  });
}

function toDetails(raw: Dockerode.NetworkInspectInfo): NetworkDetails {
  const config = (raw.IPAM?.Config ?? []) as readonly { Subnet?: string; Gateway?: string }[];
  const containers = Object.entries(
    (raw.Containers as Readonly<Record<string, { Name: string; IPv4Address: string }>> | null | undefined) ?? {},
  );
  return {
    id: raw.Id,
    name: raw.Name,
    driver: raw.Driver,
    scope: raw.Scope,
    internal: raw.Internal,
    labels: definite(raw.Labels),
    options: definite(raw.Options),
    subnets: config.flatMap((entry) => (entry.Subnet === undefined ? [] : [entry.Subnet])),
    gateways: config.flatMap((entry) => (entry.Gateway === undefined ? [] : [entry.Gateway])),
    containers: containers.map(([id, leg]) => ({ id, name: leg.Name, address: leg.IPv4Address.split('/')[0] ?? '' })),
  };
}
