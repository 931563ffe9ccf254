import { startThrowaway } from '../throwaway.ts';
import type { Throwaway, ThrowawayOptions } from '../types.ts';
import type { MariadbPlace } from './place.ts';

const socket = '/tmp/devstack.sock';

// Whoever the image runs as is the administrator, known by the socket. What is written here is not worth waiting for a disk.
const start = `set -eu
umask 077
user=$(id -un)
data=\${DEVSTACK_DATA:-/tmp}/throwaway
mkdir -p "$data" /tmp/tmp
if command -v mariadb-install-db >/dev/null; then
  mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=socket --auth-root-socket-user="$user" --skip-test-db --skip-name-resolve --force --innodb-use-native-aio=0 >/tmp/install.log 2>&1 || { tail -5 /tmp/install.log; exit 1; }
  server=mariadbd
  set -- --innodb-use-native-aio=0 --innodb-flush-log-at-trx-commit=0
else
  mysqld --no-defaults --initialize-insecure --datadir="$data"
  server=mysqld
  set -- --innodb-flush-log-at-trx-commit=0
fi
exec "$server" --no-defaults --datadir="$data" --socket=${socket} --pid-file=/tmp/devstack.pid --tmpdir=/tmp/tmp --skip-networking --skip-name-resolve --character-set-server=utf8mb4 --innodb-buffer-pool-size=256M --max-allowed-packet=1G --secure-file-priv=/tmp/tmp --skip-innodb-doublewrite "$@"
`;

/** An empty MariaDB or MySQL whose only way in is the socket inside its container. */
export async function mariadbThrowaway(options: ThrowawayOptions): Promise<Throwaway<MariadbPlace>> {
  const { docker, signal } = options;
  const aborting = signal === undefined ? {} : { signal };
  const container = await startThrowaway({
    ...options,
    what: 'MariaDB',
    argv: ['sh', '-c', start],
    // The data lies in the container's own layer: it may be larger than the memory.
    tmpfs: { '/run/scratch': 'mode=1777,size=8m' },
    memoryBytes: 1536 * 1024 ** 2,
    ready: async (id) => {
      const client = [
        'sh',
        '-c',
        `exec "$(command -v mariadb || command -v mysql)" --no-defaults --socket=${socket} -e 'SELECT 1'`,
      ] as const;
      return (await docker.exec(id, client, aborting)).exitCode === 0;
    },
  });
  try {
    const { stdout } = await docker.exec(container.id, [
      'sh',
      '-c',
      'command -v mariadb >/dev/null && id -un || echo root',
    ]);
    return {
      docker,
      container: container.id,
      username: stdout.trim(),
      password: undefined,
      scratch: '/run/scratch',
      socket,
      [Symbol.asyncDispose]: () => container.remove(),
    };
  } catch (error) {
    await container.remove();
    throw error;
  }
}
