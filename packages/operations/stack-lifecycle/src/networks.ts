import type { ServiceModel } from '@devstack-core/compose-project';
import type { ContainerSummary, NetworkDetails } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { StackErrorCode } from './errors.ts';
import type { OnEvent } from './events.ts';
import type { Stack } from './stack.ts';
import type { StepOutcome } from './steps.ts';

/** `separate`: the four networks of the compose files. `single`: one for all, for hosts where that does not work. */
export type NetworkMode = 'separate' | 'single';

const compose = 'infrastructure/compose/compose.yaml';
const singleNetwork = 'infrastructure/compose/single-network.yaml';

/** What `DEVSTACK_NETWORKS` asks for. Throws PROJECT_INVALID (usage) for anything that is no mode. */
export function networkMode(settings: Readonly<Record<string, string>>): NetworkMode {
  const mode = settings['DEVSTACK_NETWORKS'] ?? 'separate';
  if (mode === 'separate' || mode === 'single') return mode;
  throw new DevstackError({
    code: StackErrorCode.projectInvalid,
    message: `DEVSTACK_NETWORKS is ${JSON.stringify(mode)}.`,
    hint: 'Use separate (the default: four networks) or single (one for all services).',
    details: { usage: true },
  });
}

/** The compose files of a mode, below the checkout, in the order in which they are laid over each other. */
export function composeFilesOf(mode: NetworkMode): readonly string[] {
  return mode === 'single' ? [compose, singleNetwork] : [compose];
}

/** Which networks are asked for, and in which the project's containers are (null: there are no containers). */
export interface NetworkReport {
  readonly declared: NetworkMode;
  readonly running: NetworkMode | null;
}

/** Compares what is asked for with what containers are in. */
export function networkReport(stack: Stack, containers: readonly Pick<ContainerSummary, 'networks'>[]): NetworkReport {
  const legs = containers.flatMap((container) => Object.keys(container.networks));
  const running = legs.includes(`${stack.project.id}_single`) ? 'single' : 'separate';
  return { declared: networkMode(stack.env), running: legs.length === 0 ? null : running };
}

/** What has to be said about the networks, or undefined where they are as they should be. */
export function networkWarning({ declared, running }: NetworkReport): { text: string; hint: string } | undefined {
  if (running !== null && running !== declared) {
    const off = running === 'single' ? ', so isolation between networks is off' : '';
    return {
      text: `The containers are in ${running === 'single' ? 'one single network' : 'separate networks'}${off}, and DEVSTACK_NETWORKS asks for ${declared}.`,
      hint: 'To switch: devstack up',
    };
  }
  if (declared === 'separate') return undefined;
  return {
    text: 'ISOLATION BETWEEN NETWORKS IS OFF (DEVSTACK_NETWORKS=single): all services share one network, each reaches every other and the outside world.',
    hint: 'Where separate networks work, remove DEVSTACK_NETWORKS and run: devstack up',
  };
}

/** Tells at the start of `up` that there is no isolation. */
export function warnOfSingleNetwork(stack: Stack, onEvent: OnEvent): void {
  const warning = networkWarning({ declared: networkMode(stack.env), running: null });
  if (warning !== undefined) onEvent({ type: 'warning', code: 'NETWORKS_NOT_ISOLATED', ...warning });
}

/**
 * Makes room for the declared networks. Those of another mode or subnet overlap with them, so they go first, with the project's
 * containers in them (which hold no data). Compose makes the new ones. Throws NETWORK_IN_USE before anything is touched.
 */
export async function replaceNetworks(
  stack: Stack,
  services: readonly ServiceModel[],
  options: { onEvent: OnEvent; signal?: AbortSignal | undefined },
): Promise<StepOutcome> {
  const engine = await stack.engine();
  const stale = staleNetworks(stack, await engine.listNetworks({ project: stack.project.id }));
  if (stale.length === 0) return { changed: false, detail: 'as declared', value: undefined };
  const all = await engine.listContainers({ project: stack.project.id, all: true });
  const inside = all.filter((container) => stale.some(({ name }) => Object.hasOwn(container.networks, name)));
  await assertOurs(stack, stale);
  tellWhatIsNotStarted(inside, services, options.onEvent);
  const running = inside.filter((one) => one.state === 'running').flatMap((one) => one.service ?? []);
  const declared = running.filter((name) => stack.model.services.some((service) => service.name === name));
  if (declared.length > 0) {
    await stack.compose.stop({
      services: declared,
      onLine: (line) => {
        options.onEvent({ type: 'progress', step: 'networks', text: line.text });
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }
  for (const container of inside) await engine.removeContainer(container.id, { force: true });
  for (const network of stale) await engine.removeNetwork(network.id);
  return { changed: true, detail: `replaced ${stale.map((network) => network.name).join(', ')}`, value: undefined };
}

/** Removes what networks of the project are left, of any mode, once its containers are gone. */
export async function removeNetworks(stack: Stack): Promise<void> {
  const engine = await stack.engine();
  for (const network of await engine.listNetworks({ project: stack.project.id }))
    await engine.removeNetwork(network.id);
}

function staleNetworks(stack: Stack, networks: readonly NetworkDetails[]): readonly NetworkDetails[] {
  return networks.filter((network) => {
    const declared = stack.model.networks.find((candidate) => candidate.engineName === network.name);
    return declared === undefined || (declared.subnet !== undefined && !network.subnets.includes(declared.subnet));
  });
}

// Somebody's own container in our network would keep it from being removed, with half of the work done.
async function assertOurs(stack: Stack, networks: readonly NetworkDetails[]): Promise<void> {
  const engine = await stack.engine();
  const ours = await engine.listContainers({ project: stack.project.id, all: true });
  for (const { id, name } of networks) {
    const inside = (await engine.inspectNetwork(id))?.containers ?? [];
    const foreign = inside.filter((one) => !ours.some((container) => container.id === one.id));
    if (foreign.length === 0) continue;
    const names = foreign.map((container) => container.name).join(', ');
    throw new DevstackError({
      code: StackErrorCode.networkInUse,
      message: `The network ${name} has to be replaced, and ${names} of somebody else is in it.`,
      hint: `Run: docker network disconnect ${name} ${foreign[0]?.name ?? ''}, then devstack up again.`,
      details: { network: name, containers: foreign.map((container) => container.name) },
    });
  }
}

function tellWhatIsNotStarted(
  removed: readonly ContainerSummary[],
  services: readonly ServiceModel[],
  onEvent: OnEvent,
): void {
  const names = removed
    .filter((one) => one.state === 'running' && !services.some((service) => service.name === one.service))
    .map((one) => one.service ?? one.name);
  if (names.length === 0) return;
  onEvent({
    type: 'warning',
    code: 'STOPPED_WITH_NETWORKS',
    text: `The networks are replaced; ${names.join(', ')} stopped with the old ones and are not among the services of this up.`,
    hint: 'To have them back: devstack up with their profile or names.',
  });
}
