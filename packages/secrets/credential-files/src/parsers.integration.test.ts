import { createHash, pbkdf2Sync, createHmac, randomBytes } from 'node:crypto';
import {
  connectAmqp,
  connectMysql,
  connectPostgres,
  connectRedis,
  type ConnectionOptions,
} from '@devstack-core/database-connections';
import {
  addressOf,
  createNetwork,
  startEngine,
  startMariadb,
  startPgbouncer,
  startPostgres,
  startRabbitmq,
  startRedis,
  type Engine,
} from '@devstack-core/database-connections/test/engines';
import { isDevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awkwardValues, manyValues } from '../test/values.ts';
import {
  renderAppIni,
  renderErlangCookie,
  renderMongodConf,
  renderMyCnf,
  renderNetrc,
  renderPgbouncerIni,
  renderPgbouncerUserlist,
  renderPgpass,
  renderRabbitmqConf,
  renderRabbitmqDefinitions,
  renderRedisAcl,
  renderRedisConf,
} from './index.ts';

// Each format is read back by the program that it is for. Every run tries the same random values.
const seed = 20_261_121;
const name = (n: number): string => `u${String(n)}`;

/** Those of the values that a format can hold; the others must have been refused for a reason. */
function representable(values: readonly string[], render: (value: string) => unknown): readonly string[] {
  const kept = values.filter((value) => {
    try {
      render(value);
      return true;
    } catch (error) {
      if (isDevstackError(error, 'CREDENTIAL_UNREPRESENTABLE')) return false;
      throw error;
    }
  });
  expect(kept.length).toBeGreaterThan(values.length * 0.6);
  return kept;
}

describe('readers without a server', () => {
  let tools: Engine;

  beforeAll(async () => {
    tools = await startEngine({ script: 'echo ready; exec sleep 600', ports: [], ready: /ready/ });
  });
  afterAll(async () => tools[Symbol.asyncDispose]());

  it('my_print_defaults reads my.cnf', async () => {
    const values = [...manyValues(250, seed), 'two\nlines\r\n', '\b'];
    const groups = Object.fromEntries(values.map((value, n) => [name(n), { password: new Secret(value) }]));
    const output = await tools.exec(
      `cat > /data/my.cnf; n=0; while [ $n -lt ${String(values.length)} ]; do my_print_defaults --defaults-file=/data/my.cnf u$n; printf '\\0'; n=$((n+1)); done`,
      { stdin: renderMyCnf(groups).reveal() },
    );
    expect(output.split('\0').slice(0, -1)).toEqual(values.map((value) => `--password=${value}\n`));
  });

  it('cuttlefish reads rabbitmq.conf', async () => {
    const values = representable(manyValues(250, seed), (value) => renderRabbitmqConf({ a: value }));
    const settings = Object.fromEntries(values.map((value, n) => [`v.${String(n)}`, new Secret(value)]));
    const output = await tools.exec(
      `cat > /data/r.conf; cd /usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins; HOME=/data erl -noshell -pa $(ls -d cuttlefish-*/ebin) -eval '[io:format("~s~n", [base64:encode(unicode:characters_to_binary(V))]) || {_, V} <- cuttlefish_conf:file("/data/r.conf")], halt().'`,
      { stdin: renderRabbitmqConf(settings).reveal() },
    );
    const read = output
      .trimEnd()
      .split('\n')
      .map((line) => Buffer.from(line, 'base64').toString());
    expect(read.toSorted()).toEqual(values.toSorted());
  });

  it('Erlang reads the cookie', async () => {
    const cookie = Array.from({ length: 94 }, (_, n) => String.fromCharCode(33 + n)).join('');
    const output = await tools.exec(
      `umask 077; export HOME=/data ERL_EPMD_ADDRESS=127.0.0.1; cat > /data/.erlang.cookie; erl -noshell -sname test -eval 'io:format("~s", [base64:encode(atom_to_binary(erlang:get_cookie()))]), halt().'; epmd -kill >/dev/null 2>&1 || true`,
      { stdin: renderErlangCookie(cookie).reveal() },
    );
    expect(Buffer.from(output, 'base64').toString()).toBe(cookie);
  });

  it('PyYAML reads the mongod configuration', async () => {
    const values = [...manyValues(250, seed), 'two\nlines', '\u0085\u007f\u2029\ufeff'];
    const yaml = renderMongodConf({
      values: Object.fromEntries(values.map((value, n) => [name(n), new Secret(value)])),
    }).reveal();
    const output = await tools.exec(
      `python3 -c 'import sys, yaml, json; print(json.dumps(list(yaml.safe_load(sys.stdin.buffer.read())["values"].values())))'`,
      { stdin: yaml },
    );
    expect(JSON.parse(output)).toEqual(values);
  });

  it('curl reads netrc', async () => {
    const values = [...manyValues(60, seed), 'two\nlines'].filter((value) => value.length < 1000);
    const file = renderNetrc(
      values.map((value, n) => ({ machine: `${name(n)}.example`, login: 'devstack', password: new Secret(value) })),
    );
    const output = await tools.exec(
      `umask 077; cat > /data/netrc; node -e 'require("http").createServer((q, s) => s.end(String(q.headers.authorization))).listen(8099, "127.0.0.1")' & server=$!; until curl -s http://127.0.0.1:8099 >/dev/null; do sleep 0.1; done; n=0; while [ $n -lt ${String(values.length)} ]; do curl -s --netrc-file /data/netrc --connect-to ::127.0.0.1:8099 http://u$n.example/; echo; n=$((n+1)); done; kill $server`,
      { stdin: file.reveal() },
    );
    expect(
      output
        .trimEnd()
        .split('\n')
        .map((line) => Buffer.from(line.replace('Basic ', ''), 'base64').toString()),
    ).toEqual(values.map((value) => `devstack:${value}`));
  });

  it('redis-server reads redis.conf', async () => {
    const values = [...manyValues(10, seed), 'two\nlines\u0001'];
    const read: string[] = [];
    for (const value of values) {
      const conf = renderRedisConf([
        ['port', 0],
        ['unixsocket', '/data/redis.sock'],
        ['save', ''],
        ['daemonize', 'yes'],
        ['dir', '/data'],
        ['masterauth', new Secret(value)],
      ]);
      const output = await tools.exec(
        `cat > /data/redis.conf; redis-server /data/redis.conf >/dev/null; until redis-cli -s /data/redis.sock ping >/dev/null 2>&1; do sleep 0.02; done; redis-cli -s /data/redis.sock --json config get masterauth; redis-cli -s /data/redis.sock shutdown nosave`,
        { stdin: conf.reveal() },
      );
      read.push((JSON.parse(output) as { masterauth: string }).masterauth);
    }
    expect(read).toEqual(values);
  });
});

