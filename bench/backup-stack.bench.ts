import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  connectAmqp,
  connectMongo,
  connectMysql,
  connectPostgres,
  connectRedis,
} from '../packages/core/database-connections/src/index.ts';
import { Secret } from '../packages/core/redaction/src/index.ts';
import { allInTurns, elapsedMs, median, output } from './lib/measure.ts';
import { report } from './lib/report.ts';
import { BenchStack } from './lib/stack.ts';

// Takes up to 3600 s: the standard stack with 1 GiB of data is backed up, beside the bare dump tools of its engines one after another; then a
// drill, and a recovery after everything was lost.

const rounds = 2;
const mebibyte = 1024 ** 2;
const folder = await mkdtemp(join(tmpdir(), 'devstack-backup-bench-'));
await writeFile(join(folder, 'passphrase'), randomBytes(24).toString('base64url'), { mode: 0o600 });
const backups = ['--directory', join(folder, 'sets'), '--passphrase-file', join(folder, 'passphrase')];

await using stack = await BenchStack.create();
await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
const offset = Number(stack.env['DEVSTACK_PORT_OFFSET']);
say('starting the standard stack');
await stack.devstack('up', '--progress', 'none');
await fill();

const peer = new Map<string, number>();
const passwords = new Map<string, string>();
const [bare = [], withFingerprints = [], without = []] = await allInTurns(rounds, [
  () => timed('bare dump tools', dumpAll),
  () => timed('backup with fingerprints', () => backUp()),
  () => timed('backup without fingerprints', () => backUp('--no-fingerprints')),
]);
const created = await backUp();
say('drill');
const drill = await recovered('drill');
say('losing everything');
await stack.devstack('reset', '--yes', '--no-backup');
say('recovering');
const recovery = await recovered();
await stack.devstack('health');

const minutes = (ms: number): number => ms / 60_000;
const ratio = (ours: readonly number[]): number => median(ours) / median(bare);
report(
  'backup and recovery of the standard stack with 1 GiB of data',
  [
    {
      what: 'backup create --no-fingerprints: compressed, encrypted, authenticated',
      ours: median(without),
      peer: median(bare),
      unit: 'ms',
      target: '1.3 x the bare dump tools',
      met: ratio(without) <= 1.3,
    },
    {
      what: 'backup create, with fingerprints',
      ours: median(withFingerprints),
      peer: median(bare),
      unit: 'ms',
      target: '1.6 x the bare dump tools',
      met: ratio(withFingerprints) <= 1.6,
    },
    {
      what: 'recover drill, RTO',
      ours: drill.rtoSeconds / 60,
      unit: 'min',
      target: '10 min',
      met: drill.outcome === 'recovered' && drill.rtoSeconds <= 600,
    },
    {
      what: 'recover after everything was lost, RTO',
      ours: recovery.rtoSeconds / 60,
      unit: 'min',
      target: '10 min',
      met: recovery.outcome === 'recovered' && recovery.rtoSeconds <= 600,
    },
    {
      what: 'RPO of that recovery',
      ours: recovery.rpoSeconds / 60,
      unit: 'min',
      target: '24 h',
      met: recovery.rpoSeconds <= 24 * 3600,
    },
  ],
  [
    `Medians of ${String(rounds)} runs each, in turns, after one that is not counted. The set has ${mebibytes(created.plainBytes)} MiB before compression and ${mebibytes(created.storedBytes)} MiB on the disk.`,
    `The peer: ${[...peer].map(([name, bytes]) => `${name} ${mebibytes(bytes)} MiB`).join(', ')}; neither compressed nor encrypted, to a file on the same disk. It has no Vault, no configuration and no messages of queues; ours does.`,
    `Whole commands took: drill ${minutes(drill.commandMs).toFixed(1)} min, recover ${minutes(recovery.commandMs).toFixed(1)} min.`,
  ],
);

interface Created {
  readonly plainBytes: number;
  readonly storedBytes: number;
}

async function backUp(...more: readonly string[]): Promise<Created> {
  return JSON.parse(await stack.devstackOutput('backup', 'create', '--json', ...more, ...backups)) as Created;
}

interface Recovered {
  readonly outcome: string;
  readonly rtoSeconds: number;
  readonly rpoSeconds: number;
  readonly commandMs: number;
}

async function recovered(...words: readonly string[]): Promise<Recovered> {
  let text = '';
  const force = words.length === 0 ? ['--force'] : [];
  const commandMs = await elapsedMs(async () => {
    text = await stack.devstackOutput('recover', ...words, ...force, '--json', ...backups);
  });
  return { ...(JSON.parse(text) as { readonly record: Omit<Recovered, 'commandMs'> }).record, commandMs };
}

