import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

// Real servers for tests, each in a throw-away container with a random name and ephemeral ports on 127.0.0.1.
// The image is built from engines.Dockerfile when it is missing. For tests of this workspace only
// (`import … from '@devstack-core/database-connections/test/engines'`); it is not published.

/** The image of all engines that Debian carries; see engines.Dockerfile. */
export const enginesImage = 'devstack-test/engines:local';

/** What a container is started with. */
export interface EngineOptions {
  /** `devstack-test/engines:local` by default. */
  readonly image?: string;
  /** Run by `sh -ec`; secrets are no concern here, they are the test's own. */
  readonly script: string;
  /** Put into the script's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Container ports to publish. */
  readonly ports: readonly number[];
  readonly network?: string;
  readonly address?: string;
  readonly user?: string;
  /** Waited for in stdout and stderr. */
  readonly ready: RegExp;
}

/** A running server; disposing removes it. */
export interface Engine extends AsyncDisposable {
  readonly name: string;
  /** The published port of a container port. */
  port(containerPort: number): number;
  exec(
    script: string,
    options?: { readonly stdin?: string; readonly user?: string; readonly env?: Readonly<Record<string, string>> },
  ): Promise<string>;
  stop(): Promise<void>;
}

/** Builds the image where it is missing. */
export async function ensureEnginesImage(): Promise<void> {
  if ((await docker(['image', 'ls', '-q', enginesImage])).trim() !== '') return;
  const folder = fileURLToPath(new URL('.', import.meta.url));
  await docker(['build', '-t', enginesImage, '-f', `${folder}engines.Dockerfile`, folder], {
    env: { DOCKER_BUILDKIT: '1' },
  });
}

