import type Dockerode from 'dockerode';
import type { Connection } from './connection.ts';
import type {
  ContainerDetails,
  ContainerNetwork,
  ContainerPort,
  ContainerSpec,
  ContainerState,
  ContainerSummary,
} from './types.ts';

/** Which containers; running ones only unless `all`. */
export interface ListContainersOptions {
  /** Compose project. */
  readonly project?: string;
  /** A label's value, or true for any. */
  readonly labels?: Readonly<Record<string, string | true>>;
  readonly all?: boolean;
}

export const projectLabel = 'com.docker.compose.project';
const serviceLabel = 'com.docker.compose.service';

export async function listContainers(
  connection: Connection,
  options: ListContainersOptions,
): Promise<readonly ContainerSummary[]> {
  const filters = { label: labelFilters(options) };
  const rows = await connection.ask('engine', 'containers', () =>
    connection.docker.listContainers({ all: options.all ?? false, filters }),
  );
  return rows.map(toSummary);
}

export function labelFilters(options: Pick<ListContainersOptions, 'project' | 'labels'>): string[] {
  const labels: Record<string, string | true> = {
    ...(options.project === undefined ? {} : { [projectLabel]: options.project }),
    ...options.labels,
  };
  return Object.entries(labels).map(([name, value]) => (value === true ? name : `${name}=${value}`));
}