/** Words and numbers that compress like those of an application, spread over the engines; random bytes in Redis. */
async function fill(): Promise<void> {
  say('PostgreSQL: 500 MiB');
  {
    await using connection = await connectPostgres({ ...(await login('postgres', 5432)), database: 'devstack' });
    await connection.query(
      `CREATE TABLE orders AS SELECT i AS id, md5(i::text) || repeat(md5((i % 1000)::text), 20) AS text, i * 1.5 AS amount, now() - i * interval '1 second' AS at FROM generate_series(1, 680000) i`,
    );
    await connection.query('ALTER TABLE orders ADD PRIMARY KEY (id)');
  }
  say('MySQL: 300 MiB');
  {
    await using connection = await connectMysql({ ...(await login('mysql', 3306)), database: 'devstack' });
    await connection.query('CREATE TABLE orders (id int PRIMARY KEY, text text)');
    // Piece by piece: one statement with all of it needs more room for its undo than a small server has in memory.
    for (let at = 1; at < 430_000; at += 10_000)
      await connection.query(
        `INSERT INTO orders SELECT seq, CONCAT(MD5(seq), REPEAT(MD5(seq % 1000), 20)) FROM seq_${String(at)}_to_${String(at + 9999)}`,
      );
  }
  say('MongoDB: 100 MiB');
  {
    await using connection = await connectMongo({ ...(await login('mongodb', 27_017)), database: 'devstack' });
    const orders = connection.db('devstack').collection('orders');
    for (let at = 0; at < 25_000; at += 500)
      await orders.insertMany(
        Array.from({ length: 500 }, (_, index) => ({ _id: at + index, text: `${String(at + index)} `.repeat(600) })),
      );
  }
  say('Redis: 60 MiB');
  {
    const { username, password } = await login('redis', 6379);
    const prefix = stack.env['DEVSTACK_SUBNET_PREFIX'] ?? '';
    const natMap = Object.fromEntries(
      [21, 22, 23].map((host, index) => [
        `${prefix}.2.${String(host)}:6379`,
        { host: '127.0.0.1', port: 6379 + offset + index },
      ]),
    );
    await using connection = await connectRedis({
      host: '127.0.0.1',
      port: 6379 + offset,
      username,
      password,
      cluster: true,
      natMap,
    });
    for (let at = 0; at < 60; at += 1)
      await Promise.all(
        Array.from({ length: 64 }, (_, index) =>
          connection.command('SET', `session:${String(at)}:${String(index)}`, randomBytes(12_288).toString('base64')),
        ),
      );
  }
  say('RabbitMQ: 20 MiB');
  {
    const { host, port, username, password } = await login('rabbitmq', 5672);
    await using connection = await connectAmqp({ host, port, username, password });
    await connection.declareQueue('orders', { durable: true });
    for (let at = 0; at < 2000; at += 1)
      await connection.publish({ routingKey: 'orders', content: `${String(at)} `.repeat(1500), persistent: true });
  }
}

async function login(role: string, port: number) {
  const text = await stack.devstackOutput('vault', 'show-password', role, '--json');
  const { username, value } = JSON.parse(text) as { readonly username: string | null; readonly value: string };
  return {
    host: '127.0.0.1',
    port: port + offset,
    username: username ?? '',
    password: new Secret(value),
    connectTimeoutMs: 20_000,
  };
}

/** What somebody without a backup tool would run. */
async function dumpAll(): Promise<void> {
  const databases = `psql -XAtqw -U devstack -c "SELECT datname FROM pg_database WHERE NOT datistemplate" postgres`;
  const all = await withPassword('postgres', 'postgres', databases, 'PGPASSWORD');
  for (const name of all.trim().split('\n'))
    await dump('postgres', 'postgres', `pg_dump -w -U devstack -Fc -Z0 ${name}`, 'PGPASSWORD', `pg_dump ${name}`);
  await dump(
    'mysql',
    'mysql',
    'mariadb-dump -u devstack --single-transaction --no-tablespaces devstack',
    'MYSQL_PWD',
    'mariadb-dump',
  );
  for (const node of ['redis-1', 'redis-2', 'redis-3'])
    await dump(node, 'redis', 'redis-cli --no-auth-warning --rdb -', 'REDISCLI_AUTH', `redis-cli --rdb, ${node}`);
  await dump('forgejo', 'forgejo', 'tar -C /var/lib/devstack -c .', 'UNUSED', 'tar of forgejo');
}

async function dump(service: string, role: string, command: string, variable: string, name: string): Promise<void> {
  const file = join(folder, 'peer.dump');
  await withPassword(service, role, command, variable, file);
  peer.set(name, (await stat(file)).size);
  await rm(file);
}

/** A program in a container with a password of the bench's own stack, which it reads from its standard input. */
async function withPassword(
  service: string,
  role: string,
  command: string,
  variable: string,
  file?: string,
): Promise<string> {
  const password = passwords.get(role) ?? (await login(role, 0)).password.reveal();
  passwords.set(role, password);
  const container = `${stack.project}-${service}-1`;
  const script = `IFS= read -r ${variable}; export ${variable}; exec ${command}`;
  const child = spawn(
    'sh',
    [
      '-c',
      file === undefined ? 'exec docker exec -i "$0" sh -c "$1"' : 'exec docker exec -i "$0" sh -c "$1" > "$2"',
      container,
      script,
      ...(file === undefined ? [] : [file]),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  child.stdin.end(`${password}\n`);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${command} in ${container} ended with ${String(code)}`);
  return text;
}

async function timed(what: string, work: () => Promise<unknown>): Promise<number> {
  // What is in the disk's cache of the run before is not this one's.
  await output('sync', []);
  const tookMs = await elapsedMs(work);
  say(`${what}: ${(tookMs / 1000).toFixed(1)} s`);
  return tookMs;
}

function mebibytes(bytes: number): string {
  return (bytes / mebibyte).toFixed(0);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
