import { isProcessOf, type ContainerDetails, type DockerEngine } from '@devstack-core/docker-engine';
import { configurationOf, type Configuration } from './configuration.ts';
import { hasUserNamespace, reachableBy, readMounts, readProcess, type Mount, type ProcessPrivileges } from './proc.ts';

/** A container as it is: what it was given, and what its processes have. */
export interface Observation {
  readonly container: ContainerDetails;
  /** The compose service, otherwise the container's name: what the allowlist calls it. */
  readonly service: string;
  /** What findings call it: the service, or the container's name where several containers have that service. */
  readonly subject: string;
  readonly configuration: Configuration;
  /** Empty for a container that does not run. */
  readonly processes: readonly ProcessPrivileges[];
  /** Undefined where it does not run or its mounts cannot be read. */
  readonly mounts: readonly Mount[] | undefined;
  /** Why its processes were not looked at. */
  readonly unseen?: string;
  readonly userNamespace: boolean;
  /** Union over the processes; for one that has none, what the configuration would allow. */
  readonly effective: bigint;
  readonly reachable: bigint;
  /** Reached by a process although the configuration does not give it. */
  readonly beyond: bigint;
}

/** Looks at one container. `pids` are those that its control group has. */
export async function observe(options: {
  readonly engine: Pick<DockerEngine, 'inspectExec'>;
  readonly container: ContainerDetails;
  readonly subject: string;
  readonly procRoot: string;
  readonly pids: readonly number[];
}): Promise<Observation> {
  const { container, procRoot } = options;
  const configuration = configurationOf(container);
  const seen = await see(options, configuration);
  const [first] = seen.processes;
  // A process may make a user namespace of its own: what it has there is over nothing of ours.
  const ours = seen.processes.filter(({ uidMap }) => uidMap === first?.uidMap);
  const reached = union(ours.map(reachableBy));
  return {
    container,
    service: container.service ?? container.name,
    subject: options.subject,
    configuration,
    ...seen,
    mounts: first === undefined ? undefined : await readMounts(procRoot, container.state.pid),
    userNamespace: first !== undefined && hasUserNamespace(first),
    effective: union(ours.map(({ effective }) => effective)),
    reachable: first === undefined ? configuration.mask : reached,
    beyond: configuration.privileged ? 0n : reached & ~configuration.mask,
  };
}

async function see(
  { engine, container, procRoot, pids }: Parameters<typeof observe>[0],
  configuration: Configuration,
): Promise<{ readonly processes: readonly ProcessPrivileges[]; readonly unseen?: string }> {
  const { pid, running } = container.state;
  if (!running) return { processes: [] };
  if (!(await isProcessOf(container.id, pid, { procRoot }))) {
    const reason =
      'its processes are not in this /proc: the engine runs on another machine, in a virtual machine, or hides them';
    return { processes: [], unseen: reason };
  }
  const execs = await Promise.all(configuration.execIds.map((id) => privilegedPid(engine, id)));
  const privileged = new Set(execs.filter((value) => value !== undefined));
  // The container's own first process stays first: what is its user namespace is the container's.
  const all = [...new Set([pid, ...[...pids, ...privileged].toSorted((a, b) => a - b)])];
  const read = await Promise.all(all.map((one) => readProcess(procRoot, one, privileged)));
  const processes = read.filter((process) => process !== undefined);
  return processes.length > 0 ? { processes } : { processes, unseen: 'it ended while it was looked at' };
}

// The engine forgets an exec some time after its end.
async function privilegedPid(engine: Pick<DockerEngine, 'inspectExec'>, id: string): Promise<number | undefined> {
  try {
    const { running, raw } = await engine.inspectExec(id);
    const { Pid: pid, ProcessConfig: config } = raw as { Pid?: number; ProcessConfig?: { privileged?: boolean } };
    return running && config?.privileged === true && pid !== undefined && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function union(masks: readonly bigint[]): bigint {
  return masks.reduce((all, mask) => all | mask, 0n);
}
