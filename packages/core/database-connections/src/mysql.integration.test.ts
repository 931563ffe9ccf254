import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificatesFor, startMariadb, type Engine, type TestCertificates } from '../test/engines.ts';
import { awkwardPassword } from '../test/passwords.ts';
import { connectMysql } from './mysql.ts';
import type { ConnectionOptions } from './options.ts';

describe('MySQL (MariaDB)', () => {
  let engine: Engine;
  let options: ConnectionOptions;
  let certificates: TestCertificates;

  beforeAll(async () => {
    const [own] = await makeCertificatesFor(['DNS:mysql,DNS:localhost']);
    if (own === undefined) throw new Error('no certificates');
    certificates = own;
    engine = await startMariadb(awkwardPassword, { tls: certificates });
    options = {
      host: '127.0.0.1',
      port: engine.port(3306),
      username: 'devstack',
      password: new Secret(awkwardPassword),
      database: 'devstack',
    };
  });
  afterAll(async () => engine[Symbol.asyncDispose]());

  it('answers a query with parameters', async () => {
    await using connection = await connectMysql(options);
    expect(
      await connection.query('SELECT ? AS t, CAST(? AS SIGNED) AS n, HEX(?) AS h', [
        new Secret('zoë'),
        7,
        new Uint8Array([255, 0]),
      ]),
    ).toEqual([{ t: 'zoë', n: 7, h: 'FF00' }]);
  });

  it.each([
    ['by the name that it is reached by', { host: 'localhost' }, {}],
    ['by the name that is given', {}, { servername: 'mysql' }],
  ])('verifies the certificate %s', async (_how, where, name) => {
    await using connection = await connectMysql({ ...options, ...where, tls: { ca: certificates.ca, ...name } });
    const [row] = await connection.query<{ Value: string }>("SHOW STATUS LIKE 'Ssl_cipher'");
    expect(row?.Value).not.toBe('');
  });

  it.each([
    ['an unknown authority', { servername: 'mysql' }, false],
    ['a name that the certificate has not', { servername: 'elsewhere.example' }, true],
    ['an address that no name is given for', {}, true],
  ])('refuses %s', async (_what, name, isTrusted) => {
    const tls = { ...name, ...(isTrusted ? { ca: certificates.ca } : {}) };
    await expect(connectMysql({ ...options, tls })).rejects.toMatchObject({ code: 'TLS_FAILED' });
  });

  it('gives no rows for a statement that returns none', async () => {
    await using connection = await connectMysql(options);
    expect(await connection.query('CREATE TEMPORARY TABLE t (n int)')).toEqual([]);
    expect(await connection.query('INSERT INTO t VALUES (?)', [1])).toEqual([]);
  });

  it('refuses a wrong password without repeating it', async () => {
    const error: unknown = await connectMysql({ ...options, password: new Secret('a wrong one') }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'AUTHENTICATION_FAILED',
      details: { serverCode: 'ER_ACCESS_DENIED_ERROR' },
    });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('a wrong one');
  });

  it("passes on the server's code, and masks a secret that the server repeats", async () => {
    await using connection = await connectMysql(options);
    await expect(connection.query('SELECT * FROM nowhere')).rejects.toMatchObject({
      code: 'DATABASE_ERROR',
      details: { serverCode: 'ER_NO_SUCH_TABLE' },
    });
    const error: unknown = await connection
      .query('SIGNAL SQLSTATE ? SET MESSAGE_TEXT = 1', [new Secret('a-secret-state')])
      .catch((reason: unknown) => reason);
    expect(String(error)).not.toContain('a-secret-state');
  });

  it('ends a query when the signal is aborted', async () => {
    const stop = new AbortController();
    const connection = await connectMysql({ ...options, signal: stop.signal });
    const query = connection.query('SELECT SLEEP(30)');
    stop.abort();
    await expect(query).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await connection.close();
  });

  it('ends a query that takes longer than its limit', async () => {
    await using connection = await connectMysql({ ...options, commandTimeoutMs: 150 });
    await expect(connection.query('SELECT SLEEP(30)')).rejects.toMatchObject({ code: 'CONNECTION_TIMED_OUT' });
  });

  it('says when the server has ended the connection', async () => {
    await using connection = await connectMysql(options);
    await using other = await connectMysql(options);
    const [row] = await connection.query<{ id: number }>('SELECT CONNECTION_ID() AS id');
    await other.query(`KILL ${String(row?.id)}`);
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('says that a server does not offer TLS', async () => {
    await expect(connectMysql({ ...options, tls: { ca: '' } })).rejects.toMatchObject({ code: 'TLS_FAILED' });
  });
});
