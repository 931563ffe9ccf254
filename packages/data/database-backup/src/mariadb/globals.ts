import { Secret } from '@devstack-core/redaction';
import { DatabaseBackupErrorCode } from '../errors.ts';
import type { Fingerprint } from '../types.ts';
import { digest } from './catalog.ts';
import { mariadbFailure } from './failure.ts';
import { systemAccounts, type MariadbPlace } from './place.ts';
import { identifier } from './quote.ts';
import { endMark } from './sections.ts';
import type { MariadbSession } from './session.ts';

/** A user or a role, and the statements that make it what it is. */
export interface Account {
  /** `user@host`, or a role's name. */
  readonly name: string;
  readonly isRole: boolean;
  /** Makes it anew, with its password's hash and without any right. */
  readonly create: readonly string[];
  readonly grants: readonly string[];
}

const accountLine = '-- DevStack: account ';
const grantsLine = '-- DevStack: grants ';

/** All users and roles but those of the installation, in the order of their names. */
export async function readAccounts(
  session: MariadbSession,
  place: MariadbPlace,
  isMariadb: boolean,
): Promise<readonly Account[]> {
  const rows = await session.query(
    `SELECT User, Host, ${isMariadb ? "is_role = 'Y'" : '0'} FROM mysql.user ORDER BY 3 DESC, 1, 2`,
  );
  const excluded = new Set(place.excludeAccounts ?? systemAccounts);
  const accounts: Account[] = [];
  for (const [user = '', host = '', role] of rows) {
    const isRole = role === '1';
    const name = isRole ? user : `${user}@${host}`;
    if (excluded.has(name)) continue;
    const quoted = isRole ? identifier(user) : `${identifier(user)}@${identifier(host)}`;
    const create = isRole ? roleStatements(user) : await userStatements(session, quoted, isMariadb);
    const grants = await session.query(`SHOW GRANTS FOR ${isRole && user === 'PUBLIC' ? 'PUBLIC' : quoted}`);
    accounts.push({ name, isRole, create, grants: grants.flatMap(([line = '']) => grantStatement(line, quoted)) });
  }
  return accounts;
}

function roleStatements(role: string): readonly string[] {
  return role === 'PUBLIC' ? [] : [`CREATE OR REPLACE ROLE ${identifier(role)}`];
}

async function userStatements(session: MariadbSession, quoted: string, isMariadb: boolean): Promise<readonly string[]> {
  const [row] = await session.query(`SHOW CREATE USER ${quoted}`);
  const statement = row?.[0] ?? '';
  if (isMariadb) return [statement.replace(/^CREATE USER /, 'CREATE OR REPLACE USER ')];
  return [`DROP USER IF EXISTS ${quoted}`, statement];
}

// What follows the account repeats its password's hash, which its CREATE USER has; a role's list has those of the roles in it as well.
function grantStatement(line: string, quoted: string): readonly string[] {
  if (line.startsWith('SET DEFAULT ROLE ')) return [line];
  const target = ` TO ${quoted}`;
  const at = line.lastIndexOf(target);
  if (at < 0) return line.endsWith(' TO PUBLIC') || line.endsWith(' TO `PUBLIC`') ? [line] : [];
  const rest = line.slice(at + target.length).replaceAll(/'(?:[^'\\]|\\.|'')*'/g, "''");
  const options = /\bWITH ADMIN OPTION\b/.test(rest)
    ? ' WITH ADMIN OPTION'
    : /\bGRANT OPTION\b/.test(rest)
      ? ' WITH GRANT OPTION'
      : '';
  return [line.slice(0, at + target.length) + options];
}

/** One statement a line; accounts first, then what they may, as a right may be given to a role that comes later. */
export function renderAccounts(accounts: readonly Account[]): Secret {
  const section = (mark: string, statements: (account: Account) => readonly string[]): string =>
    accounts
      .map(
        (account) =>
          `${mark}${JSON.stringify([account.isRole ? 'role' : 'user', account.name])}\n${statements(account)
            .map((statement) => `${statement};\n`)
            .join('')}`,
      )
      .join('');
  return new Secret(
    `${section(accountLine, ({ create }) => create)}${section(grantsLine, ({ grants }) => grants)}${endMark}`,
  );
}

