import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerDetails, DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';

/** A container as an engine would tell it; `host` is merged into HostConfig. */
export interface FakeContainer {
  readonly name: string;
  readonly service?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** 0: it does not run. */
  readonly pid?: number;
  readonly user?: string;
  readonly host?: Readonly<Record<string, unknown>>;
  readonly mounts?: ContainerDetails['mounts'];
  readonly ports?: ContainerDetails['ports'];
  readonly execIds?: readonly string[];
}

/** Everything hardened: with it nothing is found. */
export const hardened: Readonly<Record<string, unknown>> = {
  CapDrop: ['ALL'],
  SecurityOpt: ['no-new-privileges:true'],
  ReadonlyRootfs: true,
  Memory: 1_000_000,
  NanoCpus: 1e9,
  PidsLimit: 10,
};

export function idOf(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64);
}

export function details(fake: FakeContainer): ContainerDetails {
  const { name, service, pid = 0 } = fake;
  return {
    id: idOf(name),
    name,
    image: 'image',
    imageName: 'image',
    imageId: 'sha256:1',
    createdAt: '2026-01-01T00:00:00Z',
    state: {
      status: pid > 0 ? 'running' : 'created',
      running: pid > 0,
      paused: false,
      exitCode: 0,
      oomKilled: false,
      pid,
      error: '',
    },
    restartCount: 0,
    labels: { ...(service === undefined ? {} : { 'com.docker.compose.service': service }), ...fake.labels },
    ...(service === undefined ? {} : { service }),
    user: fake.user ?? '1000',
    networks: {},
    mounts: fake.mounts ?? [],
    ports: fake.ports ?? [],
    raw: { ExecIDs: fake.execIds ?? null, HostConfig: { ...hardened, ...fake.host } },
  };
}

/** The pid of each privileged exec, by its id. */
export type PrivilegedExecs = Readonly<Record<string, number>>;

export function fakeEngine(
  fakes: readonly FakeContainer[],
  execs: PrivilegedExecs = {},
): Pick<DockerEngine, 'listContainers' | 'inspectContainer' | 'inspectExec'> {
  const all = fakes.map(details);
  return {
    listContainers: () =>
      Promise.resolve(all.map((one) => ({ ...one, state: one.state.status, status: '', health: 'none' as const }))),
    inspectContainer: (id) => {
      const found = all.find((one) => one.id === id || one.name === id);
      if (found !== undefined) return Promise.resolve(found);
      return Promise.reject(
        new DevstackError({ code: 'CONTAINER_NOT_FOUND', message: `There is no container ${id}.` }),
      );
    },
    inspectExec: (id) =>
      id in execs
        ? Promise.resolve({
            id,
            containerId: '',
            running: true,
            raw: { Pid: execs[id], ProcessConfig: { privileged: true } },
          })
        : Promise.reject(new DevstackError({ code: 'CONTAINER_NOT_FOUND', message: 'forgotten' })),
  };
}

export interface FakeProcess {
  readonly container: string;
  readonly program?: string;
  readonly uid?: number;
  /** Hexadecimal. */
  readonly effective?: string;
  readonly permitted?: string;
  readonly bounding?: string;
  readonly ambient?: string;
  readonly noNewPrivileges?: boolean;
  readonly seccomp?: number;
  readonly uidMap?: string;
  readonly state?: string;
  /** Missing where this user may not read it. */
  readonly mountinfo?: string | undefined;
  readonly cgroup?: string;
}

/** Writes a `/proc` with these processes. */
export async function writeProc(root: string, processes: Readonly<Record<number, FakeProcess>>): Promise<void> {
  for (const [pid, one] of Object.entries(processes)) {
    const folder = join(root, pid);
    await mkdir(folder, { recursive: true });
    const status = [
      `Name:\t${one.program ?? 'server'}`,
      `State:\t${one.state ?? 'S (sleeping)'}`,
      `Uid:\t${String(one.uid ?? 1000)}\t${String(one.uid ?? 1000)}\t1\t1`,
      `CapPrm:\t${one.permitted ?? one.effective ?? '0'}`,
      `CapEff:\t${one.effective ?? '0'}`,
      `CapBnd:\t${one.bounding ?? '0'}`,
      `CapAmb:\t${one.ambient ?? '0'}`,
      `NoNewPrivs:\t${(one.noNewPrivileges ?? true) ? '1' : '0'}`,
      `Seccomp:\t${String(one.seccomp ?? 2)}`,
    ];
    // A reader sees the old one or the new one, as with the kernel.
    await writeFile(join(folder, 'next'), `${status.join('\n')}\n`);
    await rename(join(folder, 'next'), join(folder, 'status'));
    await writeFile(join(folder, 'cgroup'), one.cgroup ?? `0::/system.slice/docker-${idOf(one.container)}.scope\n`);
    await writeFile(join(folder, 'uid_map'), one.uidMap ?? '         0          0 4294967295\n');
    const mountinfo =
      'mountinfo' in one ? one.mountinfo : '1 0 0:1 / / ro,relatime master:1 - overlay overlay rw,lowerdir=/x\n';
    if (mountinfo !== undefined) await writeFile(join(folder, 'mountinfo'), mountinfo);
  }
}
