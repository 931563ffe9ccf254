import { connect } from 'node:net';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { docker, hexLines, runIn } from '../../test/engines.ts';
import { passwords } from '../../test/passwords.ts';
import {
  mysqlNativeHash,
  rabbitPasswordHash,
  redisSha256,
  scramSha256Verifier,
  verifyMysqlNative,
  verifyRabbitPassword,
  verifyRedisSha256,
  verifyScramSha256,
} from '../index.ts';

const wrong = 'not the password';

describe('verifiers of the real servers', { timeout: 240_000 }, () => {
  it('PostgreSQL stores what verifyScramSha256 accepts, and libpq logs in against ours', async () => {
    const tried = passwords(150, 7);
    const logins = tried.slice(0, 30);
    const roles = tried.map(
      (password, index) =>
        `DO $do$ BEGIN EXECUTE format('CREATE ROLE theirs_${String(index)} PASSWORD %L', convert_from(decode('${hex(password)}', 'hex'), 'UTF8')); END $do$;`,
    );
    const ours = await Promise.all(
      logins.map(
        async (password, index) =>
          `CREATE ROLE ours_${String(index)} LOGIN PASSWORD '${await scramSha256Verifier(password)}';`,
      ),
    );
    const output = await runIn(
      'devstack/postgres:local',
      postgresScript,
      JSON.stringify({ sql: [...roles, ...ours].join('\n'), logins: logins.map(hex) }),
    );
    const { stored, loggedIn, refused } = JSON.parse(output) as {
      stored: Record<string, string>;
      loggedIn: boolean[];
      refused: boolean;
    };
    expect(Object.keys(stored)).toHaveLength(tried.length);
    for (const [index, password] of tried.entries()) {
      const verifier = stored[`theirs_${String(index)}`] ?? '';
      expect(await verifyScramSha256(password, verifier), JSON.stringify(password)).toBe(true);
      expect(await verifyScramSha256(wrong, verifier)).toBe(false);
    }
    expect(
      logins.filter((_password, index) => loggedIn[index] !== true).map((password) => JSON.stringify(password)),
    ).toEqual([]);
    expect(refused).toBe(true);
  });

  it('MariaDB hashes as mysqlNativeHash does, and its client logs in against ours', async () => {
    const tried = passwords(100, 8);
    const logins = tried.slice(0, 12);
    const selects = tried.map((password) => `SELECT PASSWORD(CONVERT(UNHEX('${hex(password)}') USING utf8mb4));`);
    const users = logins.map(
      (password, index) =>
        `CREATE USER ours_${String(index)}@localhost IDENTIFIED BY PASSWORD '${mysqlNativeHash(password)}';`,
    );
    const output = await runIn(
      'devstack/mysql:local',
      mariadbScript,
      JSON.stringify({ sql: [...users, ...selects].join('\n'), logins: logins.map(hex) }),
    );
    const { lines, loggedIn, refused } = JSON.parse(output) as {
      lines: string[];
      loggedIn: boolean[];
      refused: boolean;
    };
    expect(lines).toEqual(tried.map((password) => mysqlNativeHash(password)));
    expect(verifyMysqlNative(wrong, lines[0] ?? '')).toBe(false);
    expect(loggedIn).toEqual(logins.map(() => true));
    expect(refused).toBe(true);
  });

  it('RabbitMQ hashes as rabbitPasswordHash does', async () => {
    const tried = passwords(100, 9);
    const output = await runIn('devstack/rabbitmq:local', rabbitScript, hexLines(tried));
    const hashes = output.trim().split('\n');
    expect(hashes).toHaveLength(tried.length);
    for (const [index, password] of tried.entries()) {
      const hash = hashes[index] ?? '';
      expect(verifyRabbitPassword(password, hash), JSON.stringify(password)).toBe(true);
      expect(verifyRabbitPassword(wrong, hash)).toBe(false);
      expect(rabbitPasswordHash(password, Buffer.from(hash, 'base64').subarray(0, 4))).toBe(hash);
    }
  });

  it('Redis keeps for a password what redisSha256 makes, and lets in who has it', async () => {
    const name = `service-secrets-redis-${randomBytes(5).toString('hex')}`;
    await docker([
      'run',
      '-d',
      '--name',
      name,
      '-p',
      '127.0.0.1::6379',
      '--entrypoint',
      'redis-server',
      'devstack/redis:local',
      '--protected-mode',
      'no',
      '--save',
      '',
      '--dir',
      '/tmp',
    ]);
    try {
      const port = Number((await docker(['port', name, '6379'])).trim().split(':').at(-1));
      for (const password of passwords(60, 10)) {
        await redis(port, ['ACL', 'SETUSER', 'theirs', 'reset', 'on', `>${password}`]);
        const theirs = await redis(port, ['ACL', 'GETUSER', 'theirs']);
        expect(theirs, JSON.stringify(password)).toContain(redisSha256(password));
        expect(verifyRedisSha256(password, redisSha256(password))).toBe(true);
        await redis(port, ['ACL', 'SETUSER', 'ours', 'reset', 'on', `#${redisSha256(password)}`]);
        expect(await redis(port, ['AUTH', 'ours', password])).toBe('+OK\r\n');
        expect(await redis(port, ['AUTH', 'ours', wrong])).toContain('WRONGPASS');
      }
    } finally {
      await docker(['rm', '-f', '-v', name]);
    }
  });
});

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

