import type { Connection } from './connection.ts';
import type { DiskUsage, EngineInfo, EngineVersion } from './types.ts';

export async function ping(connection: Connection): Promise<void> {
  await connection.ask('engine', connection.endpoint.address, () => connection.docker.ping());
}

export async function version(connection: Connection): Promise<EngineVersion> {
  const raw = await connection.ask('engine', 'version', () => connection.docker.version());
  return {
    version: raw.Version,
    apiVersion: raw.ApiVersion,
    minApiVersion: raw.MinAPIVersion,
    os: raw.Os,
    arch: raw.Arch,
    kernel: raw.KernelVersion,
  };
}

export async function info(connection: Connection): Promise<EngineInfo> {
  const raw = (await connection.ask('engine', 'info', () => connection.docker.info())) as Readonly<
    Record<string, unknown>
  >;
  const text = (key: string): string => (typeof raw[key] === 'string' ? raw[key] : '');
  const count = (key: string): number => (typeof raw[key] === 'number' ? raw[key] : 0);
  const list = (key: string): string[] => (Array.isArray(raw[key]) ? raw[key].map(String) : []);
  const swarm = raw['Swarm'];
  return {
    name: text('Name'),
    serverVersion: text('ServerVersion'),
    operatingSystem: text('OperatingSystem'),
    architecture: text('Architecture'),
    cpus: count('NCPU'),
    memoryBytes: count('MemTotal'),
    dockerRootDir: text('DockerRootDir'),
    systemTime: text('SystemTime'),
    storageDriver: text('Driver'),
    cgroupDriver: text('CgroupDriver'),
    cgroupVersion: text('CgroupVersion'),
    securityOptions: list('SecurityOptions'),
    warnings: list('Warnings'),
    isSwarmActive:
      typeof swarm === 'object' && swarm !== null && 'LocalNodeState' in swarm && swarm.LocalNodeState === 'active',
    raw,
  };
}

export async function diskUsage(connection: Connection): Promise<DiskUsage> {
  const raw = (await connection.ask('engine', 'disk usage', () => connection.docker.df())) as RawUsage;
  return {
    imagesBytes: raw.LayersSize ?? 0,
    containersBytes: sum((raw.Containers ?? []).map((container) => container.SizeRw ?? 0)),
    volumesBytes: sum((raw.Volumes ?? []).map((volume) => Math.max(volume.UsageData?.Size ?? 0, 0))),
    buildCacheBytes: sum((raw.BuildCache ?? []).map((entry) => entry.Size ?? 0)),
  };
}

interface RawUsage {
  readonly LayersSize?: number;
  readonly Containers?: readonly { readonly SizeRw?: number }[] | null;
  readonly Volumes?: readonly { readonly UsageData?: { readonly Size: number } | null }[] | null;
  readonly BuildCache?: readonly { readonly Size?: number }[] | null;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
