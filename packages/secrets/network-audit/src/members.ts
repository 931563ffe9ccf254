import type { ComposeModel } from '@devstack-core/compose-project';
import type { ContainerDetails, ContainerSummary, DockerEngine } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';

/** One service's container in its networks. */
export interface Member {
  readonly service: string;
  readonly containerId: string;
  /** Network to the address (or addresses) that the container has there. */
  readonly networks: Readonly<Record<string, string | readonly string[]>>;
  /** What it listens on, in the container. Listening ports that the local /proc shows are looked at beside. */
  readonly ports: readonly number[];
  /** What is published of it on the host. */
  readonly published?: readonly { readonly hostPort: number; readonly hostAddress: string }[];
  /** Where it is declared to be; where it is, where this is missing. */
  readonly declaredNetworks?: readonly string[];
  /** Why it cannot be looked at. */
  readonly notRunning?: string;
}

/** The parts of a compose model that the audit reads. */
export type DeclaredNetworks = Pick<ComposeModel, 'services' | 'networks' | 'locate'>;

/**
 * The containers of a compose project as members, one-shot ones that have done their work left out. With the project's model, networks have
 * the names of the compose file, and ports and declared networks come from it.
 */
export async function membersOf(
  engine: Pick<DockerEngine, 'listContainers' | 'inspectContainer'>,
  project: string,
  model?: DeclaredNetworks,
): Promise<readonly Member[]> {
  const rows = await engine.listContainers({ project, all: true });
  const names = new Map(model?.networks.map(({ engineName, name }) => [engineName, name]));
  const members = await Promise.all(
    rows.map(async (row): Promise<readonly Member[]> => {
      try {
        const container = await engine.inspectContainer(row.id);
        return isDone(container) ? [] : [memberOf(container, names, model)];
      } catch (error) {
        if (!isDevstackError(error, 'CONTAINER_NOT_FOUND')) throw error;
        return [goneMember(row)];
      }
    }),
  );
  return members.flat().toSorted((a, b) => (a.service < b.service ? -1 : Number(a.service > b.service)));
}

// Removed since it was listed: nobody can look at it, which is to be said.
function goneMember({ id, name, service }: ContainerSummary): Member {
  return { service: service ?? name, containerId: id, networks: {}, ports: [], notRunning: 'it went away meanwhile' };
}

function isDone({ state }: ContainerDetails): boolean {
  return state.status === 'exited' && state.exitCode === 0;
}

interface RawNetworks {
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, { readonly GlobalIPv6Address?: string }>>;
  };
}

function memberOf(
  container: ContainerDetails,
  names: ReadonlyMap<string, string>,
  model: DeclaredNetworks | undefined,
): Member {
  const service = model?.services.find(({ name }) => name === container.service);
  const raw = (container.raw as RawNetworks).NetworkSettings?.Networks ?? {};
  const networks = Object.entries(container.networks).map(([name, { ip }]) => {
    const addresses = [ip ?? '', raw[name]?.GlobalIPv6Address ?? ''].filter((address) => address !== '');
    return [names.get(name) ?? name, addresses] as const;
  });
  const tcp = container.ports.filter(({ transport }) => transport === 'tcp');
  return {
    service: container.service ?? container.name,
    containerId: container.id,
    // `none` and `host` are listed too, without an address.
    networks: Object.fromEntries(networks.filter(([, addresses]) => addresses.length > 0)),
    ports: [
      ...new Set([...Object.values(service?.containerPorts ?? {}), ...tcp.map(({ containerPort }) => containerPort)]),
    ],
    published: tcp.flatMap(({ hostPort, hostAddress }) =>
      hostPort === undefined || hostPort === 0 ? [] : [{ hostPort, hostAddress: hostAddress ?? '' }],
    ),
    ...(service === undefined ? {} : { declaredNetworks: service.networks.map(({ name }) => name) }),
    ...(container.state.running ? {} : { notRunning: `it is ${container.state.status}` }),
  };
}

/** Every address of a member, with its network. */
export function addressesOf({ networks }: Member): readonly { readonly network: string; readonly address: string }[] {
  return Object.entries(networks).flatMap(([network, addresses]) =>
    (typeof addresses === 'string' ? [addresses] : addresses)
      .filter((address) => address !== '')
      .map((address) => ({ network, address })),
  );
}

/** Where a member is meant to be. */
export function homeOf({ declaredNetworks, networks }: Member): readonly string[] {
  return declaredNetworks ?? Object.keys(networks);
}