describe('PostgreSQL and what stands before it', () => {
  const values = manyValues(30, seed);
  let postgres: Engine;
  let network: Awaited<ReturnType<typeof createNetwork>>;
  let address: string;

  beforeAll(async () => {
    network = await createNetwork();
    postgres = await startPostgres('admin', { network: network.name });
    address = await addressOf(postgres.name, network.name);
    await using connection = await connectPostgres({
      host: '127.0.0.1',
      port: postgres.port(5432),
      username: 'devstack',
      password: new Secret('admin'),
      database: 'postgres',
    });
    for (const [n, value] of values.entries()) {
      const [row] = await connection.query<{ sql: string }>(
        "SELECT format('CREATE ROLE %I SUPERUSER LOGIN PASSWORD %L', $1::text, $2::text) AS sql",
        [name(n), value],
      );
      await connection.query(row?.sql ?? '');
    }
    await connection.query('CREATE DATABASE gitea');
  });
  afterAll(async () => {
    await postgres[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  const logins = async (pgpass: string): Promise<string> =>
    postgres.exec(
      `umask 077; cat > /data/pgpass; n=0; while [ $n -lt ${String(values.length)} ]; do PGPASSFILE=/data/pgpass psql -w -h ${address} -U u$n -d postgres -Atc 'select current_user' 2>/dev/null || echo refused; n=$((n+1)); done`,
      { stdin: pgpass },
    );

  it('psql logs in by pgpass', async () => {
    const pgpass = renderPgpass(
      values.map((value, n) => ({
        host: address,
        port: 5432,
        database: 'postgres',
        username: name(n),
        password: new Secret(value),
      })),
    );
    expect((await logins(pgpass.reveal())).trim().split('\n')).toEqual(values.map((_value, n) => name(n)));
  });

  it('and would not, were nothing escaped', async () => {
    const unescaped = values.map((value, n) => `*:*:*:${name(n)}:${value}\n`).join('');
    const refused = (await logins(unescaped))
      .trim()
      .split('\n')
      .filter((line) => line === 'refused');
    expect(refused.length).toBeGreaterThan(5);
  });

  it('PgBouncer takes its userlist, plain and as verifiers, and logs in to the server by its connection parameters', async () => {
    const direct = Object.fromEntries(
      values.map((value, n) => [
        `db${String(n)}`,
        { host: address, port: 5432, dbname: 'postgres', user: name(n), password: new Secret(value) },
      ]),
    );
    const ini = renderPgbouncerIni({
      databases: direct,
      pgbouncer: {
        listen_addr: '0.0.0.0',
        listen_port: 6432,
        auth_type: 'scram-sha-256',
        auth_file: '/data/userlist.txt',
        admin_users: values.flatMap((_value, n) => [name(n), `v${String(n)}`]).join(','),
        max_client_conn: 300,
      },
    });
    const userlist = renderPgbouncerUserlist(
      values.flatMap((value, n) => [
        { username: name(n), password: new Secret(value) },
        { username: `v${String(n)}`, verifier: scramVerifier(value) },
      ]),
    );
    await using pgbouncer = await startPgbouncer({
      userlist: userlist.reveal(),
      ini: ini.reveal(),
      network: network.name,
    });
    const options = { host: '127.0.0.1', port: pgbouncer.port(6432) };
    for (const [n, value] of values.entries()) {
      await using viaPool = await connectPostgres({
        ...options,
        username: name(n),
        password: new Secret(value),
        database: `db${String(n)}`,
      });
      expect(await viaPool.query('SELECT current_user AS name')).toEqual([{ name: name(n) }]);
      await using byVerifier = await connectPostgres({
        ...options,
        username: `v${String(n)}`,
        password: new Secret(value),
        database: 'pgbouncer',
      });
      await byVerifier.close();
    }
    await expect(
      connectPostgres({ ...options, username: name(0), password: new Secret('wrong'), database: 'pgbouncer' }),
    ).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
  });

  // Gitea's driver (lib/pq) does no SASLprep: such a password is none of the file's fault.
  // The database is empty, so the check itself ends with another error: after the login.
  it('Gitea logs in to its database by app.ini', async () => {
    const usable = values
      .map((value, n) => ({ value, n }))
      .filter(({ value }) => !/%\([^)]+\)s/.test(value) && value === saslprep(value));
    await using gitea = await startEngine({
      image: 'devstack/forgejo:local',
      network: network.name,
      script: 'echo ready; exec sleep 600',
      ports: [],
      ready: /ready/,
    });
    const chosen = usable.filter(({ n }) => n < awkwardValues.length);
    const files = chosen.map(({ value, n }) => ({ n, ini: appIni(n, value) }));
    const output = await gitea.exec(
      `mkdir -p /data/g; cd /data/g; node -e 'for (const {n, ini} of JSON.parse(require("fs").readFileSync(0, "utf8"))) require("fs").writeFileSync("app" + n + ".ini", ini, {mode: 0o600})'; for n in ${chosen.map(({ n }) => String(n)).join(' ')} wrong; do if [ -f app$n.ini ]; then f=app$n.ini; else sed 's/^PASSWD = .*/PASSWD = wrong/' app0.ini > wrong.ini; f=wrong.ini; fi; if gitea --work-path /data/g --config /data/g/$f doctor check --run check-db-version >/data/g/log 2>&1; grep -q "Check Database Version" /data/g/log && ! grep -qE "password authentication failed|dial tcp" /data/g/log; then echo "$n in"; else echo "$n refused"; fi; done`,
      { stdin: JSON.stringify(files) },
    );
    expect(output.trim().split('\n')).toEqual([...chosen.map(({ n }) => `${String(n)} in`), 'wrong refused']);
  });

  const appIni = (n: number, password: string): string =>
    renderAppIni({
      DEFAULT: { RUN_USER: 'forgejo', RUN_MODE: 'prod' },
      database: {
        DB_TYPE: 'postgres',
        HOST: `${address}:5432`,
        NAME: 'gitea',
        USER: name(n),
        PASSWD: new Secret(password),
        SSL_MODE: 'disable',
      },
      security: { INSTALL_LOCK: true, SECRET_KEY: new Secret(password) },
      log: { MODE: 'console', LEVEL: 'Warn' },
    }).reveal();
});

describe('servers that load users', () => {
  it('MariaDB is logged in to by my.cnf', async () => {
    const values = manyValues(15, seed);
    await using mariadb = await startMariadb('admin');
    await using connection = await connectMysql({
      host: '127.0.0.1',
      port: mariadb.port(3306),
      username: 'devstack',
      password: new Secret('admin'),
    });
    for (const [n, value] of values.entries()) {
      const [row] = await connection.query<{ hash: string }>(
        "SELECT CONCAT('*', UPPER(SHA1(UNHEX(SHA1(?))))) AS hash",
        [value],
      );
      await connection.query(`CREATE USER ${name(n)} IDENTIFIED VIA mysql_native_password USING '${row?.hash ?? ''}'`);
    }
    const groups = Object.fromEntries(
      values.map((value, n) => [`client-${name(n)}`, { user: name(n), password: new Secret(value) }]),
    );
    const output = await mariadb.exec(
      `umask 077; cat > /data/my.cnf; n=0; while [ $n -lt ${String(values.length)} ]; do mariadb --defaults-file=/data/my.cnf --defaults-group-suffix=-u$n -h 127.0.0.1 --skip-ssl -BNe 'select user()' 2>&1; n=$((n+1)); done`,
      { stdin: renderMyCnf(groups).reveal() },
    );
    expect(
      output
        .trim()
        .split('\n')
        .map((line) => line.split('@')[0]),
    ).toEqual(values.map((_value, n) => name(n)));
  });

  it('Redis loads its ACL file', async () => {
    const values = manyValues(100, seed);
    const acl = renderRedisAcl([
      ...values.map((value, n) => ({ username: name(n), password: new Secret(value), rules: ['~*', '+@all'] })),
      { username: 'zoë', password: 'x' },
    ]);
    await using redis = await startRedis('', { acl: acl.reveal() });
    const options = { host: '127.0.0.1', port: redis.port(6379) };
    await using connection = await connectRedis({ ...options, username: 'zoë', password: new Secret('x') });
    for (const [n, value] of values.entries()) {
      expect(await connection.command('AUTH', name(n), new Secret(value))).toBe('OK');
      expect(await connection.command('ACL', 'WHOAMI')).toBe(name(n));
    }
    await expect(connection.command('AUTH', name(0), new Secret('wrong'))).rejects.toMatchObject({
      code: 'AUTHENTICATION_FAILED',
    });
    await expect(connectRedis({ ...options, password: new Secret('x') })).rejects.toMatchObject({
      code: 'AUTHENTICATION_FAILED',
    });
  });

  it('RabbitMQ loads its definitions and configuration', async () => {
    const values = manyValues(10, seed);
    const definitions = renderRabbitmqDefinitions({
      users: values.map((value, n) => ({ name: `${name(n)} "ë"`, password: new Secret(value) })),
    });
    await using broker = await startRabbitmq(
      definitions.reveal(),
      renderRabbitmqConf({
        cluster_name: new Secret("it's # not a comment".replace("'", '"')),
        heartbeat: 30,
      }).reveal(),
    );
    const options = (n: number, value: string): ConnectionOptions => ({
      host: '127.0.0.1',
      port: broker.port(5672),
      username: `${name(n)} "ë"`,
      password: new Secret(value),
    });
    for (const [n, value] of values.entries()) {
      await using connection = await connectAmqp(options(n, value));
      expect(connection.server['cluster_name']).toBe('it"s # not a comment');
    }
    await expect(connectAmqp(options(0, 'wrong'))).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' });
  });
});

/** RFC 5803 as PostgreSQL writes it; passwords here need SASLprep only where NFKC changes them. */
function scramVerifier(password: string): string {
  const prepared = saslprep(password);
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(prepared, salt, 4096, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$4096:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`;
}

function saslprep(password: string): string {
  return password.replaceAll('\u00a0', ' ').normalize('NFKC');
}
