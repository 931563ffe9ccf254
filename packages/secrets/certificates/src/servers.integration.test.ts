import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectPostgres } from '@devstack-core/database-connections';
import { startEngine, startPostgres, startRedis, type Engine } from '@devstack-core/database-connections/test/engines';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rootFolder, type RootFolder } from '../test/served.ts';
import {
  issueFromRoot,
  probePlaintext,
  probeTls,
  readLeaf,
  renew,
  verifyServed,
  type InstalledLeaf,
  type RenewOptions,
  type PlaintextProtocol,
  type StartTls,
  type TlsVerdictKind,
} from './index.ts';

const password = 'a-password-of-this-test';
let folder: RootFolder;
beforeAll(async () => {
  folder = await rootFolder();
});
afterAll(async () => folder[Symbol.asyncDispose]());

interface Served {
  readonly name: string;
  readonly starttls?: StartTls;
  readonly containerPort: number;
  /** What a probe for TLS finds where there is none. */
  readonly plainVerdict: TlsVerdictKind;
  readonly protocol: PlaintextProtocol;
  /** Makes the server refuse plain text, in the container. */
  readonly requireTls: string;
  /** Reads /data/server.crt and /data/server.key again, in the container. */
  readonly reload: string;
  start(tls: { ca: string; cert: string; key: string }): Promise<Engine>;
  startPlain(): Promise<Engine>;
}

const servers: readonly Served[] = [
  {
    name: 'PostgreSQL',
    starttls: 'postgres',
    containerPort: 5432,
    protocol: 'postgres',
    requireTls: "sed -i 's/^host /hostssl /' /data/pg/pg_hba.conf; kill -HUP 1",
    plainVerdict: 'plaintext',
    reload: 'kill -HUP 1',
    start: (tls) => startPostgres(password, { tls }),
    startPlain: () => startPostgres(password),
  },
  {
    name: 'MariaDB',
    starttls: 'mysql',
    containerPort: 3306,
    protocol: 'mysql',
    requireTls:
      'mariadb --no-defaults --skip-ssl --socket=/data/my.sock -u root -e "SET GLOBAL require_secure_transport=ON"',
    plainVerdict: 'plaintext',
    reload: 'mariadb --no-defaults --skip-ssl --socket=/data/my.sock -u root -e "FLUSH SSL"',
    start: ({ cert, key }) =>
      startEngine({
        user: 'mysql',
        ports: [3306],
        env: { TLS_CERT: cert, TLS_KEY: key },
        script:
          'printf "%s" "$TLS_CERT" > /data/server.crt; (umask 077; printf "%s" "$TLS_KEY" > /data/server.key); printf "FLUSH PRIVILEGES;\\nCREATE USER anyone;\\n" > /data/init.sql; mariadb-install-db --datadir=/data/my --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1; exec mariadbd --no-defaults --datadir=/data/my --socket=/data/my.sock --bind-address=0.0.0.0 --port=3306 --skip-name-resolve --innodb-log-file-size=8M --init-file=/data/init.sql --ssl-cert=/data/server.crt --ssl-key=/data/server.key',
        ready: /ready for connections/,
      }),
    // From 11.4 on MariaDB makes itself a certificate when it has none: plain text must be asked for.
    startPlain: () =>
      startEngine({
        user: 'mysql',
        ports: [3306],
        script:
          'printf "FLUSH PRIVILEGES;\\nCREATE USER anyone;\\n" > /data/init.sql; mariadb-install-db --datadir=/data/my --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1; exec mariadbd --no-defaults --datadir=/data/my --socket=/data/my.sock --bind-address=0.0.0.0 --port=3306 --skip-ssl --innodb-log-file-size=8M --init-file=/data/init.sql',
        ready: /ready for connections/,
      }),
  },
  {
    name: 'Redis',
    containerPort: 6380,
    protocol: 'redis',
    // A port speaks either the one or the other.
    requireTls: 'true',
    // It takes the greeting for the beginning of a line and waits for its end.
    plainVerdict: 'timeout',
    reload: `REDISCLI_AUTH=${password} redis-cli -p 6379 config set tls-cert-file /data/server.crt tls-key-file /data/server.key | grep -q OK`,
    start: (tls) => startRedis(password, { tls }),
    startPlain: async () => {
      const engine = await startRedis(password);
      return { ...engine, port: () => engine.port(6379) };
    },
  },
];