export async function inspectContainer(connection: Connection, id: string): Promise<ContainerDetails> {
  const raw = await connection.ask('container', id, () => connection.docker.getContainer(id).inspect());
  const labels = definite(raw.Config.Labels);
  return {
    id: raw.Id,
    name: raw.Name.replace(/^\//, ''),
    image: raw.Config.Image,
    imageName: raw.Config.Image,
    imageId: raw.Image,
    createdAt: raw.Created,
    state: toState(raw.State),
    restartCount: raw.RestartCount,
    labels,
    ...composeNames(labels),
    user: raw.Config.User,
    networks: mapNetworks(raw.NetworkSettings.Networks),
    mounts: raw.Mounts.map((mount) => ({
      type: mount.Type,
      ...(mount.Name === undefined ? {} : { name: mount.Name }),
      source: mount.Source,
      target: mount.Destination,
      readOnly: !mount.RW,
    })),
    // For a container that does not run, what it will publish.
    ports: portsOf(
      Object.keys(raw.NetworkSettings.Ports).length > 0
        ? raw.NetworkSettings.Ports
        : (raw.HostConfig.PortBindings as PortMap | null),
    ),
    raw,
  };
}

/** Gives the new container's id. */
export async function createContainer(
  connection: Connection,
  spec: ContainerSpec,
  signal?: AbortSignal,
): Promise<string> {
  // dockerode puts options that are not marked as body into the URL too, which engines and proxies log.
  const request = {
    _query: spec.name === undefined ? {} : { name: spec.name },
    _body: createBody(spec),
    ...(signal === undefined ? {} : { abortSignal: signal }),
  };
  const container = await connection.ask(
    'container',
    spec.name ?? `of ${spec.image}`,
    () => connection.docker.createContainer(request as unknown as Dockerode.ContainerCreateOptions),
    signal,
  );
  return container.id;
}

function createBody(spec: ContainerSpec): Record<string, unknown> {
  const ports = spec.ports ?? [];
  const byPort = Map.groupBy(ports, (port) => `${String(port.containerPort)}/tcp`);
  const bindings = [...byPort].map(([key, list]) => [
    key,
    list.map((port) => ({ HostIp: port.hostAddress ?? '127.0.0.1', HostPort: String(port.hostPort ?? '') })),
  ]);
  const host = without({
    Binds: spec.binds,
    Tmpfs: spec.tmpfs,
    NetworkMode: spec.network,
    CapAdd: spec.capAdd,
    CapDrop: spec.capDrop,
    SecurityOpt: spec.securityOptions,
    Privileged: spec.privileged,
    ReadonlyRootfs: spec.readOnlyRoot,
    Memory: spec.memoryBytes,
    NanoCpus: spec.cpus === undefined ? undefined : Math.round(spec.cpus * 1e9),
    PidsLimit: spec.pids,
    AutoRemove: spec.autoRemove,
    RestartPolicy: spec.restart === undefined ? undefined : { Name: spec.restart },
    PortBindings: ports.length === 0 ? undefined : Object.fromEntries(bindings),
  });
  const leg = without({
    Aliases: spec.networkAliases,
    IPAMConfig: spec.address === undefined ? undefined : { IPv4Address: spec.address },
  });
  return without({
    Image: spec.image,
    Cmd: spec.argv,
    Entrypoint: spec.entrypoint,
    Env: spec.env === undefined ? undefined : Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    Labels: spec.labels,
    User: spec.user,
    WorkingDir: spec.workdir,
    Healthcheck:
      spec.healthcheck === undefined
        ? undefined
        : without({
            Test: ['CMD', ...spec.healthcheck.argv],
            Interval: nanoseconds(spec.healthcheck.intervalMs),
            Timeout: nanoseconds(spec.healthcheck.timeoutMs),
            Retries: spec.healthcheck.retries,
          }),
    ExposedPorts: ports.length === 0 ? undefined : Object.fromEntries([...byPort.keys()].map((key) => [key, {}])),
    ...(spec.stdin === true ? { OpenStdin: true, StdinOnce: true, AttachStdin: true } : {}),
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: host,
    NetworkingConfig:
      spec.network === undefined || Object.keys(leg).length === 0
        ? undefined
        : { EndpointsConfig: { [spec.network]: leg } },
  });
}

export async function startContainer(connection: Connection, id: string): Promise<void> {
  await connection.ask('container', id, () => unlessUnchanged(connection.docker.getContainer(id).start()));
}

export interface StopOptions {
  /** Until the engine kills it; 10 s is the engine's own default. */
  readonly timeoutSeconds?: number;
}

export async function stopContainer(connection: Connection, id: string, options: StopOptions): Promise<void> {
  const grace = options.timeoutSeconds === undefined ? {} : { t: options.timeoutSeconds };
  await connection.ask('container', id, () => unlessUnchanged(connection.docker.getContainer(id).stop(grace)));
}

export async function restartContainer(connection: Connection, id: string, options: StopOptions): Promise<void> {
  const grace = options.timeoutSeconds === undefined ? {} : { t: options.timeoutSeconds };
  await connection.ask('container', id, () => connection.docker.getContainer(id).restart(grace));
}

export async function killContainer(connection: Connection, id: string, signal = 'SIGKILL'): Promise<void> {
  await connection.ask('container', id, () => connection.docker.getContainer(id).kill({ signal }));
}

export async function pauseContainer(connection: Connection, id: string): Promise<void> {
  await connection.ask('container', id, () => connection.docker.getContainer(id).pause());
}

export async function unpauseContainer(connection: Connection, id: string): Promise<void> {
  await connection.ask('container', id, () => connection.docker.getContainer(id).unpause());
}

export interface RemoveContainerOptions {
  /** Kill it first where it runs. */
  readonly force?: boolean;
  /** Its anonymous volumes too. */
  readonly volumes?: boolean;
}

/** Removes a container and resolves when it is gone; one that is gone already, or is being removed by somebody else, is fine. */
export async function removeContainer(
  connection: Connection,
  id: string,
  options: RemoveContainerOptions,
): Promise<void> {
  await connection.ask('container', id, async () => {
    const container = connection.docker.getContainer(id);
    try {
      await container.remove({ force: options.force ?? false, v: options.volumes ?? false });
    } catch (error) {
      if (statusCode(error) === 404) return;
      const isGoing = statusCode(error) === 409 && String(error).includes('already in progress');
      if (!isGoing) throw error;
      await unlessGone(container.wait({ condition: 'removed' }));
    }
  });
}

async function unlessGone(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (statusCode(error) !== 404) throw error;
  }
}

// 304: it is in that state already.
async function unlessUnchanged(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (statusCode(error) !== 304) throw error;
  }
}

export function statusCode(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined;
}