/** The other way round. Throws RESTORE_FAILED where the text is not whole. */
export function parseAccounts(text: string): readonly Account[] {
  if (!text.endsWith(endMark))
    throw mariadbFailure(
      DatabaseBackupErrorCode.restoreFailed,
      'The dump of the accounts is not whole: its last line is missing',
    );
  const accounts = new Map<string, { name: string; isRole: boolean; create: string[]; grants: string[] }>();
  let into: string[] = [];
  for (const line of text.slice(0, -endMark.length).split('\n')) {
    const mark = [accountLine, grantsLine].find((begin) => line.startsWith(begin));
    if (mark === undefined) {
      if (line !== '') into.push(line.replace(/;$/, ''));
      continue;
    }
    const key = line.slice(mark.length);
    const [type, name = ''] = JSON.parse(key) as readonly string[];
    const account = accounts.get(key) ?? { name, isRole: type === 'role', create: [], grants: [] };
    accounts.set(key, account);
    into = mark === accountLine ? account.create : account.grants;
  }
  return [...accounts.values()];
}

/** Each account with its settings and rights, and its password's hash as an item of its own. */
export function accountsFingerprint(accounts: readonly Account[]): Fingerprint {
  const items = accounts.flatMap(({ name, isRole, create, grants }) => [
    {
      kind: isRole ? 'role' : 'user',
      name,
      count: grants.length,
      checksum: digest([...create.map(withoutPassword), ...[...grants].sort()]),
    },
    ...(isRole ? [] : [{ kind: 'password', name, count: 1, checksum: digest(create) }]),
  ]);
  return { schema: 'devstack/fingerprint/1', items };
}

// Hashes have no spaces.
function withoutPassword(statement: string): string {
  return statement.replace(/ IDENTIFIED (?:BY|VIA|WITH) .*?(?= REQUIRE | WITH | ACCOUNT | PASSWORD EXPIRE |$)/, '');
}

/**
 * The statements that make the accounts those of a dump. Accounts that are there keep their passwords, which whoever logs in with them has
 * from elsewhere, and the one that is logged in is not made anew.
 */
export function accountStatements(
  wanted: readonly Account[],
  present: readonly Account[],
  current: string,
  isMariadb: boolean,
): readonly string[] {
  const names = new Set(wanted.map(({ name }) => name));
  const surplus = present.filter(({ name }) => !names.has(name) && name !== current && name !== 'PUBLIC');
  return [
    ...(isMariadb ? ['SET SESSION character_set_client=utf8mb4'] : []),
    ...surplus.map(({ name, isRole }) => `DROP ${isRole ? 'ROLE' : 'USER'} IF EXISTS ${accountName(name, isRole)}`),
    ...wanted
      .filter(({ name }) => name !== current)
      .flatMap(({ name, create }) => present.find((account) => account.name === name)?.create ?? create),
    ...wanted.flatMap(({ grants }) => grants),
    ...givenByMaking(wanted, current),
  ];
}

// Whoever makes a role may give it to others, and needs that until all is given.
function givenByMaking(wanted: readonly Account[], current: string): readonly string[] {
  const own = wanted.find(({ name }) => name === current)?.grants ?? [];
  return wanted
    .filter(({ isRole, name }) => isRole && name !== 'PUBLIC')
    .map(({ name }) => identifier(name))
    .filter((role) => !own.some((grant) => grant.startsWith(`GRANT ${role} TO `)))
    .map((role) => `REVOKE ${role} FROM CURRENT_USER`);
}

function accountName(name: string, isRole: boolean): string {
  const at = name.lastIndexOf('@');
  return isRole ? identifier(name) : `${identifier(name.slice(0, at))}@${identifier(name.slice(at + 1))}`;
}

/** `user@host` of the session's own account. */
export async function currentAccount(session: MariadbSession): Promise<string> {
  const [row] = await session.query('SELECT CURRENT_USER()');
  return row?.[0] ?? '';
}