/** Starts a server and waits until it says that it is ready. */
export async function startEngine({
  image = enginesImage,
  script,
  env = {},
  ports,
  network,
  address,
  user,
  ready,
}: EngineOptions): Promise<Engine> {
  if (image === enginesImage) await ensureEnginesImage();
  const name = uniqueName();
  await docker(
    [
      'run',
      '-d',
      '--name',
      name,
      '--label',
      'devstack-test=engines',
      '--tmpfs',
      '/run',
      '--tmpfs',
      '/data:mode=1777,exec',
      '--entrypoint',
      'sh',
      ...ports.flatMap((port) => ['-p', `127.0.0.1::${String(port)}`]),
      ...Object.keys(env).flatMap((key) => ['-e', key]),
      ...(network === undefined ? [] : ['--network', network]),
      ...(address === undefined ? [] : ['--ip', address]),
      ...(user === undefined ? [] : ['--user', user]),
      image,
      '-ec',
      script,
    ],
    { env },
  );
  const remove = async (): Promise<void> => {
    await docker(['rm', '-fv', name]);
  };
  try {
    await waitForLog(name, ready);
    const published = new Map<number, number>();
    for (const port of ports)
      published.set(
        port,
        Number((await docker(['port', name, String(port)])).trim().split('\n')[0]?.split(':').at(-1)),
      );
    return {
      name,
      port: (containerPort) => published.get(containerPort) ?? 0,
      exec: async (inner, options = {}) =>
        docker(
          [
            'exec',
            '-i',
            ...(options.user === undefined ? [] : ['-u', options.user]),
            ...Object.keys(options.env ?? {}).flatMap((key) => ['-e', key]),
            name,
            'sh',
            '-ec',
            inner,
          ],
          { ...(options.stdin === undefined ? {} : { stdin: options.stdin }), env: options.env ?? {} },
        ),
      stop: async () => {
        await docker(['stop', '-t', '1', name]);
      },
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    const log = await docker(['logs', '--tail', '30', name]).catch(() => '');
    await remove();
    throw new Error(`The server did not get ready: ${String(error)}\n${log}`, { cause: error });
  }
}

/** A network of its own; disposing removes it. */
export async function createNetwork(subnet?: string): Promise<{ name: string } & AsyncDisposable> {
  const name = uniqueName();
  await docker([
    'network',
    'create',
    '--label',
    'devstack-test=engines',
    ...(subnet === undefined ? [] : ['--subnet', subnet]),
    name,
  ]);
  return {
    name,
    [Symbol.asyncDispose]: async () => {
      await docker(['network', 'rm', name]);
    },
  };
}

/** The address of a container in a network. */
export async function addressOf(container: string, network: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return (await docker(['inspect', '-f', format, container])).trim();
}

/** PostgreSQL 17 with `devstack` as superuser; the certificate folder, where given, turns TLS on. */
export async function startPostgres(
  password: string,
  options: { readonly tls?: TestCertificates; readonly network?: string } = {},
): Promise<Engine> {
  const tls =
    options.tls === undefined
      ? ''
      : `${tlsFiles(options.tls)}set -- -c ssl=on -c ssl_cert_file=/data/server.crt -c ssl_key_file=/data/server.key;`;
  return startEngine({
    user: 'postgres',
    ports: [5432],
    ...(options.network === undefined ? {} : { network: options.network }),
    env: { PASSWORD: password, ...tlsEnvironment(options.tls) },
    script: `printf '%s\\n' "$PASSWORD" > /data/pw; initdb -D /data/pg -U devstack --pwfile=/data/pw -A scram-sha-256 -E UTF8 --no-sync >/dev/null; echo 'host all all all scram-sha-256' >> /data/pg/pg_hba.conf; set --; ${tls} exec postgres -D /data/pg -c listen_addresses='*' -c unix_socket_directories=/data -c fsync=off -c log_checkpoints=off "$@"`,
    ready: /ready to accept connections/,
  });
}

/** MariaDB with the user `devstack`, who may do everything; with TLS on the same port where certificates are given. */
export async function startMariadb(
  password: string,
  options: { readonly tls?: TestCertificates } = {},
): Promise<Engine> {
  // The hexadecimal form needs no escaping: a password is not put together into SQL anywhere.
  const hex = Buffer.from(password).toString('hex');
  return startEngine({
    user: 'mysql',
    ports: [3306],
    env: tlsEnvironment(options.tls),
    script: `${tlsFiles(options.tls)}mariadb-install-db --datadir=/data/my --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1; printf "FLUSH PRIVILEGES;\\nSET @p = CONVERT(X'${hex}' USING utf8mb4);\\nEXECUTE IMMEDIATE CONCAT('CREATE USER devstack IDENTIFIED BY ', QUOTE(@p));\\nGRANT ALL ON *.* TO devstack;\\nCREATE DATABASE devstack CHARACTER SET utf8mb4;\\n" > /data/init.sql; exec mariadbd --no-defaults --datadir=/data/my --socket=/data/my.sock --pid-file=/data/my.pid --bind-address=0.0.0.0 --port=3306 --skip-name-resolve --character-set-server=utf8mb4 --init-file=/data/init.sql --innodb-flush-log-at-trx-commit=0 --innodb-log-file-size=8M${options.tls === undefined ? '' : ' --ssl-cert=/data/server.crt --ssl-key=/data/server.key'}`,
    ready: /ready for connections/,
  });
}

/** Redis; with TLS on 6380 where certificates are given, as a cluster node where a network is. */
export async function startRedis(
  password: string,
  options: {
    readonly tls?: TestCertificates;
    readonly cluster?: boolean;
    readonly network?: string;
    readonly acl?: string;
    /** What a cluster node announces beside its address. */
    readonly hostname?: string;
  } = {},
): Promise<Engine> {
  return startEngine({
    ports: [6379, ...(options.tls === undefined ? [] : [6380])],
    ...(options.network === undefined ? {} : { network: options.network }),
    env: { ACL: options.acl ?? `user default on #${sha256(password)} ~* &* +@all\n`, ...tlsEnvironment(options.tls) },
    script: `printf '%s' "$ACL" > /data/users.acl; ${tlsFiles(options.tls)}exec redis-server --dir /data --save '' --protected-mode no --aclfile /data/users.acl ${options.cluster === true ? '--cluster-enabled yes' : ''} ${options.hostname === undefined ? '' : `--cluster-announce-hostname ${options.hostname}`} ${
      options.tls === undefined
        ? ''
        : '--tls-port 6380 --tls-cert-file /data/server.crt --tls-key-file /data/server.key --tls-ca-cert-file /data/server.crt --tls-auth-clients no'
    }`,
    ready: /Ready to accept connections/,
  });
}

/**
 * Three Redis nodes that share the 16384 slots; `natMap` leads from their announced addresses to the published ports. With a certificate
 * for each they speak TLS on 6380 as well and announce the names redis-1 to redis-3; their bus stays plain.
 */
export async function startRedisCluster(
  password: string,
  options: { readonly tls?: readonly TestCertificates[] } = {},
): Promise<RedisClusterEngine> {
  const network = await createNetwork();
  const nodes = await Promise.all(
    [0, 1, 2].map(async (index) => {
      const tls = options.tls?.[index];
      const secure = tls === undefined ? {} : { tls, hostname: `redis-${String(index + 1)}` };
      return startRedis(password, { cluster: true, network: network.name, ...secure });
    }),
  );
  const dispose = async (): Promise<void> => {
    await Promise.all(nodes.map(async (node) => node[Symbol.asyncDispose]()));
    await network[Symbol.asyncDispose]();
  };
  const addresses = await Promise.all(nodes.map(async (node) => addressOf(node.name, network.name)));
  await nodes[0]?.exec(
    `export REDISCLI_AUTH="$PASSWORD"; redis-cli --no-auth-warning --cluster create ${addresses.map((address) => `${address}:6379`).join(' ')} --cluster-yes; until redis-cli --no-auth-warning cluster info | grep -q cluster_state:ok; do sleep 0.1; done`,
    { env: { PASSWORD: password } },
  );
  for (const node of nodes) {
    await node.exec(
      'export REDISCLI_AUTH="$PASSWORD"; until redis-cli --no-auth-warning cluster info | grep -q cluster_state:ok; do sleep 0.1; done',
      {
        env: { PASSWORD: password },
      },
    );
  }
  const mapOf = (port: number): RedisClusterEngine['natMap'] =>
    Object.fromEntries(
      addresses.map((address, index) => [
        `${address}:${String(port)}`,
        { host: '127.0.0.1', port: nodes[index]?.port(port) ?? 0 },
      ]),
    );
  return { nodes, natMap: mapOf(6379), natMapTls: mapOf(6380), [Symbol.asyncDispose]: dispose };
}

/** A running cluster. */
export interface RedisClusterEngine extends AsyncDisposable {
  readonly nodes: readonly Engine[];
  readonly natMap: Readonly<Record<string, { host: string; port: number }>>;
  /** The same for the ports that speak TLS. */
  readonly natMapTls: Readonly<Record<string, { host: string; port: number }>>;
}

/** RabbitMQ with these definitions (JSON) and, where given, more lines of rabbitmq.conf; with TLS on 5671 where certificates are given. */
export async function startRabbitmq(
  definitions: string,
  conf = '',
  options: { readonly tls?: TestCertificates } = {},
): Promise<Engine> {
  const secure =
    options.tls === undefined
      ? ''
      : 'listeners.ssl.default = 5671\nssl_options.certfile = /data/server.crt\nssl_options.keyfile = /data/server.key\n';
  return startEngine({
    ports: options.tls === undefined ? [5672] : [5672, 5671],
    user: 'rabbitmq',
    env: {
      ...tlsEnvironment(options.tls),
      DEFINITIONS: definitions,
      CONF: `${secure}${conf}\nlisteners.tcp.default = 5672\nload_definitions = /data/definitions.json\nlog.console = true\nlog.file = false\n`,
      HOME: '/data',
    },
    script: `${tlsFiles(options.tls)}export RABBITMQ_MNESIA_BASE=/data/mnesia RABBITMQ_LOG_BASE=/data/log RABBITMQ_CONFIG_FILE=/data/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=/data/plugins RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_PID_FILE=/data/rabbit.pid ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 1:1 +A 2 +sbwt none'; printf '[].' > /data/plugins; printf '%s' "$DEFINITIONS" > /data/definitions.json; printf '%s' "$CONF" > /data/rabbitmq.conf; exec $(ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*)/sbin/rabbitmq-server`,
    ready: /Server startup complete|startup complete/,
  });
}

/** PgBouncer in front of a PostgreSQL in the same network; the certificate, where given, is /data/server.crt and /data/server.key. */
export async function startPgbouncer(options: {
  readonly tls?: TestCertificates;
  readonly userlist: string;
  readonly ini: string;
  readonly network: string;
}): Promise<Engine> {
  return startEngine({
    user: 'postgres',
    network: options.network,
    ports: [6432],
    env: { USERLIST: options.userlist, INI: options.ini, ...tlsEnvironment(options.tls) },
    script: `${tlsFiles(options.tls)}printf '%s' "$USERLIST" > /data/userlist.txt; printf '%s' "$INI" > /data/pgbouncer.ini; exec pgbouncer /data/pgbouncer.ini`,
    ready: /process up/,
  });
}

/** FerretDB on a PostgreSQL of its own, in one network, with the user `devstack` (made by FerretDB's own set-up); TLS on 27018. */
export async function startFerretdb(
  password: string,
  options: { readonly tls?: TestCertificates } = {},
): Promise<Engine> {
  const network = await createNetwork();
  const postgres = await startPostgres('ferretdb-postgres', { network: network.name });
  const address = await addressOf(postgres.name, network.name);
  await postgres.exec('psql -h /data -U devstack -d postgres -c "CREATE DATABASE ferretdb"', {
    env: { PGPASSWORD: 'ferretdb-postgres' },
  });
  const dispose = async (): Promise<void> => {
    await postgres[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  };
  try {
    const ferretdb = await startEngine({
      image: 'devstack/mongodb:local',
      network: network.name,
      ports: options.tls === undefined ? [27017] : [27017, 27018],
      env: { FERRETDB_SETUP_PASSWORD: password, ...tlsEnvironment(options.tls) },
      script: `${tlsFiles(options.tls)}exec ferretdb --listen-addr=:27017 ${options.tls === undefined ? '' : '--listen-tls=:27018 --listen-tls-cert-file=/data/server.crt --listen-tls-key-file=/data/server.key'} --handler=postgresql --postgresql-url='postgres://devstack:ferretdb-postgres@${address}:5432/ferretdb' --test-enable-new-auth --setup-username=devstack --setup-database=admin --telemetry=disable --state-dir=/data --debug-addr=-`,
      ready: /Listening on TCP/,
    });
    return {
      ...ferretdb,
      [Symbol.asyncDispose]: async () => {
        await ferretdb[Symbol.asyncDispose]();
        await dispose();
      },
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** A certificate for 127.0.0.1 and localhost, and the authority that signed it. */
export interface TestCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes an authority and a server certificate with the openssl of the image. */
export async function makeCertificates(): Promise<TestCertificates> {
  const [certificates] = await makeCertificatesFor(['DNS:localhost,IP:127.0.0.1']);
  return certificates ?? { ca: '', cert: '', key: '' };
}

/** Makes one authority, and a server certificate for each of these lists of alternative names (`DNS:redis-1,DNS:localhost`). */
export async function makeCertificatesFor(names: readonly string[]): Promise<readonly TestCertificates[]> {
  await ensureEnginesImage();
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
  const authority = `openssl req -x509 ${key} -keyout ca.key -out ca.crt -days 2 -subj /CN=devstack-test-authority; cat ca.crt`;
  const each = names.map(
    (list) =>
      `openssl req ${key} -keyout s.key -out s.csr -subj /CN=localhost; printf 'subjectAltName=${list}' > ext; openssl x509 -req -in s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out s.crt; echo ====; cat s.crt; echo ----; cat s.key`,
  );
  const script = `cd /tmp; exec 2>/dev/null; ${[authority, ...each].join('; ')}`;
  const [ca = '', ...pairs] = (await docker(['run', '--rm', '--entrypoint', 'sh', enginesImage, '-c', script])).split(
    '====\n',
  );
  return pairs.map((pair) => {
    const [cert = '', privateKey = ''] = pair.split('----\n-----BEGIN PR');
    return { ca, cert, key: `-----BEGIN PR${privateKey}` };
  });
}

/** Runs `docker`; rejects with its messages when it fails, and with what to do when there is none. */
export async function docker(
  argv: readonly string[],
  options: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const child = spawn('docker', argv, { env: { ...process.env, ...options.env }, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exit = Promise.withResolvers<number | null>();
  child.on('error', (error) => {
    exit.reject(new Error(`Docker cannot be run (${error.message}); ./scripts/setup installs it.`));
  });
  child.on('close', exit.resolve);
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const code = await exit.promise;
  if (code !== 0) throw new Error(`docker ${argv[0] ?? ''} failed (${String(code)}): ${stderr.trim()}`);
  return stdout;
}

/** Text that must not be found anywhere else: a name for containers, and passwords of tests. */
export function uniqueName(): string {
  return `devstack-test-${randomBytes(6).toString('hex')}`;
}

async function waitForLog(name: string, ready: RegExp): Promise<void> {
  const child = execFile('docker', ['logs', '-f', name], { maxBuffer: 64 * 1024 * 1024 });
  const found = Promise.withResolvers<undefined>();
  let text = '';
  const look = (chunk: string): void => {
    text += chunk;
    if (ready.test(text)) found.resolve(undefined);
  };
  child.stdout?.on('data', look);
  child.stderr?.on('data', look);
  child.on('close', () => {
    found.reject(new Error('the container ended'));
  });
  const timer = setTimeout(() => {
    found.reject(new Error(`nothing in the log matched ${String(ready)} within 90 s`));
  }, 90_000);
  try {
    await found.promise;
  } finally {
    clearTimeout(timer);
    child.kill();
    found.promise.catch(() => undefined);
  }
}

function tlsEnvironment(tls: TestCertificates | undefined): Record<string, string> {
  return tls === undefined ? {} : { TLS_CERT: tls.cert, TLS_KEY: tls.key };
}

/** Writes /data/server.crt and /data/server.key from the environment. */
function tlsFiles(tls: TestCertificates | undefined): string {
  return tls === undefined
    ? ''
    : 'printf "%s" "$TLS_CERT" > /data/server.crt; (umask 077; printf "%s" "$TLS_KEY" > /data/server.key); ';
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