function toSummary(row: Dockerode.ContainerInfo): ContainerSummary {
  const labels = definite(row.Labels);
  return {
    id: row.Id,
    name: (row.Names[0] ?? '').replace(/^\//, ''),
    image: row.Image,
    imageId: row.ImageID,
    state: row.State,
    status: row.Status,
    health: healthIn(row.Status),
    labels,
    ...composeNames(labels),
    createdAt: new Date(row.Created * 1000).toISOString(),
    ports: row.Ports.map((port) => ({
      containerPort: port.PrivatePort,
      transport: port.Type,
      // The engine leaves these out for a port that is not published.
      ...((port.PublicPort as number | undefined) === undefined ? {} : { hostPort: port.PublicPort }),
      ...((port.IP as string | undefined) === undefined ? {} : { hostAddress: port.IP }),
    })),
    networks: mapNetworks(row.NetworkSettings.Networks),
  };
}

function healthIn(status: string): ContainerSummary['health'] {
  if (status.includes('(healthy)')) return 'healthy';
  if (status.includes('(unhealthy)')) return 'unhealthy';
  return status.includes('(health: starting)') ? 'starting' : 'none';
}

function toState(raw: Dockerode.ContainerInspectInfo['State']): ContainerState {
  const startedAt = moment(raw.StartedAt);
  const finishedAt = moment(raw.FinishedAt);
  return {
    status: raw.Status,
    running: raw.Running,
    paused: raw.Paused,
    exitCode: raw.ExitCode,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    oomKilled: raw.OOMKilled,
    pid: raw.Pid,
    error: raw.Error,
    ...(raw.Health === undefined ? {} : { health: toHealth(raw.Health) }),
  };
}

function toHealth(
  raw: NonNullable<Dockerode.ContainerInspectInfo['State']['Health']>,
): NonNullable<ContainerState['health']> {
  // The engine writes null for an empty log.
  const log = (raw.Log as typeof raw.Log | null) ?? [];
  return {
    status: raw.Status === 'healthy' || raw.Status === 'unhealthy' || raw.Status === 'starting' ? raw.Status : 'none',
    failingStreak: raw.FailingStreak,
    log: log.map((entry) => ({ start: entry.Start, end: entry.End, exitCode: entry.ExitCode, output: entry.Output })),
  };
}

// Go's zero time stands for never.
function moment(text: string): string | undefined {
  return text === '' || text.startsWith('0001-') ? undefined : text;
}

type RawNetworks = Readonly<
  Record<string, { readonly IPAddress: string; readonly NetworkID: string; readonly Aliases?: unknown }>
>;

function mapNetworks(networks: RawNetworks | undefined): Record<string, ContainerNetwork> {
  return Object.fromEntries(
    Object.entries(networks ?? {}).map(([name, leg]) => [
      name,
      {
        ...(leg.IPAddress === '' ? {} : { ip: leg.IPAddress }),
        networkId: leg.NetworkID,
        aliases: Array.isArray(leg.Aliases) ? leg.Aliases.map(String) : [],
      },
    ]),
  );
}

type PortMap = Readonly<Record<string, readonly { readonly HostIp?: string; readonly HostPort?: string }[] | null>>;

function portsOf(ports: PortMap | null): ContainerPort[] {
  return Object.entries(ports ?? {}).flatMap(([key, bindings]) => {
    const [port = '', transport = 'tcp'] = key.split('/');
    const exposed = { containerPort: Number(port), transport };
    if (bindings === null || bindings.length === 0) return [exposed];
    return bindings.map((binding) => ({
      ...exposed,
      hostPort: Number(binding.HostPort ?? 0),
      hostAddress: binding.HostIp ?? '',
    }));
  });
}

function composeNames(labels: Readonly<Record<string, string>>): { project?: string; service?: string } {
  const project = labels[projectLabel];
  const service = labels[serviceLabel];
  return { ...(project === undefined ? {} : { project }), ...(service === undefined ? {} : { service }) };
}

// Go writes null for an empty map.
export function definite(
  labels: Readonly<Record<string, string>> | null | undefined,
): Readonly<Record<string, string>> {
  return labels ?? {};
}

function nanoseconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1e6);
}

function without(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
