import { randomBytes } from 'node:crypto';
import { connectMongo } from '@devstack-core/database-connections';
import { Secret } from '@devstack-core/redaction';
import { startThrowaway } from '../throwaway.ts';
import type { Throwaway, ThrowawayOptions } from '../types.ts';
import type { MongoPlace } from './mongo-place.ts';

/** A throwaway FerretDB needs a PostgreSQL below it. */
export interface MongoThrowawayOptions extends ThrowawayOptions {
  /** `devstack/postgres:local` unless given. */
  readonly postgresImage?: string;
}

const scratch = '/run/scratch';
const setupDatabase = 'devstack_setup_throwaway';

const postgresScript = `set -eu
umask 077
data=$(mktemp -d /var/tmp/devstack-backup-XXXXXX)/data
initdb --pgdata "$data" --username postgres --encoding UTF8 --locale C.UTF-8 --auth trust --no-sync --no-instructions >&2
exec postgres -D "$data" -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_wal_size=4GB -c shared_buffers=128MB -c dynamic_shared_memory_type=mmap -c max_connections=60
`;

// The server takes the password of its set-up user from its environment alone. That user is gone before anything is restored.
const ferretScript = `set -eu
command -v ferretdb >/dev/null || { echo 'There is no FerretDB in this image'; exit 1; }
until [ -e ${scratch}/setup.ready ]; do sleep 0.05; done
FERRETDB_SETUP_PASSWORD=$(cat ${scratch}/setup)
rm ${scratch}/setup ${scratch}/setup.ready
export FERRETDB_SETUP_PASSWORD FERRETDB_SETUP_USERNAME=setup FERRETDB_SETUP_DATABASE=${setupDatabase}
exec ferretdb --listen-addr=127.0.0.1:27017 --debug-addr=- --handler=postgresql --postgresql-url=postgres://postgres@127.0.0.1:5432/postgres --state-dir=/tmp --telemetry=disable --log-level=ERROR --test-enable-new-auth
`;

const ask = `require('net').connect(27017,'127.0.0.1').on('connect',()=>process.exit(0)).on('error',()=>process.exit(1))`;

/**
 * An empty FerretDB and its PostgreSQL, two containers that share one network without any way out. The driver gets in through a port of
 * this machine's loopback, which asks for a password of its own. MongoDB's own image is not served.
 */
export async function mongoThrowaway(options: MongoThrowawayOptions): Promise<Throwaway<MongoPlace>> {
  const { docker, postgresImage = 'devstack/postgres:local' } = options;
  await using made = new AsyncDisposableStack();
  const folders = { '/tmp': 'mode=1777,size=64m', [scratch]: 'mode=1777,size=1m' };
  const postgres = made.use(
    await startThrowaway({
      ...options,
      image: postgresImage,
      what: 'PostgreSQL for FerretDB',
      argv: ['sh', '-c', postgresScript],
      tmpfs: folders,
      memoryBytes: 2 * 1024 ** 3,
      ready: async (id) =>
        (await docker.exec(id, ['pg_isready', '-q', '-h', '127.0.0.1', '-U', 'postgres'])).exitCode === 0,
    }),
  );
  const setup = new Secret(randomBytes(24).toString('hex'));
  let isGiven = false;
  const container = made.use(
    await startThrowaway({
      ...options,
      what: 'FerretDB',
      argv: ['sh', '-c', ferretScript],
      network: `container:${postgres.id}`,
      tmpfs: folders,
      ready: async (id) => {
        if (!isGiven) {
          const put = `umask 077; cat > ${scratch}/setup && touch ${scratch}/setup.ready`;
          isGiven = (await docker.exec(id, ['sh', '-c', put], { stdin: setup })).exitCode === 0;
        }
        return (await docker.exec(id, ['node', '-e', ask])).exitCode === 0;
      },
    }),
  );
  const { host, port } = made.use(await docker.forward(container.id, 27017));
  const password = new Secret(randomBytes(24).toString('hex'));
  await replaceSetupUser({ host, port }, setup, password);
  const owned = made.move();
  return {
    docker,
    container: container.id,
    username: 'throwaway',
    password,
    scratch,
    connect: { host, port },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function replaceSetupUser(
  address: { readonly host: string; readonly port: number },
  setup: Secret,
  password: Secret,
): Promise<void> {
  await using connection = await connectMongo({
    ...address,
    username: 'setup',
    password: setup,
    authSource: setupDatabase,
    connectTimeoutMs: 20_000,
  });
  const user = { createUser: 'throwaway', pwd: password.reveal(), roles: [], mechanisms: ['SCRAM-SHA-256'] };
  await connection.db('admin').command(user, [password]);
  await connection.db(setupDatabase).command({ dropUser: 'setup' });
}