/** One command on a connection of its own; the answer as it comes. */
async function redis(port: number, command: readonly string[]): Promise<string> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    try {
      return await ask(port, command);
    } catch (error) {
      if (Date.now() > deadline) throw new Error('Redis did not answer within 15 s.', { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function ask(port: number, command: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: '127.0.0.1', port });
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString()));
  socket.on('error', reject);
  socket.on('close', () => {
    const quit = text.lastIndexOf('+OK\r\n');
    if (quit < 0) reject(new Error('The connection ended early.'));
    else resolve(text.slice(0, quit));
  });
  for (const words of [command, ['QUIT']]) {
    socket.write(
      `*${String(words.length)}\r\n${words.map((word) => `$${String(Buffer.byteLength(word))}\r\n${word}\r\n`).join('')}`,
    );
  }
  return promise;
}

const postgresScript = `
cat > /tmp/input.json
export PATH="$PATH:$(ls -d /usr/lib/postgresql/*/bin)" LC_ALL=C.UTF-8
initdb -D /tmp/data -A trust -U postgres -E UTF8 --locale=C.UTF-8 > /tmp/log
printf 'local all all trust\\nhost all all 127.0.0.1/32 scram-sha-256\\n' > /tmp/data/pg_hba.conf
pg_ctl -D /tmp/data -w -o "-k /tmp -c listen_addresses=127.0.0.1 -c fsync=off -c log_statement=none" -l /tmp/log start > /dev/null
node -e '
const { execFileSync, spawnSync } = require("node:child_process");
const { sql, logins } = JSON.parse(require("node:fs").readFileSync("/tmp/input.json", "utf8"));
const psql = ["-h", "/tmp", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt"];
execFileSync("psql", psql, { input: sql });
const rows = execFileSync("psql", [...psql, "-F", " ", "-c", "SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE \\x27theirs%\\x27"]).toString().trim().split("\\n");
const login = (index, password) => spawnSync("psql", ["-h", "127.0.0.1", "-U", "ours_" + index, "-d", "postgres", "-Atc", "SELECT 1"], { env: { ...process.env, PGPASSWORD: password, PGCLIENTENCODING: "UTF8" } }).status === 0;
const passwords = logins.map((one) => Buffer.from(one, "hex").toString());
process.stdout.write(JSON.stringify({ stored: Object.fromEntries(rows.map((row) => row.split(" "))), loggedIn: passwords.map((password, index) => login(index, password)), refused: !login(0, "wrong") }));
'
`;

const mariadbScript = `
cat > /tmp/input.json
mariadb-install-db --no-defaults --datadir=/tmp/data --auth-root-authentication-method=normal --skip-test-db > /tmp/log 2>&1
mariadbd --no-defaults --datadir=/tmp/data --socket=/tmp/sock --skip-networking --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=16M > /tmp/log 2>&1 &
for i in $(seq 1 300); do [ -S /tmp/sock ] && mariadb-admin --no-defaults -S /tmp/sock -u root ping > /dev/null 2>&1 && break; sleep 0.1; done
node -e '
const { execFileSync, spawnSync } = require("node:child_process");
const { sql, logins } = JSON.parse(require("node:fs").readFileSync("/tmp/input.json", "utf8"));
const common = ["--no-defaults", "-S", "/tmp/sock", "--default-character-set=utf8mb4"];
const lines = execFileSync("mariadb", [...common, "-u", "root", "-N", "-B"], { input: sql }).toString().trim().split("\\n");
const login = (index, password) => spawnSync("mariadb", [...common, "-u", "ours_" + index, "-e", "SELECT 1"], { env: { ...process.env, MYSQL_PWD: password } }).status === 0;
process.stdout.write(JSON.stringify({ lines, loggedIn: logins.map((one, index) => login(index, Buffer.from(one, "hex").toString())), refused: !login(0, "wrong") }));
'
`;

const rabbitScript = `
cat > /tmp/input
paths=$(for ebin in $(ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins/rabbit*/ebin /usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins/rabbit_common*/ebin); do printf -- '-pa %s ' "$ebin"; done)
HOME=/tmp erl -noinput $paths -eval '
{ok, Text} = file:read_file("/tmp/input"),
[io:format("~s~n", [base64:encode(rabbit_password:hash(rabbit_password_hashing_sha256, binary:decode_hex(string:uppercase(Line))))]) || Line <- binary:split(Text, <<"\\n">>, [global, trim_all])],
halt().'
`;
