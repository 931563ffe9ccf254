import { Readable } from 'node:stream';
import type { ArchiveEntry, ContainerDetails, DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';

/** A container's id that looks like one. */
export const idOf = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64);

/** What `inspectContainer` gives for a running container. */
export function container(name: string, rest: Partial<ContainerDetails> = {}, raw: object = {}): ContainerDetails {
  return {
    id: idOf(name),
    name,
    image: 'shop/db:1',
    imageName: 'shop/db:1',
    imageId: 'sha256:1',
    createdAt: '2026-11-21T07:00:00.5Z',
    state: { status: 'running', running: true, paused: false, exitCode: 0, oomKilled: false, pid: 100, error: '' },
    restartCount: 0,
    labels: {},
    user: '',
    networks: {},
    mounts: [],
    ports: [],
    raw: { Config: { Env: ['PATH=/bin'] }, HostConfig: { LogConfig: { Type: 'json-file' } }, ExecIDs: null, ...raw },
    ...rest,
  };
}

export const gone = (name: string): DevstackError =>
  new DevstackError({ code: 'CONTAINER_NOT_FOUND', message: `There is no container ${name}.` });

/** An entry of an archive. */
export function archived(path: string, mode: number, content: string | undefined): ArchiveEntry {
  return {
    ...{ path, mode, uid: 0, gid: 0 },
    kind: content === undefined ? 'directory' : 'file',
    sizeBytes: content?.length ?? 0,
    content: Readable.from(content === undefined ? [] : [Buffer.from(content)]),
  };
}

/** An engine with these containers that answers everything with nothing, unless told otherwise. */
export function fakeEngine(containers: readonly ContainerDetails[], calls: Partial<DockerEngine> = {}): DockerEngine {
  const engine: Partial<DockerEngine> = {
    endpoint: 'unix:///var/run/docker.sock',
    ping: async () => undefined,
    info: async () => ({ name: 'elsewhere', systemTime: '2026-11-21T08:00:00Z' }) as never,
    listContainers: async () => containers as never,
    inspectContainer: async (id) => {
      const found = containers.find((one) => one.id === id || one.name === id);
      if (found === undefined) throw gone(id);
      return found;
    },
    inspectImage: async () => ({ raw: { Config: {} }, history: [{ createdBy: 'RUN true', comment: '' }] }) as never,
    events: () => Readable.from([]),
    logBytes: () => Readable.from([]),
    containerProcesses: async () => [{ pid: 100, command: 'postgres -D /data' }],
    ...calls,
  };
  return engine as DockerEngine;
}
