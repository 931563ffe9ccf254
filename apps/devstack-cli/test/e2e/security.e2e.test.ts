import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createRoot,
  issueFromRoot,
  probeTls,
  type LeafCertificate,
  type RootAuthority,
  type StartTls,
} from '@devstack-core/certificates';
import {
  connectAmqp,
  connectMongo,
  connectMysql,
  connectPostgres,
  connectRedis,
} from '@devstack-core/database-connections';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeResult } from '../support/cli.ts';
import { issueByStackRoot, plantCertificate } from '../support/planted-certificate.ts';
import { docker, program, until } from '../support/programs.ts';
import { readAllSecrets, type Credentials } from '../support/secrets.ts';
import { createTestStack, type TestStack } from '../support/test-stack.ts';

// One standard stack that refuses plain connections: what it proves of itself, and that each proof can fail.

interface Report {
  readonly verdict: string;
  readonly findings: readonly {
    readonly ruleId: string;
    readonly subject: string;
    readonly message: string;
    readonly remediation: string;
  }[];
  readonly notChecked: readonly { readonly subject: string; readonly reason: string }[];
}
interface CertsStatus {
  readonly services: readonly {
    readonly service: string;
    readonly verdict: string;
    readonly state: string;
    readonly serial: string;
  }[];
}

type Server = readonly [service: string, port: number, startTls?: StartTls | undefined];

const servers: readonly Server[] = [
  ['vault', 8210],
  ['postgres', 5432, 'postgres'],
  ['pgbouncer', 6432, 'postgres'],
  ['redis-1', 6390],
  ['redis-2', 6391],
  ['redis-3', 6392],
  ['mysql', 3306, 'mysql'],
  ['mongodb', 27_018],
  ['rabbitmq', 5671],
  ['forgejo', 3443],
];

let stack: TestStack;
let secrets: Readonly<Record<string, Credentials>>;
let ca: string;

beforeAll(async () => {
  stack = await createTestStack({ DEVSTACK_TLS: 'required' });
  await stack.expectRun(0, ['up']);
  ca = readFileSync(join(stack.folder, 'certificates/ca.crt'), 'utf8');
  secrets = await readAllSecrets(stack);
});

afterAll(async () => {
  await stack.remove();
}, 180_000);

const container = (service: string): string => `${stack.project}-${service}-1`;

function probe(
  [service, port, starttls]: Server,
  other: Partial<Parameters<typeof probeTls>[0]> = {},
): ReturnType<typeof probeTls> {
  return probeTls({
    host: '127.0.0.1',
    port: stack.port(port),
    servername: service,
    ca,
    ...(starttls === undefined ? {} : { starttls }),
    ...other,
  });
}

function login(service: string): { host: string; username: string; password: Secret } {
  const { username = '', password = '' } = secrets[service] ?? {};
  return { host: '127.0.0.1', username, password: new Secret(password) };
}

const tls = (service: string) => ({ ca, servername: service });
// How the tools of this machine reach each, by its password.
const connections = {
  postgres: (encrypted: boolean) =>
    connectPostgres({ ...login('postgres'), port: stack.port(5432), database: 'devstack', tls: encrypted && tls('postgres') }),
  pgbouncer: (encrypted: boolean) =>
    connectPostgres({ ...login('postgres'), port: stack.port(6432), database: 'devstack', tls: encrypted && tls('pgbouncer') }),
  mysql: (encrypted: boolean) => connectMysql({ ...login('mysql'), port: stack.port(3306), tls: encrypted && tls('mysql') }),
  mongodb: (encrypted: boolean) =>
    connectMongo({ ...login('mongodb'), port: stack.port(encrypted ? 27_018 : 27_017), tls: encrypted && tls('mongodb') }),
  'redis-1': (encrypted: boolean) =>
    connectRedis({ ...login('redis'), port: stack.port(encrypted ? 6390 : 6379), tls: encrypted && tls('redis-1') }),
  rabbitmq: (encrypted: boolean) =>
    connectAmqp({ ...login('rabbitmq'), port: stack.port(encrypted ? 5671 : 5672), tls: encrypted && tls('rabbitmq') }),
} satisfies Readonly<Record<string, (encrypted: boolean) => Promise<AsyncDisposable>>>; // prettier-ignore

