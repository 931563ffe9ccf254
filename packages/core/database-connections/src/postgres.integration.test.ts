import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates, startPostgres, type Engine, type TestCertificates } from '../test/engines.ts';
import { awkwardPassword } from '../test/passwords.ts';
import { connectPostgres, type PostgresOptions } from './postgres.ts';

describe('PostgreSQL', () => {
  let engine: Engine;
  let certificates: TestCertificates;
  let options: PostgresOptions;

  beforeAll(async () => {
    certificates = await makeCertificates();
    engine = await startPostgres(awkwardPassword, { tls: certificates });
    options = {
      host: '127.0.0.1',
      port: engine.port(5432),
      username: 'devstack',
      password: new Secret(awkwardPassword),
      database: 'postgres',
    };
  });
  afterAll(async () => engine[Symbol.asyncDispose]());

  it('answers a query with parameters', async () => {
    await using connection = await connectPostgres(options);
    expect(await connection.query('SELECT $1::int AS n, $2::text AS t', [7, new Secret('zoë')])).toEqual([
      { n: 7, t: 'zoë' },
    ]);
  });

  it('gives no rows for a statement that returns none', async () => {
    await using connection = await connectPostgres(options);
    expect(await connection.query('CREATE TEMPORARY TABLE t (n int)')).toEqual([]);
  });

  it('refuses a wrong password without repeating it', async () => {
    const wrong = new Secret('a wrong one: $%#"\\');
    const error: unknown = await connectPostgres({ ...options, password: wrong }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'AUTHENTICATION_FAILED',
      details: { engine: 'PostgreSQL', username: 'devstack', serverCode: '28P01' },
    });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('a wrong one');
  });

  it("passes on the server's code, and masks a secret that the server repeats", async () => {
    await using connection = await connectPostgres(options);
    const token = new Secret('not-an-integer-but-secret');
    const error: unknown = await connection.query('SELECT $1::text::int', [token]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'DATABASE_ERROR', details: { serverCode: '22P02' } });
    expect(String(error)).toContain('[secret]');
    expect(String(error)).not.toContain('not-an-integer');
  });

  it('goes on after a failed query', async () => {
    await using connection = await connectPostgres(options);
    await expect(connection.query('SELECT * FROM nowhere')).rejects.toMatchObject({
      code: 'DATABASE_ERROR',
      details: { serverCode: '42P01' },
    });
    expect(await connection.query('SELECT 1 AS n')).toEqual([{ n: 1 }]);
  });

  it('verifies the certificate against the given authority', async () => {
    await using connection = await connectPostgres({ ...options, host: 'localhost', tls: { ca: certificates.ca } });
    expect(await connection.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).toEqual([{ ssl: true }]);
    await using byAddress = await connectPostgres({ ...options, tls: { ca: certificates.ca } });
    expect(await byAddress.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).toEqual([{ ssl: true }]);
  });

  it('refuses an unknown authority, and a name that the certificate has not', async () => {
    await expect(connectPostgres({ ...options, host: 'localhost', tls: {} })).rejects.toMatchObject({
      code: 'TLS_FAILED',
    });
    const elsewhere = { ca: certificates.ca, servername: 'elsewhere.example' };
    await expect(connectPostgres({ ...options, tls: elsewhere })).rejects.toMatchObject({ code: 'TLS_FAILED' });
  });

  it('ends a query when the signal is aborted', async () => {
    const stop = new AbortController();
    const connection = await connectPostgres({ ...options, signal: stop.signal });
    const query = connection.query('SELECT pg_sleep(30)');
    stop.abort();
    await expect(query).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await connection.close();
    await connection.close();
  });

  it('ends a query that takes longer than its limit', async () => {
    await using connection = await connectPostgres({ ...options, commandTimeoutMs: 150 });
    await expect(connection.query('SELECT pg_sleep(30)')).rejects.toMatchObject({ code: 'CONNECTION_TIMED_OUT' });
  });

  it('says when the server has ended the connection', async () => {
    await using connection = await connectPostgres(options);
    await using other = await connectPostgres(options);
    const [row] = await connection.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await other.query('SELECT pg_terminate_backend($1)', [row?.pid ?? 0]);
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('leaves no connection behind', async () => {
    await using connection = await connectPostgres({ ...options, applicationName: 'counter' });
    for (let n = 0; n < 3; n += 1) {
      await using one = await connectPostgres({ ...options, applicationName: 'counted' });
      await one.query('SELECT 1');
    }
    await expect
      .poll(async () =>
        connection.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'counted'"),
      )
      .toEqual([{ n: 0 }]);
  });

  it('says that a server does not offer TLS', async () => {
    await using plain = await startPostgres('plain');
    await expect(
      connectPostgres({
        ...options,
        port: plain.port(5432),
        password: new Secret('plain'),
        tls: { ca: certificates.ca },
      }),
    ).rejects.toMatchObject({ code: 'TLS_FAILED' });
  });
});
