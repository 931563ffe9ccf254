import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { awkwardValues, printableValue } from '../test/values.ts';
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

describe('pgpass', () => {
  it('escapes what separates, and leaves out fields that match everything', () => {
    expect(
      renderPgpass([
        { host: '::1', port: 5432, database: 'a', username: 'b\\', password: new Secret('c:\\d') },
        { password: 'x' },
      ]).reveal(),
    ).toBe('\\:\\:1:5432:a:b\\\\:c\\:\\\\d\n*:*:*:*:x\n');
  });
});

describe('my.cnf', () => {
  it('quotes every value, and writes options that stand alone', () => {
    expect(
      renderMyCnf({
        client: { user: 'devstack', password: new Secret('a"b\\c\n'), port: 3306, 'skip-ssl': true },
      }).reveal(),
    ).toBe('[client]\nuser="devstack"\npassword="a\\"b\\\\c\\n"\nport="3306"\nskip-ssl\n');
  });
});

describe('a Redis ACL file', () => {
  const hash = createHash('sha256').update('p w').digest('hex');

  it('stores SHA-256, and switches an unnamed default user off', () => {
    expect(
      renderRedisAcl([{ username: 'api', password: new Secret('p w'), rules: ['~api:*', '+@read'] }]).reveal(),
    ).toBe(`user default reset off\nuser api reset on #${hash} ~api:* +@read\n`);
  });

  it('takes a hash, and users that cannot log in', () => {
    expect(
      renderRedisAcl([
        { username: 'default', passwordSha256: hash },
        { username: 'gone', enabled: false },
      ]).reveal(),
    ).toBe(`user default reset on #${hash} ~* &* +@all\nuser gone reset off ~* &* +@all\n`);
  });

  it('quotes directives of redis.conf', () => {
    expect(
      renderRedisConf([
        ['masterauth', new Secret('a"\\\n\u0001b')],
        ['save', 900, 1],
      ]).reveal(),
    ).toBe('masterauth "a\\"\\\\\\x0a\\x01b"\nsave "900" "1"\n');
  });
});

describe('RabbitMQ', () => {
  it('quotes settings', () => {
    expect(renderRabbitmqConf({ 'a.b': new Secret('x # y'), 'a.c': "it's", 'a.d': 5, 'a.e': true }).reveal()).toBe(
      "a.b = 'x # y'\na.c = it's\na.d = 5\na.e = true\n",
    );
  });

  it('stores salted hashes in definitions, and grants everything in / where nothing is said', () => {
    const text = renderRabbitmqDefinitions({
      users: [
        { name: 'a', password: new Secret('secret') },
        { name: 'b', passwordHash: 'aGFzaA==', tags: ['monitoring'] },
      ],
    }).reveal();
    expect(text).not.toContain('secret');
    const { users, permissions, vhosts } = JSON.parse(text) as {
      users: { password_hash: string; tags: string[] }[];
      permissions: unknown[];
      vhosts: unknown[];
    };
    const [salted = ''] = users.map((user) => user.password_hash);
    const bytes = Buffer.from(salted, 'base64');
    expect(bytes.subarray(4)).toEqual(createHash('sha256').update(bytes.subarray(0, 4)).update('secret').digest());
    expect(users[1]).toMatchObject({ name: 'b', password_hash: 'aGFzaA==', tags: ['monitoring'] });
    expect(permissions).toEqual(
      ['a', 'b'].map((user) => ({ user, vhost: '/', configure: '.*', write: '.*', read: '.*' })),
    );
    expect(vhosts).toEqual([{ name: '/' }]);
  });

  it('lets a user without password not log in by one', () => {
    expect(JSON.parse(renderRabbitmqDefinitions({ users: [{ name: 'a' }], permissions: [] }).reveal())).toMatchObject({
      users: [{ password_hash: '' }],
      permissions: [],
    });
  });
});

describe('mongod configuration', () => {
  it('is YAML that gives back every text as it was', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          printableValue,
          fc.string({ unit: 'binary', maxLength: 30 }).filter((text) => text.isWellFormed() && !text.includes('\0')),
        ),
        (text) => {
          const yaml = renderMongodConf({
            security: { keyFile: new Secret(text), list: [text], deep: { deeper: text } },
            [text.length > 0 ? `k${text}` : 'k']: 1,
          }).reveal();
          expect(parse(yaml)).toEqual({
            security: { keyFile: text, list: [text], deep: { deeper: text } },
            [text.length > 0 ? `k${text}` : 'k']: 1,
          });
        },
      ),
    );
  });

  it('writes groups, numbers and booleans', () => {
    expect(
      renderMongodConf({ net: { port: 27017, ipv6: false }, 'security.authorization': 'enabled', empty: {} }).reveal(),
    ).toBe('net:\n  port: 27017\n  ipv6: false\nsecurity.authorization: "enabled"\nempty: {}\n');
    expect(renderMongodConf({}).reveal()).toBe('{}\n');
  });
});