describe('TLS, required', () => {
  // The first of all: later on, the logs tell of the clients that are refused here.
  test('no log of a service complains about a certificate', async () => {
    const logs = await Promise.all(
      servers.map(([service]) => program('sh', ['-c', 'docker logs "$0" 2>&1', container(service)])),
    );
    const lines = logs.join('\n').split('\n');
    expect(lines.filter((line) => /ready to accept connections tls/i.test(line)).length).toBeGreaterThan(0);
    const complaints = lines.filter(
      (line) =>
        /certificate|x509|\btls\b|\bssl\b/i.test(line) && /warn|error|fail|invalid|expired|unknown|refused/i.test(line),
    );
    expect(complaints).toEqual([]);
  });

  test('every service presents a certificate that clients accept', async () => {
    const { services } = await stack.json<CertsStatus>(['certs', 'status']);
    expect(services.map(({ service, verdict, state }) => [service, verdict, state])).toEqual(
      servers.map(([service]) => [service, 'ok', 'ok']),
    );
  });

  test.each(servers.map((server) => ({ service: server[0], server })))(
    '$service: a client that trusts another root, or expects another name, refuses it',
    async ({ server }) => {
      await using stranger = await strangeRoot();
      expect((await probe(server)).verdict).toBe('ok');
      expect((await probe(server, { ca: stranger.bundlePem })).verdict).toBe('untrusted');
      expect((await probe(server, { servername: 'somebody-else' })).verdict).toBe('name-mismatch');
      expect((await probe(server, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' })).verdict).not.toBe('ok');
    },
  );

  test.each(Object.entries(connections))(
    '%s refuses the right password over a plain connection',
    async (_, connect) => {
      await using encrypted = await connect(true);
      expect(encrypted).toBeDefined();
      await expect(connect(false)).rejects.toMatchObject({
        code: expect.stringMatching(/CONNECTION_|TLS_|AUTHENTICATION_|DATABASE_ERROR/) as unknown,
      });
    },
  );

  test.each([
    ['vault', 8200, '/v1/sys/health'],
    ['forgejo', 3000, '/api/healthz'],
    ['rabbitmq', 15_672, '/api/overview'],
  ])('%s does not answer plain HTTP', async (_service, port, path) => {
    await expect(fetch(`http://127.0.0.1:${String(stack.port(port))}${path}`)).rejects.toThrow();
  });
});

describe("the stack's own clients of PostgreSQL", () => {
  // Each goes to PostgreSQL for what is asked of it here.
  const clients: Readonly<Record<string, () => Promise<unknown>>> = {
    pgbouncer: async () => {
      await using connection = await connections.pgbouncer(true);
      await connection.query('SELECT 1');
    },
    mongodb: async () => {
      await using connection = await connections.mongodb(true);
      await connection.db('test').collection('e2e').insertOne({ at: Date.now() });
    },
    forgejo: () => isForgejoHealthy(),
  };
  const works = (name: string): Promise<boolean> =>
    (clients[name] ?? (() => Promise.reject(new Error(name))))().then(
      () => true,
      () => false,
    );
  /** Gitea's web server only says that the connection was bad: its own command line says why. */
  const saidBy = async (name: string, since: string): Promise<string> =>
    name === 'forgejo'
      ? docker(
          ...[
            'exec',
            '-e',
            'GITEA_WORK_DIR=/var/lib/devstack',
            '-e',
            'PGSSLROOTCERT=/run/approle/ca.pem',
            container(name),
          ],
          ...['gitea', 'admin', 'user', 'list', '--config', '/run/credentials/app.ini'],
        ).catch((error: unknown) => String(error))
      : program('sh', ['-c', 'docker logs --since "$0" "$1" 2>&1', since, container(name)]);
  const presented = async (): Promise<string> =>
    (await probe(['postgres', 5432, 'postgres'])).certificate?.serial ?? '';

  test.each<[wrong: string, make: () => Promise<LeafCertificate>, why: RegExp]>([
    [
      'of another root',
      strangeCertificate,
      /certificate verif(y|ication) failed|signed by unknown authority|unable to get local issuer|self-signed/i,
    ],
    [
      'for another name',
      () => issueByStackRoot(stack, 'somebody-else'),
      /not present in server certificate|is valid for somebody-else, localhost, not postgres|hostname mismatch/i,
    ],
  ])('refuse a server certificate %s, each for that reason, and accept the right one', async (_wrong, make, why) => {
    const names = Object.keys(clients);
    expect(await Promise.all(names.map(works))).toEqual(names.map(() => true));
    await using postgres = await connections.postgres(true);
    const right = await presented();
    const { putBack } = await plantCertificate(container('postgres'), await make());
    try {
      await until('the planted certificate', async () => (await presented()) !== right);
      const since = new Date().toISOString();
      // A connection that is there verifies nothing any more.
      await postgres.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
      );
      expect(await Promise.all(names.map(works))).toEqual(names.map(() => false));
      for (const name of names) {
        expect(await saidBy(name, since), name).toMatch(why);
      }
    } finally {
      await putBack();
    }
    await until('the right certificate', async () => (await presented()) === right);
    for (const name of names) await until(`${name} to work again`, () => works(name));
  });
});

describe('the audits', () => {
  test('find nothing on a stack as it was brought up, and leave nothing out', async () => {
    const report = await stack.json<Report>(['audit', 'all']);
    expect(report.findings).toEqual([]);
    expect(report.notChecked).toEqual([]);
  });

  test('find a canary on every surface', async () => {
    const result = await stack.json<{ surfaces: readonly { found: boolean }[] }>([
      'audit',
      'credentials',
      '--self-test',
    ]);
    expect(result.surfaces.length).toBeGreaterThan(15);
    expect(result.surfaces.filter(({ found }) => !found)).toEqual([]);
  });

  test('name a secret in an environment, a label, a log, an argument and a readable file, each with its place', async () => {
    const password = secrets['postgres']?.['password'] ?? '';
    const name = `${stack.project}-planted`;
    const encoded = Buffer.from(`x${password}`).toString('base64');
    await program('docker', [
      'run', '-d', '--name', name, '--label', `com.docker.compose.project=${stack.project}`, '--label', `note=${password}`,
      '-e', `PLANTED=${password}`, '-v', `${name}:/planted`, '--entrypoint', 'sh', 'devstack/base:local',
      '-c', `echo ${encoded}; echo "$PLANTED" > /planted/file; chmod 644 /planted/file; exec sleep 300`,
    ]); // prettier-ignore
    try {
      await docker('exec', name, 'sh', '-c', `true ${password}`);
      const result = await stack.expectRun(3, ['audit', 'credentials', '--json']);
      const { findings } = JSON.parse(result.stdout) as Report;
      const rules = findings.filter(({ subject }) => subject.includes('planted')).map(({ ruleId }) => ruleId);
      expect(rules).toEqual(
        expect.arrayContaining([
          'secret-in-environment',
          'secret-in-label',
          'secret-in-log',
          'secret-in-process-environment',
          'secret-in-exec',
          'secret-in-readable-file',
        ]),
      );
      expect(findings.every(({ message }) => message.includes('secret/services/postgres'))).toBe(true);
      expect(result.stdout).not.toContain(password);
    } finally {
      await docker('rm', '-f', '-v', name);
      await docker('volume', 'rm', '-f', name);
    }
  });

  test('name a capability that was added at run time', async () => {
    const name = `${stack.project}-added`;
    await docker(
      'create', '--name', name, '--label', `com.docker.compose.project=${stack.project}`, '--label', 'com.docker.compose.service=redis-1',
      '--cap-add', 'SYS_ADMIN', 'devstack/base:local', 'true',
    ); // prettier-ignore
    try {
      const result = await stack.expectRun(3, ['audit', 'capabilities', '--json']);
      const { findings } = JSON.parse(result.stdout) as Report;
      expect(findings.some(({ message }) => message.includes('SYS_ADMIN'))).toBe(true);
    } finally {
      await docker('rm', '-f', name);
    }
  });

  test('name a network that was joined at run time', async () => {
    await docker('network', 'connect', `${stack.project}_cache`, container('mysql'));
    try {
      const result = await stack.expectRun(3, ['audit', 'network', '--json']);
      const { findings } = JSON.parse(result.stdout) as Report;
      expect(findings.some(({ subject, message }) => `${subject} ${message}`.includes('mysql'))).toBe(true);
    } finally {
      await docker('network', 'disconnect', `${stack.project}_cache`, container('mysql'));
    }
    expect((await stack.json<Report>(['audit', 'network'])).findings).toEqual([]);
  });

  test('say so when Vault is sealed or stopped, and fail with the next step', async () => {
    await docker('restart', container('vault'));
    for (const args of [
      ['audit', 'credentials'],
      ['audit', 'all'],
      ['certs', 'rotate-ca', '--yes'],
    ]) {
      const { stderr, stdout } = await stack.expectRun(1, args);
      expect(stderr).toMatch(/^error [^\n]*\[VAULT_(SEALED|UNREACHABLE)\]\n {2}next: [^\n]*\n$/);
      expect(stdout).toBe('');
    }
    await stack.expectRun(0, ['down', 'vault']);
    const { stderr } = await stack.expectRun(1, ['audit', 'credentials']);
    expect(stderr).toBe(
      'error vault does not run. [STACK_NOT_RUNNING]\n  next: Bring it up first: devstack up vault\n',
    );
    await stack.expectRun(0, ['up']);
  });

  test('follow what a command starts: a secret in an argument is found, and a clean command is none', async () => {
    const password = secrets['postgres']?.['password'] ?? '';
    const clean = await stack.run(['audit', 'credentials', '--watch', '--format', 'json', '--', 'sleep', '0.2']);
    expect(clean.exitCode, describeResult(clean)).not.toBe(3);
    const leaky = await stack.run([
      'audit',
      'credentials',
      '--watch',
      '--format',
      'json',
      '--',
      'sh',
      '-c',
      `sleep 0.3 # ${password}`,
    ]);
    stack.history.pop();
    expect(leaky.exitCode).toBe(3);
    expect(leaky.stdout).toContain('secret/services/postgres');
    expect(leaky.stdout).not.toContain(password);
  });

  test('advise which capabilities a service needs: none, and it is left as it was', async () => {
    const before = await docker('inspect', '--format', '{{.Id}}', container('redis-2'));
    const advice = await stack.json(['audit', 'capabilities', '--advise', 'redis-2', '--candidates', 'CHOWN', '--yes']);
    expect(advice).toMatchObject({ service: 'redis-2', declared: [], capAdd: [], needless: ['CHOWN'] });
    expect(await docker('inspect', '--format', '{{.Id}}', container('redis-2'))).toBe(before);
    await stack.expectRun(2, ['audit', 'capabilities', '--advise', 'redis-2']);
    await stack.expectRun(2, ['audit', 'capabilities', '--advise', 'redis-2', '--candidates', 'CHWON', '--yes']);
  });

  test('and certs end with one error where Docker does not answer', async () => {
    const env = { DOCKER_HOST: 'unix:///nowhere.sock' };
    const lines = ['audit all', 'audit credentials', 'audit capabilities', 'audit network', 'certs status', 'certs renew', 'certs watch']; // prettier-ignore
    const results = await Promise.all(lines.map((line) => stack.expectRun(1, line.split(' '), { env })));
    for (const { stderr, stdout } of results) {
      expect(stderr).toMatch(/^error [^\n]*\[DOCKER_UNREACHABLE\]\n {2}next: [^\n]*\n$/);
      expect(stdout).toBe('');
    }
  });

  test('give SARIF with a file for every result', async () => {
    const result = await stack.expectRun(0, ['audit', 'all', '--format', 'sarif']);
    expect(JSON.parse(result.stdout)).toMatchObject({ version: '2.1.0', runs: [{ results: [] }] });
  });
});

interface NetworkReport extends Report {
  readonly matrix: readonly {
    readonly from: string;
    readonly to: string;
    readonly may: string;
    readonly can: string;
  }[];
}

const redisFromMysql = ({ matrix }: NetworkReport): readonly string[] =>
  matrix.filter(({ from, to }) => from === 'mysql' && to === 'redis-1').map(({ may, can }) => `${may} ${can}`);

// Both are settings of `up`, which makes every container anew: so they are tried at once.
const shortAndSingle = { DEVSTACK_CERTIFICATE_TTL_SECONDS: '30', DEVSTACK_NETWORKS: 'single' };

describe('one network for all', () => {
  const env = shortAndSingle;

  test('is audited as what was asked for, and told where it was not', async () => {
    await stack.expectRun(0, ['up'], { env });
    const single = await stack.json<NetworkReport>(['audit', 'network'], { env });
    expect(single.findings).toEqual([]);
    expect(single.notChecked).toEqual([]);
    expect(redisFromMysql(single)).toContain('permitted open');
    // The control: the same containers, held against the separate networks.
    const asked = await stack.json<NetworkReport>(['audit', 'network'], { exitCode: 3 });
    const rules = asked.findings.filter(({ subject }) => subject === 'mysql').map(({ ruleId }) => ruleId);
    expect(rules).toEqual(expect.arrayContaining(['network-joined-undeclared', 'network-path-undeclared']));
  });
});

describe('a certificate that lives half a minute', () => {
  const env = shortAndSingle;

  // New connections, one after the other: each verifies chain and name and asks a question.
  async function queryUntil(end: AbortSignal): Promise<{ ok: number; failed: readonly string[] }> {
    const failed: string[] = [];
    let ok = 0;
    while (!end.aborted) {
      try {
        await using connection = await connectPostgres({
          ...login('postgres'),
          port: stack.port(5432),
          database: 'devstack',
          tls: { ca, servername: 'postgres' },
        });
        await connection.query('SELECT 1');
        ok += 1;
      } catch (error) {
        failed.push(error instanceof Error ? error.message : 'unknown');
      }
    }
    return { ok, failed };
  }

  const served = async (): Promise<string> => (await probe(['postgres', 5432, 'postgres'])).certificate?.serial ?? '';

  test('is renewed by the watch under load without a failed query; a restart would fail some', async () => {
    await stack.expectRun(0, ['up'], { env });
    // What it had from its start is nearly over by now.
    await stack.expectRun(0, ['certs', 'renew', 'postgres', '--force'], { env });
    const serials = new Set([await served()]);
    const end = new AbortController();
    const load = queryUntil(end.signal);
    let isStopped = false;
    const watch = stack.run(['certs', 'watch', 'postgres', '--interval', '5'], {
      env,
      onStdout: (line, child) => {
        if (line.includes('postgres: renewed')) void served().then((serial) => serials.add(serial));
        // Once: the second one does not wait.
        if (serials.size >= 2 && !isStopped) isStopped = child.kill('SIGINT');
      },
    });
    const result = await watch;
    end.abort();
    const { ok, failed } = await load;
    expect(result.exitCode, describeResult(result)).toBe(130);
    expect(serials.size).toBeGreaterThanOrEqual(2);
    expect(failed).toEqual([]);
    expect(ok).toBeGreaterThan(100);

    const control = new AbortController();
    const interrupted = queryUntil(control.signal);
    await docker('restart', container('postgres'));
    await sleep(500);
    control.abort();
    expect((await interrupted).failed.length).toBeGreaterThan(0);
  });

  test('is named by the audit once it is over', async () => {
    await until(
      'the end of the certificate of pgbouncer',
      async () => (await probe(['pgbouncer', 6432, 'postgres'])).verdict === 'expired',
    );
    const result = await stack.expectRun(3, ['certs', 'status', '--json'], { env });
    const { services } = JSON.parse(result.stdout) as CertsStatus;
    expect(services.find(({ service }) => service === 'pgbouncer')).toMatchObject({ verdict: 'expired' });

    const audit = await stack.json<Report>(['audit', 'all'], { env, exitCode: 3 });
    const found = audit.findings.find(({ subject }) => subject === 'pgbouncer');
    expect(found).toMatchObject({
      ruleId: 'certificate-refused',
      message: expect.stringMatching(/pgbouncer at 127\.0\.0\.1:\d+: expired\b.*valid until \d{4}-/) as string,
      location: {
        file: expect.stringMatching(/^infrastructure\/compose\/.*\.yaml$/) as string,
        line: expect.any(Number) as number,
      },
      remediation: 'devstack certs renew pgbouncer --force',
    });
    // Vault's own is of the root, and lives on: it is the control.
    expect(audit.findings.map(({ subject }) => subject)).not.toContain('vault');
    // The fix as it is written.
    await stack.expectRun(0, (found?.remediation ?? '').split(' ').slice(1), { env });
    expect((await probe(['pgbouncer', 6432, 'postgres'])).verdict).toBe('ok');
  });
});

describe('going over', () => {
  test('from one network for all to separate ones closes what it had opened', async () => {
    await stack.expectRun(0, ['up']);
    const separate = await stack.json<NetworkReport>(['audit', 'network']);
    expect(separate.findings).toEqual([]);
    expect(separate.notChecked).toEqual([]);
    expect(new Set(redisFromMysql(separate))).toEqual(new Set(['forbidden closed']));
  });

  test('to a new root and to plain connections keeps the data and the passwords', async () => {
    const before = (await probe(['postgres', 5432, 'postgres'])).certificate?.issuer;
    await stack.expectRun(0, ['certs', 'rotate-ca', '--yes']);
    const both = readFileSync(join(stack.folder, 'certificates/ca.crt'), 'utf8');
    expect((await probe(['postgres', 5432, 'postgres'], { ca: both })).verdict).toBe('ok');
    await stack.expectRun(0, ['certs', 'rotate-ca', '--retire', '--yes']);
    expect((await probe(['postgres', 5432, 'postgres'], { ca })).verdict).toBe('untrusted');
    ca = readFileSync(join(stack.folder, 'certificates/ca.crt'), 'utf8');
    for (const server of servers) expect((await probe(server)).verdict, server[0]).toBe('ok');
    expect(before).toBeDefined();

    await stack.expectRun(0, ['up'], { env: { DEVSTACK_TLS: 'false' } });
    await using connection = await connectPostgres({
      ...login('postgres'),
      port: stack.port(5432),
      database: 'devstack',
    });
    expect(await connection.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

async function strangeRoot(): Promise<RootAuthority & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'devstack-root-'));
  const root = await createRoot({ directory: join(directory, 'root'), passphrase: new Secret('not the stack') });
  return { ...root, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

/** For the right name, by a root that nobody trusts. */
async function strangeCertificate(): Promise<LeafCertificate> {
  await using root = await strangeRoot();
  return await issueFromRoot({ root, commonName: 'postgres' });
}

/** Rejects where it answers that it is not; it asks its database. */
function isForgejoHealthy(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const options = { host: '127.0.0.1', port: stack.port(3443), path: '/api/healthz', servername: 'forgejo', ca };
  get({ ...options, timeout: 10_000 }, ({ statusCode }) => {
    if (statusCode === 200) resolve(undefined);
    else reject(new Error(`status ${String(statusCode)}`));
  }).once('error', reject);
  return promise;
}