describe.each(servers)('$name', (server) => {
  let engine: Engine;
  let options: RenewOptions;
  const target = () => ({
    host: '127.0.0.1',
    port: engine.port(server.containerPort),
    servername: 'server',
    ca: folder.root.bundlePem,
    ...(server.starttls === undefined ? {} : { starttls: server.starttls }),
  });
  const issue = () => issueFromRoot({ root: folder.root, commonName: 'server', ipAddresses: ['127.0.0.1'] });
  const put = async ({ paths }: InstalledLeaf): Promise<void> => {
    for (const [path, name] of [
      [paths.certificate, 'server.crt'],
      [paths.key, 'server.key'],
    ] as const)
      await engine.exec(`umask 077; cat > /data/${name}.new; mv /data/${name}.new /data/${name}`, {
        stdin: await readFile(path, 'utf8'),
      });
    await engine.exec(server.reload);
  };

  beforeAll(async () => {
    const directory = join(folder.path, server.name);
    const { installed } = await renew({ directory, issue });
    const [cert, key] = await Promise.all(
      [installed.paths.certificate, installed.paths.key].map((path) => readFile(path, 'utf8')),
    );
    engine = await server.start({ ca: installed.caBundlePem, cert: cert ?? '', key: key ?? '' });
    options = {
      directory,
      issue,
      reload: put,
      verify: ({ serial }) => verifyServed({ ...target(), serial, deadlineMs: 20_000 }),
    };
  });
  afterAll(async () => engine[Symbol.asyncDispose]());

  it('is told from one with another root, another name, and one that speaks plain text', async () => {
    await using other = await rootFolder();
    const { serial } = await readLeaf(options.directory);
    expect(await probeTls(target())).toMatchObject({ verdict: 'ok', certificate: { serial } });
    expect((await probeTls({ ...target(), ca: other.root.bundlePem })).verdict).toBe('untrusted');
    expect((await probeTls({ ...target(), servername: 'elsewhere' })).verdict).toBe('name-mismatch');
    await using plain = await server.startPlain();
    const port = plain.port(server.containerPort);
    expect((await probeTls({ ...target(), port, timeoutMs: 2000 })).verdict).toBe(server.plainVerdict);
  });

  it('takes a new certificate without a restart, and gets the old one back when it cannot read the new', async () => {
    const old = await readLeaf(options.directory);
    const { installed } = await renew({ ...options, force: true });
    expect(installed.serial).not.toBe(old.serial);
    expect(await probeTls(target())).toMatchObject({ verdict: 'ok', certificate: { serial: installed.serial } });

    let calls = 0;
    const reload = async (leaf: InstalledLeaf): Promise<void> => {
      calls++;
      if (calls > 1) return put(leaf);
      await engine.exec('cat > /data/server.crt', { stdin: 'garbage' });
      await engine.exec(server.reload);
    };
    const verify: RenewOptions['verify'] = ({ serial }) => verifyServed({ ...target(), serial, deadlineMs: 3000 });
    await expect(renew({ ...options, reload, verify, force: true })).rejects.toMatchObject({
      code: 'CERTIFICATE_ROLLED_BACK',
      details: { oldServed: true },
    });
    expect(await probeTls(target())).toMatchObject({ verdict: 'ok', certificate: { serial: installed.serial } });
  });

  it('refuses plain text once it must, and the control goes on', async () => {
    const { protocol } = server;
    await engine.exec(server.requireTls);
    const refused = async () =>
      (await probePlaintext({ host: '127.0.0.1', port: engine.port(server.containerPort), protocol })).verdict;
    // A reload takes its time.
    await expect.poll(refused, { timeout: 10_000 }).toBe('refused');
    expect((await probeTls(target())).verdict).toBe('ok');
    await using plain = await server.startPlain();
    const port = plain.port(server.containerPort);
    expect((await probePlaintext({ host: '127.0.0.1', port, protocol })).verdict).toBe('accepted');
  });

  it('an expired certificate is named', async () => {
    const past = () =>
      issueFromRoot({ root: folder.root, commonName: 'server', ttlS: 60, now: new Date(Date.now() - 3_600_000) });
    const now = () => new Date(Date.now() - 3_600_000);
    const { verify: _ok, ...rest } = options;
    const { installed } = await renew({ ...rest, issue: past, now, force: true });
    await expect(verifyServed({ ...target(), serial: installed.serial, deadlineMs: 20_000 })).rejects.toMatchObject({
      details: { verdict: 'expired' },
    });
    expect(await renew(options)).toMatchObject({ outcome: 'renewed', reason: 'due' });
  });
});

describe('PostgreSQL under load', () => {
  it('serves every new connection that verifies name and chain, and keeps one that was there, over five renewals', async () => {
    const directory = join(folder.path, 'under-load');
    const issue = () => issueFromRoot({ root: folder.root, commonName: 'server', ipAddresses: ['127.0.0.1'] });
    const { installed } = await renew({ directory, issue });
    const [cert = '', key = ''] = await Promise.all(
      [installed.paths.certificate, installed.paths.key].map((path) => readFile(path, 'utf8')),
    );
    await using engine = await startPostgres(password, { tls: { ca: '', cert, key } });
    const connection = {
      host: '127.0.0.1',
      port: engine.port(5432),
      username: 'devstack',
      password: new Secret(password),
      database: 'postgres',
      tls: { ca: folder.root.bundlePem, servername: 'server' },
    };
    await using lasting = await connectPostgres(connection);
    const [before] = await lasting.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const end = new AbortController();
    let queries = 0;
    const clients = Array.from({ length: 3 }, async () => {
      while (!end.signal.aborted) {
        await using one = await connectPostgres(connection);
        await one.query('SELECT 1');
        queries++;
      }
    });
    const failed = Promise.all(clients);
    const serials = new Set<string>();
    for (let round = 0; round < 5; round++) {
      const { installed: next } = await renew({
        directory,
        issue,
        force: true,
        reload: async ({ paths }) => {
          for (const [path, name] of [
            [paths.certificate, 'server.crt'],
            [paths.key, 'server.key'],
          ] as const)
            await engine.exec(`umask 077; cat > /data/new; mv /data/new /data/${name}`, {
              stdin: await readFile(path, 'utf8'),
            });
          // Its processes inherit what the first one read: between the two files nothing is read.
          await engine.exec('kill -HUP 1');
        },
        verify: ({ serial }) =>
          verifyServed({
            host: '127.0.0.1',
            port: engine.port(5432),
            servername: 'server',
            ca: folder.root.bundlePem,
            starttls: 'postgres',
            serial,
          }),
      }).catch((error: unknown) => {
        end.abort();
        throw error;
      });
      serials.add(next.serial);
    }
    end.abort();
    await failed;
    expect(serials.size).toBe(5);
    expect(queries).toBeGreaterThan(20);
    const [after] = await lasting.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    expect(after).toEqual(before);
  });
});
