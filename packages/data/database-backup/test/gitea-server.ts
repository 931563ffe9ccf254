import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { DockerEngine } from '@devstack-core/docker-engine';
import type { GiteaPlace } from '../src/gitea/gitea-place.ts';
import { startThrowaway, throwawayLabels } from '../src/throwaway.ts';

/** Gitea with a PostgreSQL of its own, that share a socket and no network. */
export interface GiteaServer extends AsyncDisposable {
  readonly place: GiteaPlace & { readonly container: string };
  readonly password: string;
  /** Starts it, where it does not run, and waits until it serves. */
  start(): Promise<void>;
  /** An URL that leads to it for as long as the callback runs. */
  at<T>(work: (origin: string) => Promise<T>): Promise<T>;
  api(verb: string, path: string, body?: unknown): Promise<unknown>;
}

const user = 'admin';

export async function createGiteaServer(
  docker: DockerEngine,
  labels: Readonly<Record<string, string>>,
): Promise<GiteaServer> {
  await using stack = new AsyncDisposableStack();
  const id = randomBytes(4).toString('hex');
  const volume = async (name: string): Promise<string> => {
    await docker.ensureVolume({ name: `gitea-test-${id}-${name}`, labels });
    stack.defer(() => docker.removeVolume(`gitea-test-${id}-${name}`));
    return `gitea-test-${id}-${name}`;
  };
  const [socket, data] = [await volume('socket'), await volume('data')];
  await docker.runEphemeral({
    image: 'devstack/base:local',
    argv: ['chmod', '1777', '/sock'],
    binds: [`${socket}:/sock`],
    user: '0:0',
    labels,
  });
  const postgres = stack.use(
    await startThrowaway({
      docker,
      image: 'devstack/postgres:local',
      labels,
      what: 'PostgreSQL for Gitea',
      argv: [
        'sh',
        '-c',
        `set -e; d=/tmp/data; initdb -D $d -U postgres --encoding UTF8 --locale C.UTF-8 --auth trust --no-sync >&2
exec postgres -D $d -c listen_addresses= -c unix_socket_directories=/sock -c fsync=off`,
      ],
      user: 'postgres',
      binds: [`${socket}:/sock`],
      tmpfs: { '/run/credentials': 'mode=1777,size=1m' },
      ready: async (container) => {
        const made = await docker.exec(container, [
          'sh',
          '-c',
          'psql -h /sock -U postgres -c "CREATE ROLE forgejo LOGIN" && createdb -h /sock -U postgres -O forgejo forgejo',
        ]);
        return made.exitCode === 0;
      },
    }),
  );
  const server = stack.use(
    await docker.ephemeralContainer({
      image: 'devstack/forgejo:local',
      entrypoint: ['sh'],
      argv: [
        '-c',
        'until [ -e /run/credentials/go ]; do sleep 0.1; done; exec gitea web --config /run/credentials/app.ini --work-path /var/lib/devstack',
      ],
      labels: throwawayLabels(labels),
      user: '3000:3000',
      network: 'none',
      capDrop: ['ALL'],
      binds: [`${socket}:/sock`, `${data}:/var/lib/devstack`],
      tmpfs: { '/run/credentials': 'uid=3000,gid=3000,mode=0700,size=1m', '/tmp': 'mode=1777,size=64m' },
      memoryBytes: 768 * 1024 ** 2,
    }),
  );
  const password = randomBytes(16).toString('hex');
  const settings = await appIni(password);
  const inServer = async (argv: readonly [string, ...string[]], stdin?: string): Promise<string> => {
    const { exitCode, stdout, stderr } = await docker.exec(server.id, argv, stdin === undefined ? {} : { stdin });
    if (exitCode !== 0) throw new Error(`${argv.join(' ')}: ${stdout} ${stderr}`);
    return stdout;
  };
  const at: GiteaServer['at'] = async (work) => {
    await using forward = await docker.forward(server.id, 3000);
    return await work(`http://127.0.0.1:${String(forward.port)}`);
  };
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const api: GiteaServer['api'] = async (verb, path, body) =>
    at(async (origin) => {
      const answer = await fetch(`${origin}/${path}`, {
        method: verb,
        headers: { authorization, ...(body instanceof FormData ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${verb} ${path}: ${String(answer.status)} ${text}`);
      return text === '' ? undefined : (JSON.parse(text) as unknown);
    });
  const open = stack.move();
  return {
    place: {
      docker,
      container: server.id,
      image: 'devstack/forgejo:local',
      volume: data,
      database: 'forgejo',
      labels,
      postgres: {
        docker,
        container: postgres.id,
        username: 'postgres',
        password: undefined,
        scratch: '/run/credentials',
        host: '/sock',
      },
    },
    password,
    at,
    api,
    async start() {
      await docker.startContainer(server.id);
      // The folder is empty after each start.
      await inServer(['sh', '-c', 'umask 077; cat > /run/credentials/app.ini; touch /run/credentials/go'], settings);
      const deadline = performance.now() + 120_000;
      for (;;) {
        const healthy = await at(async (origin) => (await fetch(`${origin}/api/healthz`)).ok).catch(() => false);
        if (healthy) break;
        if (performance.now() > deadline) throw new Error(await docker.logs(server.id, { tail: 20 }));
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      const flags = ['--config', '/run/credentials/app.ini', '--work-path', '/var/lib/devstack'];
      const users = await inServer(['gitea', 'admin', 'user', 'list', ...flags]);
      if (!users.includes(` ${user} `))
        await inServer([
          ...(['gitea', 'admin', 'user', 'create', '--admin', '--username', user, '--password', password] as const),
          ...['--email', 'admin@example.invalid', '--must-change-password=false', ...flags],
        ]);
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

// The same keys for the same password, so that a second server reads what the first one wrote.
async function appIni(password: string): Promise<string> {
  const common = await readFile(new URL('../../../../configs/forgejo/app.ini', import.meta.url), 'utf8');
  const key = (purpose: string): string => createHash('sha256').update(purpose).digest('base64url');
  return `${common}
[server]
ROOT_URL = http://127.0.0.1:3000/
HTTP_ADDR = 127.0.0.1
START_SSH_SERVER = false
LFS_JWT_SECRET = ${key('lfs')}
[database]
HOST = /sock
NAME = forgejo
USER = forgejo
[security]
SECRET_KEY = ${key(`secret ${String(password.length)}`)}
[oauth2]
JWT_SECRET = ${key('oauth2')}
`;
}
