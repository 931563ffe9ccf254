import { describe, expect, it } from 'vitest';
import { PatternSearch } from './pattern-search.ts';
import { defaultPatterns } from './index.ts';

const search = new PatternSearch(defaultPatterns);
const rulesIn = (text: string): string[] => [
  ...new Set(search.search(Buffer.from(text)).map(({ rule }) => rule.ruleId)),
];
const key = ['-----BEGIN', 'PRIVATE KEY-----'].join(' ');
const random = 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8';

describe('patterns', () => {
  it.each([
    ['private-key', `${key}\nMIIEvQIBADANBgkqhkiG9w0BAQEF`],
    ['private-key', `"key": "${key.replace('BEGIN', 'BEGIN RSA')}\\nMIIEvQIBADANBgkqhkiG9w0BAQEF`],
    ['known-token', `cloning with ghp_${random}`],
    ['known-token', `VAULT_TOKEN is hvs.${random}.`],
    ['known-token', `aws AK${'IAIOSFODNN7EXAMQLE'.replace('EXAMQLE', 'ABCDXYZ')} used`],
    ['password-assignment', 'connecting with password=s3cr3tValue1 to db'],
    ['password-assignment', '{"user":"x","password": "s3cr3tValue1"}'],
    ['password-assignment', 'MYSQL_ROOT_PASSWORD=s3cr3tValue1'],
    ['password-assignment', 'A=b\0MYSQL_ROOT_PASSWORD=s3cr3tValue1\0HOME=/root\0'],
    ['password-assignment', 'GET /?api_key=s3cr3tValue1&x=1'],
    ['password-argument', 'mysql -uroot -ps3cr3tValue1 db'],
    ['password-argument', 'mysqldump\0-uroot\0-ps3cr3tValue1\0'],
    ['password-argument', 'redis-cli -a s3cr3tValue1 ping'],
    ['password-argument', 'redis-server --requirepass s3cr3tValue1'],
    ['password-argument', 'sshpass -p s3cr3tValue1 ssh host'.replace('-p ', '-p')],
    ['default-password', 'POSTGRES_PASSWORD=changeme'],
    ['default-password', 'RABBITMQ_DEFAULT_PASS=guest'],
    ['default-password', 'url amqp://guest:guest@rabbitmq:5672'],
    ['credential-in-url', 'postgres://app:s3cr3tValue1@db:5432/app'],
  ])('%s is seen in %s', (rule, text) => {
    expect(rulesIn(text)).toContain(rule);
  });

  it.each([
    'FATAL:  password authentication failed for user "app"',
    // An environment: what comes after the zero byte is another variable.
    'VAULT_USE_ROOT_TOKEN=false\0HOSTNAME=4e130ebff152\0',
    'URL=http://vault\0A=x:s3cr3tValue1@b\0',
    'password=*** sent', 'password=<redacted>', 'PASSWORD=${POSTGRES_PASSWORD}', 'password=$PW', 'password: required',
    'POSTGRES_PASSWORD_FILE=/run/secrets/postgres-password', 'password=/run/secrets/x1', '{"password":"[secret]"}', '{"password":null}',
    'Setting password_encryption=scram-sha-256', 'secret=secret/data/services/postgres', 'token=<token>', 'auth token=undefined',
    'https://example.org/a:b@c', 'git clone https://github.com/x/y', 'mysql -uroot -p', 'mysql -h db -p$PASSWORD', 'mysqld: ready for connections. -port 3306',
    'redis-cli -a "$PASSWORD" ping', 'redis-cli -p 6379 ping', 'mysql -P 3306', 'pgbouncer --password-file=/x1y2z3', 'eyJhbGciOi is the head of a JWT', 'hvs. is the prefix',
  ])('nothing is seen in %s', (text) => {
    expect(rulesIn(text)).toEqual([]);
  }); // prettier-ignore

  it('see nothing in the ordinary logs of servers', () => {
    expect(search.search(Buffer.from(ordinaryLogs.repeat(20)))).toEqual([]);
  });

  it('tell a match by its place, whichever of its anchors led to it', () => {
    const hits = search.search(Buffer.from(`${'x '.repeat(300)}password=s3cr3tValue1`));
    expect(new Set(hits.map(({ offset }) => offset))).toEqual(new Set([600]));
  });
});

const ordinaryLogs = `
2026-11-21 07:00:01.123 UTC [1] LOG:  starting PostgreSQL 17.2 (Debian 17.2-1) on x86_64-pc-linux-gnu, compiled by gcc, 64-bit
2026-11-21 07:00:01.125 UTC [1] LOG:  listening on IPv4 address "0.0.0.0", port 5432
2026-11-21 07:00:02.500 UTC [33] FATAL:  password authentication failed for user "postgres"
2026-11-21 07:00:02.500 UTC [33] DETAIL:  Connection matched file "/etc/postgresql/pg_hba.conf" line 12: "host all all all scram-sha-256"
2026-11-21 07:00:03.001 UTC [51] STATEMENT:  ALTER ROLE app PASSWORD 'SCRAM-SHA-256$4096:...'
1:C 21 Nov 2026 07:00:01.001 * oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo
1:M 21 Nov 2026 07:00:01.010 # Warning: no config file specified, using the default config. In order to specify a config file use redis-server /path/to/redis.conf
1:M 21 Nov 2026 07:00:01.100 * Node configuration loaded, I'm 07c37dfeb235213a872192d90877d0cd55635b91
2026-11-21 07:00:04+00:00 [Note] [Entrypoint]: Entrypoint script for MariaDB Server 1:11.8.2+maria~ubu2404 started.
2026-11-21  7:00:05 0 [Note] InnoDB: Buffer pool(s) load completed at 261121  7:00:05
2026-11-21  7:00:05 0 [Note] mariadbd: ready for connections. Version: '11.8.2-MariaDB'  socket: '/run/mysqld/mysqld.sock'  port: 3306  Debian
2026-11-21  7:01:05 4 [Warning] Access denied for user 'root'@'172.20.1.9' (using password: YES)
2026-11-21 07:00:06.000000+00:00 [info] <0.9.0>  Starting RabbitMQ 4.0.5 on Erlang 27.2 [jit]
2026-11-21 07:00:07.000000+00:00 [error] <0.812.0> PLAIN login refused: user 'guest' - invalid credentials
2026-11-21T07:00:08.000Z [INFO]  core: security barrier not initialized
2026-11-21T07:00:08.100Z [INFO]  core: post-unseal setup starting token=hmac-sha256:4fbc0a3b
2026-11-21T07:00:08.100Z [INFO]  expiration: revoked lease: lease_id=auth/approle/login/h1f0c3a9e2
2026/11/21 07:00:09 ...s/setting/mailer.go:109:loadMailerFrom() [W] Deprecated fallback for SMTP password
2026/11/21 07:00:10 [I] Started GET /api/v1/users/search?token= for 172.20.3.5
{"level":30,"time":1763708410000,"reqId":"req-1","req":{"method":"POST","url":"/login","headers":{"authorization":"[redacted]"}},"msg":"incoming request"}
ts=2026-11-21T07:00:11.000Z caller=main.go:617 level=info msg="Starting Prometheus Server" mode=server version="(version=2.53.3)"
172.20.3.7 - - [21/Nov/2026:07:00:12 +0000] "GET /assets/password-reset-4f2a9c1b.js HTTP/1.1" 200 5120 "https://localhost:3000/user/login" "Mozilla/5.0 (X11; Linux x86_64)"
2026-11-21 07:00:13.000 UTC [1] LOG C-0x55: app/app@172.20.1.7:40112 login attempt: db=app user=app tls=no
`;
