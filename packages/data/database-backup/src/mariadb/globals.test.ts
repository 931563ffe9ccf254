import { describe, expect, it } from 'vitest';
import { compareFingerprints } from '../fingerprint.ts';
import type { Fingerprint } from '../types.ts';
import { accountsFingerprint, accountStatements, parseAccounts, renderAccounts, type Account } from './globals.ts';

const accounts: readonly Account[] = [
  { name: 'boss', isRole: true, create: ['CREATE OR REPLACE ROLE `boss`'], grants: ['GRANT PROCESS ON *.* TO `boss`'] },
  {
    name: 'app@%',
    isRole: false,
    create: ["CREATE OR REPLACE USER `app`@`%` IDENTIFIED BY PASSWORD '*X'"],
    grants: ['GRANT `boss` TO `app`@`%`', 'SET DEFAULT ROLE `boss` FOR `app`@`%`'],
  },
  { name: 'odd;"@h', isRole: false, create: ['CREATE OR REPLACE USER `odd;"`@`h`'], grants: [] },
];

describe('accounts', () => {
  it('come out of their text as they went in, and nothing less than all of it is taken', () => {
    const text = renderAccounts(accounts).reveal();
    expect(parseAccounts(text)).toEqual(accounts);
    for (let length = 0; length < text.length; length += 1)
      expect(() => parseAccounts(text.slice(0, length))).toThrow('not whole');
  });

  it('replace those that are there, in an order in which each finds what it needs', () => {
    const present: readonly Account[] = [
      { name: 'late@h', isRole: false, create: [], grants: [] },
      { name: 'gone', isRole: true, create: [], grants: [] },
    ];
    expect(accountStatements(accounts, present, 'root@localhost', true)).toEqual([
      'SET SESSION character_set_client=utf8mb4',
      'DROP USER IF EXISTS `late`@`h`',
      'DROP ROLE IF EXISTS `gone`',
      'CREATE OR REPLACE ROLE `boss`',
      "CREATE OR REPLACE USER `app`@`%` IDENTIFIED BY PASSWORD '*X'",
      'CREATE OR REPLACE USER `odd;"`@`h`',
      'GRANT PROCESS ON *.* TO `boss`',
      'GRANT `boss` TO `app`@`%`',
      'SET DEFAULT ROLE `boss` FOR `app`@`%`',
      'REVOKE `boss` FROM CURRENT_USER',
    ]);
  });

  it('keep the passwords that they have', () => {
    const create = ["CREATE OR REPLACE USER `app`@`%` IDENTIFIED BY PASSWORD '*Y'"];
    const statements = accountStatements(
      accounts,
      [{ name: 'app@%', isRole: false, create, grants: [] }],
      'root@localhost',
      true,
    );
    expect(statements).toContain(create[0]);
    expect(statements.join('\n')).not.toContain("'*X'");
  });

  it('have a password as an item of its own', () => {
    const of = (hash: string): Fingerprint =>
      accountsFingerprint([
        {
          name: 'a@h',
          isRole: false,
          create: [
            `CREATE OR REPLACE USER \`a\`@\`h\` IDENTIFIED ${hash} REQUIRE SSL WITH MAX_USER_CONNECTIONS 3 ACCOUNT LOCK`,
          ],
          grants: [],
        },
      ]);
    const one = of("BY PASSWORD '*AB'");
    expect(compareFingerprints(one, of("VIA ed25519 USING 'x/y+z' OR unix_socket"))).toEqual([
      { kind: 'password', name: 'a@h', problem: 'content', expected: 1, actual: 1 },
    ]);
    expect(compareFingerprints(one, of("BY PASSWORD '*AB' REQUIRE X509 --"))).toHaveLength(2);
  });

  it('leave whoever restores them with the password and the roles that it has', () => {
    const statements = accountStatements(
      accounts,
      [{ name: 'app@%', isRole: false, create: [], grants: [] }],
      'app@%',
      true,
    );
    expect(statements.join('\n')).not.toContain('IDENTIFIED');
    expect(statements.join('\n')).not.toContain('REVOKE');
    expect(statements).toContain('GRANT `boss` TO `app`@`%`');
  });
});
