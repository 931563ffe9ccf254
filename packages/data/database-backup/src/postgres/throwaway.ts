import { startThrowaway } from '../throwaway.ts';
import type { Throwaway, ThrowawayOptions } from '../types.ts';
import { throwawayUser } from './fingerprint-globals.ts';
import type { PostgresPlace } from './place.ts';

export const throwawaySocket = '/run/devstack-backup';

/** In memory, for whoever the image's user is. */
export const throwawayFolders: Readonly<Record<string, string>> = {
  [throwawaySocket]: 'mode=1777,size=1m',
  '/run/credentials': 'mode=1777,size=1m',
  '/tmp': 'mode=1777,size=64m',
};

/** What a server that is thrown away does without: surviving anything, and memory that a container's `/dev/shm` has too little of. */
export const throwawaySettings: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_directories: throwawaySocket,
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  autovacuum: 'off',
  max_wal_size: '4GB',
  shared_buffers: '128MB',
  maintenance_work_mem: '256MB',
  dynamic_shared_memory_type: 'mmap',
  jit: 'off',
  logging_collector: 'off',
};

const fresh: Readonly<Record<string, string>> = {
  ...throwawaySettings,
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_connections: '50',
};

/** An empty server of that image. Whoever is inside the container is let in, and nobody else gets there. Throws PLACE_UNUSABLE. */
export async function throwawayPostgres(options: ThrowawayOptions): Promise<Throwaway<PostgresPlace>> {
  const script = [
    'set -e',
    'umask 077',
    'data=$(mktemp -d /var/tmp/devstack-backup-XXXXXX)/data',
    `initdb --pgdata "$data" --username ${throwawayUser} --encoding UTF8 --locale C.UTF-8 --data-checksums --auth trust --no-sync --no-instructions >&2`,
    'exec postgres -D "$data" "$@"',
  ].join('\n');
  const container = await startThrowaway({
    ...options,
    what: 'PostgreSQL',
    argv: ['sh', '-c', script, 'sh', ...settingArguments(fresh)],
    user: 'postgres',
    tmpfs: throwawayFolders,
    memoryBytes: 2 * 1024 ** 3,
    ready: async (id) => {
      const { exitCode } = await options.docker.exec(id, ['pg_isready', '-q', '-h', throwawaySocket]);
      return exitCode === 0;
    },
  });
  return {
    docker: options.docker,
    container: container.id,
    username: throwawayUser,
    password: undefined,
    scratch: '/run/credentials',
    host: throwawaySocket,
    [Symbol.asyncDispose]: () => container.remove(),
  };
}

export function settingArguments(settings: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}
