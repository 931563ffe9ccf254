import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerDetails } from '@devstack-core/docker-engine';
import { usesRootToken } from './deliver.ts';
import { imageStates } from './images.ts';
import { networkReport, type NetworkReport } from './networks.ts';
import type { Stack } from './stack.ts';
import { portsInUse, tlsModeOf, type TlsMode } from './tls.ts';

/** One service, as seen without asking it anything: what Docker knows, and what is declared. */
export interface ServiceStatus {
  readonly service: string;
  readonly title: string;
  /** Docker's word (`running`, `exited`, …) or `absent`. */
  readonly state: string;
  /** The container's own health check: `healthy`, `unhealthy`, `starting`, or `none`. */
  readonly health: string;
  /** ISO time since when that health holds, or null where it is not known. */
  readonly since: string | null;
  readonly addresses: readonly string[];
  readonly profiles: readonly string[];
  readonly image: string;
  readonly imageSource: string;
  /** The engine that really runs, e.g. `mariadb 11.8.3` behind the service `mysql`. */
  readonly engine: string;
  /** `AppRole <role>`, `root-token fallback <role>`, or `none`. */
  readonly authentication: string;
  /** `false`, `true` (beside plain connections) or `required`. */
  readonly tls: TlsMode;
}

/** What `devstack status` shows. */
export interface StatusReport {
  readonly project: string;
  readonly subnetPrefix: string;
  readonly networks: NetworkReport;
  readonly vault: { readonly address: string; readonly state: 'unsealed' | 'sealed' | 'uninitialised' | 'unreachable' };
  readonly services: readonly ServiceStatus[];
}

/** Reads the state of every service: one list of containers, one look at each, and Vault's seal. Starts nothing. */
export async function status(stack: Stack): Promise<StatusReport> {
  const engine = await stack.engine();
  const [containers, images, vault] = await Promise.all([
    engine
      .listContainers({ project: stack.project.id, all: true })
      .then((list) => Promise.all(list.map((one) => engine.inspectContainer(one.id)))),
    imageStates(stack, stack.model.services),
    vaultState(stack),
  ]);
  const services = stack.model.services.map((service, index): ServiceStatus => {
    const container = containers.find((candidate) => candidate.labels['com.docker.compose.service'] === service.name);
    const image = images[index];
    return {
      service: service.name,
      title: service.title ?? service.name,
      state: container?.state.status ?? 'absent',
      health: container?.state.running === true ? (container.state.health?.status ?? 'none') : 'none',
      since: container === undefined ? null : healthSince(container),
      addresses: portsInUse(service).map((port) => `${port.hostAddress}:${String(port.hostPort)}`),
      profiles: service.profiles,
      image: container?.imageName ?? service.image,
      imageSource: image?.present === true ? image.source : 'missing',
      engine: [image?.engine, image?.engineVersion].filter((part) => part !== null && part !== undefined).join(' '),
      authentication: authentication(stack, service),
      tls: tlsModeOf(service),
    };
  });
  return {
    project: stack.project.id,
    subnetPrefix: stack.project.subnetPrefix,
    networks: networkReport(stack, containers),
    vault: { address: stack.vaultAddress, state: vault },
    services,
  };
}

function authentication(stack: Stack, service: ServiceModel): string {
  if (service.role === undefined || service.authentication === 'none') return 'none';
  return usesRootToken(stack, service) ? `root-token fallback (${service.role})` : `AppRole ${service.role}`;
}

/**
 * Docker keeps the last five health checks only: a change among them gives the moment; a full log of one kind means "since the
 * container started, as far as is known".
 */
function healthSince(container: ContainerDetails): string | null {
  if (!container.state.running) return container.state.finishedAt ?? null;
  const log = container.state.health?.log ?? [];
  const healthy = container.state.health?.status === 'healthy';
  const lastOther = log.findLastIndex((entry) => (entry.exitCode === 0) !== healthy);
  const first = lastOther >= 0 ? log[lastOther + 1] : undefined;
  return first?.end ?? container.state.startedAt ?? null;
}

async function vaultState(stack: Stack): Promise<StatusReport['vault']['state']> {
  try {
    const state = await stack.vault().health({ deadlineMs: 0 });
    return !state.initialized ? 'uninitialised' : state.sealed ? 'sealed' : 'unsealed';
  } catch {
    // Unreachable is an answer here, not a failure: the rest of the table is still worth showing.
    return 'unreachable';
  }
}
