import { secret } from '@devstack-core/redaction';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wrap } from '../test/fake-container.ts';
import { planPostgres, quoteName, quoteText } from './postgres-sql.ts';
import type { ServiceClient } from './service-init.ts';

const verifier = 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy';
const client = (username: string, grants: string): ServiceClient => ({
  username,
  verifier: secret(verifier),
  role: username,
  grants,
});
const context = (clients: readonly ServiceClient[], password = 'pw') => ({
  role: 'postgres',
  secrets: wrap({ username: 'devstack', password, database: 'devstack' }),
  clients,
});
const fresh = ['postgres', 'template0', 'template1'];
const sql = (clients: readonly ServiceClient[], existing = fresh) =>
  planPostgres(context(clients), existing)
    .flatMap((batch) => batch.statements.map((statement) => `${batch.database}: ${statement}`))
    .join('\n');

describe('planPostgres', () => {
  test('makes the superuser and its database at first', () => {
    const [batch, ...others] = planPostgres(context([], `it's`), fresh);
    expect(others).toEqual([]);
    expect(batch?.database).toBe('postgres');
    expect(batch?.statements).toContain(`ALTER ROLE "devstack" PASSWORD E'it''s'`);
    expect(batch?.statements).toContain('CREATE DATABASE "devstack" OWNER "devstack"');
  });

  test('does not create a database that exists', () => {
    expect(sql([client('forgejo', 'own-database')], [...fresh, 'devstack', 'forgejo'])).not.toContain(
      'CREATE DATABASE',
    );
  });

  test('a client with a database of its own owns it and shares it with nobody', () => {
    const text = sql([client('forgejo', 'own-database')]);
    expect(text).toContain('CREATE DATABASE "forgejo" OWNER "forgejo"');
    expect(text).toContain('REVOKE ALL ON DATABASE "forgejo" FROM PUBLIC');
    expect(text).toContain(`ALTER ROLE "forgejo" PASSWORD E'${verifier}'`);
  });

  test('an application gets a schema of its own in the shared database', () => {
    expect(sql([client('reference_api', 'application')])).toContain(
      'devstack: CREATE SCHEMA IF NOT EXISTS "reference_api" AUTHORIZATION "reference_api"',
    );
  });

  test('a monitor reads statistics and no data', () => {
    expect(sql([client('postgres_exporter', 'monitor')])).toContain('GRANT pg_monitor TO "postgres_exporter"');
  });

  test('the pooler looks users up through one function that nobody else may call', () => {
    const text = sql([client('pgbouncer', 'auth-query')]);
    expect(text).toContain('SECURITY DEFINER SET search_path = pg_catalog');
    expect(text).toContain('REVOKE ALL ON FUNCTION pgbouncer.user_lookup(text) FROM PUBLIC');
    expect(text).toContain('GRANT EXECUTE ON FUNCTION pgbouncer.user_lookup(text) TO "pgbouncer"');
  });

  test('no database is open to everybody', () => {
    const text = sql([
      client('pgbouncer', 'auth-query'),
      client('reference_api', 'application'),
      client('postgres_exporter', 'monitor'),
    ]);
    for (const database of ['devstack', 'postgres', 'template1'])
      expect(text).toContain(`REVOKE CONNECT, TEMPORARY ON DATABASE "${database}" FROM PUBLIC`);
    expect(text).toContain('GRANT CONNECT ON DATABASE "postgres", "devstack" TO "pgbouncer"');
    expect(text).toContain('GRANT CONNECT ON DATABASE "postgres", "devstack" TO "postgres_exporter"');
    expect(text).toContain('GRANT CONNECT, TEMPORARY ON DATABASE "devstack" TO "reference_api"');
  });

  test.each([
    ['unknown grants', client('x', 'everything')],
    ['a plain password', { username: 'x', password: secret('hunter22'), role: 'x', grants: 'monitor' }],
    ['a verifier of another kind', { ...client('x', 'monitor'), verifier: secret('md5abc') }],
  ])('refuses %s, without showing the value', (_, bad) => {
    expect(() => planPostgres(context([bad]), fresh)).toThrow(expect.objectContaining({ code: 'CLIENT_INVALID' }));
    expect(() => planPostgres(context([bad]), fresh)).not.toThrow(/hunter22|md5abc/);
  });
});

describe('quoteText', () => {
  // The rules of PostgreSQL's E'' strings, read back.
  const read = (literal: string): string => {
    expect(literal.startsWith("E'") && literal.endsWith("'")).toBe(true);
    return literal
      .slice(2, -1)
      .replaceAll(/''|\\(.)/gs, (whole, escaped: string | undefined) =>
        whole === "''" ? "'" : ({ n: '\n', r: '\r', '\\': '\\' }[escaped ?? ''] ?? 'BAD'),
      );
  };
  test('keeps every text as it is, on one line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!text.includes('\0'));
        const literal = quoteText(text);
        expect(read(literal)).toBe(text);
        expect(literal).not.toMatch(/[\n\r]/);
      }),
    );
  });

  test('refuses a NUL', () => {
    expect(() => quoteText('a\0b')).toThrow(expect.objectContaining({ code: 'APPLY_FAILED' }));
  });

  test('quotes names', () => {
    expect(quoteName('a"b')).toBe('"a""b"');
  });
});
