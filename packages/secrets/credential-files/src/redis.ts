import { createHash } from 'node:crypto';
import { Secret } from '@devstack-core/redaction';
import { nameOf, textOf, type FieldValue } from './fields.ts';

/** A user of a Redis ACL file. Exactly one of `password` and `passwordSha256` (64 hexadecimal digits). */
export interface RedisUser {
  readonly username: string;
  readonly password?: FieldValue;
  readonly passwordSha256?: string;
  /** ACL rules (`~*`, `&*`, `+@all`, `-@dangerous`); everything is allowed by default. */
  readonly rules?: readonly string[];
  /** False writes a user that cannot log in. */
  readonly enabled?: boolean;
}

const aclFormat = 'a Redis ACL file';
const allowEverything = ['~*', '&*', '+@all'];

/**
 * A Redis ACL file. Passwords are stored as their SHA-256 (`#…`), so any password fits; a username cannot hold white space,
 * which the format has no quotes for. A `default` user that is not named is switched off.
 */
export function renderRedisAcl(users: readonly RedisUser[]): Secret {
  const lines = users.map(({ username, password, passwordSha256, rules = allowEverything, enabled = true }) => {
    nameOf(username, /^[^\s\0]+$/u, aclFormat, 'username', 'a username cannot be empty or hold white space');
    for (const rule of rules)
      nameOf(rule, /^[^\s\0]+$/u, aclFormat, `rule of ${username}`, 'a rule cannot be empty or hold white space');
    const hash =
      passwordSha256 ?? (password === undefined ? undefined : sha256(textOf(password, aclFormat, 'password')));
    if (hash !== undefined)
      nameOf(hash, /^[0-9a-f]{64}$/, aclFormat, 'passwordSha256', 'it must be 64 lower-case hexadecimal digits');
    return [
      'user',
      username,
      'reset',
      enabled && hash !== undefined ? 'on' : 'off',
      ...(hash === undefined ? [] : [`#${hash}`]),
      ...rules,
    ].join(' ');
  });
  if (!users.some(({ username }) => username === 'default')) lines.unshift('user default reset off');
  return new Secret(lines.map((line) => `${line}\n`).join(''));
}

/** Directives of a redis.conf: the arguments of each, a list of lists where a directive is given more than once. */
export type RedisDirectives = readonly (readonly [name: string, ...values: (FieldValue | number)[]])[];

/** A redis.conf (also for `masterauth`): every value is quoted as `sdssplitargs` reads it, so any byte fits. */
export function renderRedisConf(directives: RedisDirectives): Secret {
  const lines = directives.map(([name, ...values]) => {
    nameOf(name, /^[a-z-]+$/, 'redis.conf', name, 'a directive is lower-case letters and "-"');
    return [
      name,
      ...values.map((value) => quote(textOf(typeof value === 'number' ? String(value) : value, 'redis.conf', name))),
    ].join(' ');
  });
  return new Secret(lines.map((line) => `${line}\n`).join(''));
}

function quote(text: string): string {
  const escaped = text
    .replace(/[\\"]/g, '\\$&')
    .replace(/\p{Cc}/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
    );
  return `"${escaped}"`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
