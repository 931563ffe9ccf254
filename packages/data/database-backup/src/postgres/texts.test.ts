import { describe, expect, it } from 'vitest';
import { failure } from './failure.ts';
import { planGlobals } from './globals-plan.ts';
import { connectionString } from './login.ts';
import { normalizeExpression } from './normalize-expression.ts';
import { splitStatements } from './sql-statements.ts';

describe('an expression in its normal form', () => {
  it.each([
    [
      `CHECK (((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))`,
      `CHECK (((status)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))`,
    ],
    [`(x)::timestamp(3) without time zone`, `x`],
    [`'(a)::text  b'::text`, `('(a)::text  b')`],
    [`a = "Odd::text (x)"`, `(a = "Odd::text (x)")`],
  ])('is the same for %s and %s', (one, other) => {
    expect(normalizeExpression(one)).toBe(normalizeExpression(other));
  });

  it.each([
    [`'a  b'`, `'a b'`],
    [`'(a)'`, `'a'`],
    [`egg <= 100`, `egg <= 101`],
    [`a and b`, `aandb`],
    [`$$ a  b $$`, `$$ a b $$`],
    [`"a b"`, `"ab"`],
  ])('is another for %s and %s', (one, other) => {
    expect(normalizeExpression(one)).not.toBe(normalizeExpression(other));
  });
});

describe('a script', () => {
  it('falls into its statements, whatever is in quotes', () => {
    const script = `-- a; comment\n\\restrict x;y\nCREATE ROLE "a;""b";\nCOMMENT ON ROLE x IS 'it''s; -- no';\nSELECT E'a\\';', $$;$$, $t$;$$;$t$;\n\n\\unrestrict x\n`;
    expect(splitStatements(script)).toEqual({
      statements: [`CREATE ROLE "a;""b"`, `COMMENT ON ROLE x IS 'it''s; -- no'`, `SELECT E'a\\';', $$;$$, $t$;$$;$t$`],
      isComplete: true,
    });
  });

  it.each([`CREATE ROLE x`, `COMMENT ON ROLE x IS 'half`, `CREATE ROLE "half`])(
    'that ends within %s is not whole',
    (script) => {
      expect(splitStatements(script).isComplete).toBe(false);
      expect(planGlobals(script, { existing: [], superuser: { there: undefined, here: 'x' } })).toBeUndefined();
    },
  );
});

describe('roles', () => {
  const script = `CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a''b' VALID UNTIL '2040-01-01';
CREATE ROLE "of ""old""";
ALTER ROLE "of ""old""" WITH LOGIN PASSWORD 'v';
CREATE ROLE devstack;
ALTER ROLE devstack WITH SUPERUSER PASSWORD 'w';
ALTER ROLE app SET work_mem TO '8MB';
ALTER ROLE app SET search_path TO 'a;b';
GRANT auditors TO app WITH ADMIN OPTION GRANTED BY devstack;
GRANT auditors TO "of ""old""" GRANTED BY app;
`;

  it('that are there keep their passwords', () => {
    expect(
      planGlobals(script, { existing: ['app', 'devstack'], superuser: { there: 'devstack', here: 'devstack' } }),
    ).toEqual([
      `ALTER ROLE app WITH NOSUPERUSER LOGIN VALID UNTIL '2040-01-01'`,
      `CREATE ROLE "of ""old"""`,
      `ALTER ROLE "of ""old""" WITH LOGIN PASSWORD 'v'`,
      `ALTER ROLE "app" RESET ALL`,
      `ALTER ROLE app SET work_mem TO '8MB'`,
      `ALTER ROLE app SET search_path TO 'a;b'`,
      `GRANT auditors TO app WITH ADMIN OPTION GRANTED BY "devstack"`,
      `GRANT auditors TO "of ""old""" GRANTED BY app`,
    ]);
  });

  it('of a server with another first superuser are all made, and what the old one granted the new one grants', () => {
    const plan = planGlobals(script, { existing: ['root'], superuser: { there: 'devstack', here: 'root' } });
    expect(plan).toContain(
      `ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a''b' VALID UNTIL '2040-01-01'`,
    );
    expect(plan).toContain(`ALTER ROLE devstack WITH SUPERUSER PASSWORD 'w'`);
    expect(plan).toContain(`GRANT auditors TO app WITH ADMIN OPTION GRANTED BY "root"`);
  });
});

describe('a failure', () => {
  it('keeps the message and leaves out what shows rows and statements', () => {
    const error = failure(
      'restore',
      'The restore',
      1,
      `pg_restore: error: could not execute query: ERROR:  duplicate key value violates unique constraint "x"\nDETAIL:  Key (mail)=(secret@example) already exists.\nCONTEXT:  COPY t, line 7: "secret"\nCommand was: ALTER ROLE x PASSWORD 'secret'`,
    );
    expect(error).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('duplicate key value') as string,
    });
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  it.each([
    [
      'dump',
      'psql: error: connection to server on socket "/run/x" failed: FATAL:  password authentication failed for user "a"',
      'PLACE_UNUSABLE',
      /Vault/,
    ],
    ['dump', 'psql: error: connection to server failed: No such file', 'PLACE_UNUSABLE', /status/],
    [
      'dump',
      'FATAL:  57P01: terminating connection due to administrator command\nserver closed the connection unexpectedly',
      'DUMP_FAILED',
      /status/,
    ],
    ['restore', 'ERROR:  53100: could not extend file: No space left on device', 'RESTORE_FAILED', /space/],
    ['dump', '', 'DUMP_FAILED', /unchanged/],
  ] as const)('of a %s that says %j is %s', (purpose, stderr, code, hint) => {
    expect(failure(purpose, 'It', 1, stderr)).toMatchObject({ code, hint: expect.stringMatching(hint) as string });
  });

  it('carries the state', () => {
    expect(
      failure('dump', 'It', 3, 'psql:<stdin>:1: ERROR:  55P03: canceling statement due to lock timeout\nLOCATION: x')
        .details['sqlState'],
    ).toBe('55P03');
  });
});

describe('a connection string', () => {
  it('holds any name', () => {
    expect(connectionString({ dbname: `it's a\\b = c`, host: undefined, user: '' })).toBe(
      `dbname='it\\'s a\\\\b = c' user=''`,
    );
  });
});
