import type { ContainerDetails } from '@devstack-core/docker-engine';
import { allCapabilities, defaultCapabilities, maskOf, plainName } from './capabilities.ts';

/** A folder or file of the host in a container. */
export interface HostBind {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** What the engine was told to give a container. */
export interface Configuration {
  readonly privileged: boolean;
  /** Plain names, `ALL` included. */
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  /** The bounding set that follows from these. */
  readonly mask: bigint;
  readonly noNewPrivileges: boolean;
  readonly seccomp: 'default' | 'unconfined' | 'custom';
  /** False where AppArmor or SELinux was switched off for it. */
  readonly confined: boolean;
  /** Which namespaces of the host it shares. */
  readonly hostNamespaces: readonly ('network' | 'pid' | 'ipc' | 'uts' | 'user')[];
  /** As it was given; empty is root. */
  readonly user: string;
  readonly readOnlyRoot: boolean;
  /** 0: none. */
  readonly memoryBytes: number;
  /** Processors; 0: no limit. */
  readonly cpus: number;
  /** 0: no limit. */
  readonly pids: number;
  /** Target and mount options. */
  readonly tmpfs: Readonly<Record<string, string>>;
  readonly hostBinds: readonly HostBind[];
  readonly devices: readonly string[];
  readonly ports: readonly {
    readonly containerPort: number;
    readonly hostPort: number;
    readonly hostAddress: string;
  }[];
  readonly execIds: readonly string[];
}

interface RawContainer {
  readonly ExecIDs?: readonly string[] | null;
  readonly HostConfig: {
    readonly Privileged?: boolean;
    readonly CapAdd?: readonly string[] | null;
    readonly CapDrop?: readonly string[] | null;
    readonly SecurityOpt?: readonly string[] | null;
    readonly NetworkMode?: string;
    readonly PidMode?: string;
    readonly IpcMode?: string;
    readonly UTSMode?: string;
    readonly UsernsMode?: string;
    readonly ReadonlyRootfs?: boolean;
    readonly Memory?: number;
    readonly NanoCpus?: number;
    readonly CpuQuota?: number;
    readonly CpuPeriod?: number;
    readonly PidsLimit?: number | null;
    readonly Tmpfs?: Readonly<Record<string, string>> | null;
    readonly Mounts?: readonly { Type: string; Target: string; TmpfsOptions?: { SizeBytes?: number } }[] | null;
    readonly Devices?: readonly { PathOnHost: string }[] | null;
    readonly DeviceCgroupRules?: readonly string[] | null;
    readonly DeviceRequests?: readonly { Driver?: string; DeviceIDs?: readonly string[] | null }[] | null;
  };
}

/** Reads the engine's own words about a container. */
export function configurationOf(container: ContainerDetails): Configuration {
  const raw = container.raw as RawContainer;
  const host = raw.HostConfig;
  const options = (host.SecurityOpt ?? []).map((option) => option.replace(':', '='));
  const capAdd = (host.CapAdd ?? []).map(plainName);
  const capDrop = (host.CapDrop ?? []).map(plainName);
  const privileged = host.Privileged ?? false;
  return {
    privileged,
    capAdd,
    capDrop,
    mask: boundingSet({ privileged, capAdd, capDrop }),
    noNewPrivileges: options.some((option) => option === 'no-new-privileges' || option === 'no-new-privileges=true'),
    seccomp: privileged ? 'unconfined' : seccompOf(options),
    confined: !privileged && !options.some((option) => option === 'apparmor=unconfined' || option === 'label=disable'),
    hostNamespaces: (
      [
        ['network', host.NetworkMode],
        ['pid', host.PidMode],
        ['ipc', host.IpcMode],
        ['uts', host.UTSMode],
        ['user', host.UsernsMode],
      ] as const
    ).flatMap(([name, mode]) => (mode === 'host' ? [name] : [])),
    user: container.user,
    readOnlyRoot: host.ReadonlyRootfs ?? false,
    memoryBytes: Math.max(0, host.Memory ?? 0),
    cpus: cpusOf(host),
    pids: Math.max(0, host.PidsLimit ?? 0),
    tmpfs: { ...tmpfsMounts(host), ...host.Tmpfs },
    hostBinds: container.mounts
      .filter(({ type }) => type === 'bind')
      .map(({ source, target, readOnly }) => ({ source, target, readOnly })),
    devices: [
      ...(host.Devices ?? []).map((device) => device.PathOnHost),
      ...(host.DeviceCgroupRules ?? []).map((rule) => `rule ${rule}`),
      ...(host.DeviceRequests ?? []).map(
        (request) => `${request.Driver ?? 'a driver'} ${(request.DeviceIDs ?? ['all']).join(',')}`,
      ),
    ],
    ports: container.ports.flatMap(({ containerPort, hostPort, hostAddress }) =>
      hostPort === undefined ? [] : [{ containerPort, hostPort, hostAddress: hostAddress ?? '' }],
    ),
    execIds: raw.ExecIDs ?? [],
  };
}

/** moby/oci/caps: privileged ignores both lists; dropping ALL leaves what is added; adding ALL leaves what is not dropped. */
export function boundingSet(options: {
  readonly privileged: boolean;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
}): bigint {
  if (options.privileged) return allCapabilities;
  const [added, dropped] = [options.capAdd.map(plainName), options.capDrop.map(plainName)];
  if (dropped.includes('ALL')) return maskOf(added);
  const base = added.includes('ALL') ? allCapabilities : defaultCapabilities;
  return (base & ~maskOf(dropped)) | maskOf(added.filter((name) => name !== 'ALL'));
}

function seccompOf(options: readonly string[]): Configuration['seccomp'] {
  const option = options.find((text) => text.startsWith('seccomp='));
  if (option === undefined || option === 'seccomp=builtin') return 'default';
  return option === 'seccomp=unconfined' ? 'unconfined' : 'custom';
}

function cpusOf(host: RawContainer['HostConfig']): number {
  if ((host.NanoCpus ?? 0) > 0) return (host.NanoCpus ?? 0) / 1e9;
  // The kernel's own period where only a quota is set.
  return Math.max(0, host.CpuQuota ?? 0) / ((host.CpuPeriod ?? 0) > 0 ? (host.CpuPeriod ?? 0) : 100_000);
}

function tmpfsMounts(host: RawContainer['HostConfig']): Record<string, string> {
  const mounts = (host.Mounts ?? []).filter((mount) => mount.Type === 'tmpfs');
  return Object.fromEntries(
    mounts.map(({ Target, TmpfsOptions: { SizeBytes = 0 } = {} }) => [
      Target,
      SizeBytes > 0 ? `size=${String(SizeBytes)}` : '',
    ]),
  );
}
