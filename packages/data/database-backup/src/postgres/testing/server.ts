import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { secret } from '@devstack-core/redaction';
import { startThrowaway } from '../../throwaway.ts';
import type { Throwaway } from '../../types.ts';
import type { PostgresPlace } from '../place.ts';
import { runOnce } from '../session.ts';

export const image = 'devstack/postgres:local';
export const labels: Readonly<Record<string, string>> = {
  'io.devstack.test': `postgres-${randomBytes(4).toString('hex')}`,
};

export interface TestServer extends Throwaway<PostgresPlace> {
  readonly canary: string;
}

/** A server as the stack runs it: its configuration, a password for everybody, its folders. */
export async function startServer(docker: DockerEngine, settings: readonly string[] = []): Promise<TestServer> {
  const canary = `canary-${randomBytes(12).toString('hex')}':\\x`;
  const script = `umask 077
until [ -e /run/credentials/ready ]; do sleep 0.05; done
initdb -D /var/lib/devstack/data -U devstack --encoding UTF8 --locale C.UTF-8 --data-checksums --auth reject --pwfile /run/credentials/pw --no-sync --no-instructions >&2
rm /run/credentials/pw /run/credentials/ready
exec postgres -D /var/lib/devstack/data --config-file=/etc/devstack/postgresql.conf -c fsync=off "$@"`;
  const configs = new URL('../../../../../../configs/postgres', import.meta.url).pathname;
  let isGiven = false;
  const container = await startThrowaway({
    docker,
    image,
    labels,
    what: 'PostgreSQL under test',
    argv: ['sh', '-c', script, 'sh', ...settings],
    user: 'postgres',
    binds: [`${configs}:/etc/devstack:ro`],
    tmpfs: {
      '/run/credentials': 'mode=1777,size=1m',
      '/run/postgresql': 'uid=5432,gid=5432,mode=0700,size=1m',
      '/tmp': 'mode=1777,size=64m',
      '/dev/shm': 'mode=1777,size=256m',
    },
    ready: async (id) => {
      if (!isGiven) {
        const put = await docker.exec(
          id,
          ['sh', '-c', 'umask 077; cat > /run/credentials/pw && touch /run/credentials/ready'],
          {
            stdin: secret(canary),
          },
        );
        isGiven = put.exitCode === 0;
      }
      return (await docker.exec(id, ['pg_isready', '-q'])).exitCode === 0;
    },
  });
  return {
    docker,
    container: container.id,
    username: 'devstack',
    password: secret(canary),
    scratch: '/run/credentials',
    canary,
    [Symbol.asyncDispose]: () => container.remove(),
  };
}

export const oddDatabase = `Odd DB ☃ 'x' "y" =z`;

/** Everything that is awkward, in a database of an awkward name. */
export async function makeAwkward(place: PostgresPlace): Promise<void> {
  const read = (name: string): Promise<string> => readFile(new URL(name, import.meta.url), 'utf8');
  const name = `"${oddDatabase.replaceAll('"', '""')}"`;
  await run(place, 'postgres', await read('awkward-roles.sql'));
  await run(
    place,
    'postgres',
    `CREATE DATABASE ${name} OWNER app TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C.UTF-8'`,
  );
  await run(
    place,
    'postgres',
    `ALTER DATABASE ${name} SET work_mem = '9MB'; ALTER ROLE app IN DATABASE ${name} SET TimeZone = 'Asia/Tokyo'; REVOKE ALL ON DATABASE ${name} FROM PUBLIC;
     GRANT CONNECT ON DATABASE ${name} TO auditors WITH GRANT OPTION; COMMENT ON DATABASE ${name} IS 'a "comment" \\'; ALTER DATABASE ${name} CONNECTION LIMIT 50`,
  );
  await run(place, oddDatabase, await read('awkward.sql'));
}

export function run(place: PostgresPlace, database: string, sql: string): Promise<void> {
  return runOnce(place, database, `SET search_path = public; ${sql}`, { purpose: 'restore' });
}