describe('PgBouncer', () => {
  it('doubles quotes in the userlist, and takes verifiers', () => {
    expect(
      renderPgbouncerUserlist([
        { username: 'a"b', password: new Secret('c"d') },
        { username: 'e', verifier: 'SCRAM-SHA-256$x' },
        { username: 'f' },
      ]).reveal(),
    ).toBe('"a""b" "c""d"\n"e" "SCRAM-SHA-256$x"\n"f" ""\n');
  });

  it('quotes connection parameters', () => {
    expect(
      renderPgbouncerIni({
        databases: { '*': { host: 'pg', port: 5432 }, 'odd name': { password: new Secret("it's") } },
        pgbouncer: { listen_port: 6432, auth_type: 'scram-sha-256' },
      }).reveal(),
    ).toBe(
      "[databases]\n* = host='pg' port='5432'\n\"odd name\" = password='it''s'\n[pgbouncer]\nlisten_port = 6432\nauth_type = scram-sha-256\n",
    );
  });
});

describe('app.ini', () => {
  it('puts keys without a section first, and quotes texts', () => {
    expect(
      renderAppIni({
        database: { PASSWD: new Secret('a`b;#'), SSL: false, PORT: 5 },
        DEFAULT: { APP_NAME: 'x', EMPTY: '' },
      }).reveal(),
    ).toBe('APP_NAME = `x`\nEMPTY = \n[database]\nPASSWD = `a`b;#`\nSSL = false\nPORT = 5\n');
    expect(renderAppIni({ '': { A: 1 } }).reveal()).toBe('A = 1\n');
  });
});

describe('netrc', () => {
  it('quotes only what is not plain', () => {
    expect(renderNetrc([{ machine: 'localhost', login: 'me', password: new Secret('a "b" \\') }]).reveal()).toBe(
      'machine localhost login me password "a \\"b\\" \\\\"\n',
    );
  });
});

describe('a value that a format cannot hold', () => {
  const password = 'tell nobody';
  const cases: readonly (readonly [string, string, () => unknown])[] = [
    ['a line end in pgpass', 'password', () => renderPgpass([{ password: new Secret(`${password}\n`) }])],
    ['NUL in my.cnf', 'password', () => renderMyCnf({ client: { password: `${password}\0` } })],
    ['a lone surrogate', 'password', () => renderMyCnf({ client: { password: `${password}\ud800` } })],
    [
      'more than a line of my.cnf takes',
      'password',
      () => renderMyCnf({ client: { password: password.repeat(1000) } }),
    ],
    ['an odd group of my.cnf', 'group', () => renderMyCnf({ 'a]b': {} })],
    ['an odd option of my.cnf', 'a=b', () => renderMyCnf({ a: { 'a=b': true } })],
    ['a space in a Redis username', 'username', () => renderRedisAcl([{ username: 'a b', password }])],
    ['a space in a Redis rule', 'rule of a', () => renderRedisAcl([{ username: 'a', rules: ['~a b'] }])],
    ['no SHA-256', 'passwordSha256', () => renderRedisAcl([{ username: 'a', passwordSha256: password }])],
    ['an odd directive', 'A B', () => renderRedisConf([['A B', password]])],
    ['a quote and a comment in rabbitmq.conf', 'a.b', () => renderRabbitmqConf({ 'a.b': `${password} ' #` })],
    ['a quote first in rabbitmq.conf', 'a.b', () => renderRabbitmqConf({ 'a.b': `'${password}` })],
    ['a quote and a space last in rabbitmq.conf', 'a.b', () => renderRabbitmqConf({ 'a.b': `${password} ' ` })],
    ['a substitution of rabbitmq.conf', 'a.b', () => renderRabbitmqConf({ 'a.b': `${password} $(x)` })],
    ['an encrypted value of rabbitmq.conf', 'a.b', () => renderRabbitmqConf({ 'a.b': `encrypted:${password}` })],
    ['an odd setting of rabbitmq.conf', 'a b', () => renderRabbitmqConf({ 'a b': password })],
    ['a space in an Erlang cookie', 'cookie', () => renderErlangCookie(password)],
    [
      'more than PgBouncer takes',
      'password',
      () => renderPgbouncerUserlist([{ username: 'a', password: password.repeat(200) }]),
    ],
    ['a long PgBouncer username', 'username', () => renderPgbouncerUserlist([{ username: 'a'.repeat(128), password }])],
    [
      'white space around a value of pgbouncer.ini',
      'x',
      () => renderPgbouncerIni({ databases: {}, pgbouncer: { x: ` ${password}` } }),
    ],
    [
      'a line end in pgbouncer.ini',
      'a.password',
      () => renderPgbouncerIni({ databases: { a: { password: `${password}\n` } }, pgbouncer: {} }),
    ],
    ['a reference in app.ini', 'database.PASSWD', () => renderAppIni({ database: { PASSWD: `${password}%(NAME)s` } })],
    ['an odd section of app.ini', 'section', () => renderAppIni({ 'a]': {} })],
    ['an odd key of app.ini', '.A B', () => renderAppIni({ '': { 'A B': 1 } })],
  ];

  it.each(cases)('%s: names the field, not the value', (_what, field, render) => {
    let thrown: unknown;
    try {
      render();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: 'CREDENTIAL_UNREPRESENTABLE',
      details: { field },
      hint: expect.any(String) as string,
    });
    expect(inspect(thrown, { depth: 9, showHidden: true })).not.toContain(password);
  });
});

describe('every renderer', () => {
  it('gives a Secret', () => {
    expect(awkwardValues.map((value) => String(renderNetrc([{ machine: 'm', login: 'l', password: value }])))).toEqual(
      awkwardValues.map(() => '[secret]'),
    );
    expect(renderErlangCookie('Abc!').reveal()).toBe('Abc!');
  });
});
