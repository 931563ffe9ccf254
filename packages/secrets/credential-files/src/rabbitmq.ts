import { createHash, randomBytes } from 'node:crypto';
import { Secret } from '@devstack-core/redaction';
import { unrepresentable } from './errors.ts';
import { lineOf, nameOf, textOf, type FieldValue } from './fields.ts';

const format = 'rabbitmq.conf';

/** Settings of rabbitmq.conf, by their dotted names. */
export type RabbitmqSettings = Readonly<Record<string, FieldValue | number | boolean>>;

/**
 * A rabbitmq.conf. Values are quoted (cuttlefish 3 knows `'…'` without any escape); one that holds a `'` is written bare, and
 * where that would change it, or where the reader gives a text another meaning (`$(`, `encrypted:`), `CREDENTIAL_UNREPRESENTABLE` is thrown.
 */
export function renderRabbitmqConf(settings: RabbitmqSettings): Secret {
  const lines = Object.entries(settings).map(([name, value]) => {
    nameOf(name, /^[\w-]+(?:\.[\w-]+)*$/, format, name, 'a setting is words joined by dots');
    if (typeof value === 'number' || typeof value === 'boolean') return `${name} = ${String(value)}`;
    return `${name} = ${quote(lineOf(value, format, name), name)}`;
  });
  return new Secret(lines.map((line) => `${line}\n`).join(''));
}

function quote(text: string, field: string): string {
  if (text.includes('$(')) throw unrepresentable(format, field, '"$(" begins a substitution');
  if (text.startsWith('encrypted:')) throw unrepresentable(format, field, '"encrypted:" begins an encrypted value');
  if (!text.includes("'")) return `'${text}'`;
  if (text.startsWith("'")) throw unrepresentable(format, field, `a value cannot begin with '`);
  if (text.includes('#')) throw unrepresentable(format, field, `a value cannot hold both ' and #`);
  if (text !== text.trim())
    throw unrepresentable(format, field, `a value with a ' cannot begin or end with white space`);
  return text;
}

/** A user of RabbitMQ definitions. Exactly one of `password` and `passwordHash` (base64 of salt and SHA-256, as RabbitMQ stores it). */
export interface RabbitmqUser {
  readonly name: string;
  readonly password?: FieldValue;
  readonly passwordHash?: string;
  readonly tags?: readonly string[];
}

/** What a user may do in a virtual host: three regular expressions over resource names. */
export interface RabbitmqPermission {
  readonly user: string;
  readonly vhost?: string;
  readonly configure?: string;
  readonly write?: string;
  readonly read?: string;
}

/** Definitions that a broker imports at its start (`definitions.import_backend`, `load_definitions`). */
export interface RabbitmqDefinitions {
  readonly users: readonly RabbitmqUser[];
  readonly vhosts?: readonly string[];
  readonly permissions?: readonly RabbitmqPermission[];
}

/** Definitions as JSON. Passwords are stored as salted SHA-256, so any password fits. Every user gets everything in `/` unless permissions are given. */
export function renderRabbitmqDefinitions({ users, vhosts = ['/'], permissions }: RabbitmqDefinitions): Secret {
  const granted = permissions ?? users.map(({ name }): RabbitmqPermission => ({ user: name }));
  const document = {
    users: users.map(({ name, password, passwordHash, tags = [] }) => ({
      name: textOf(name, 'RabbitMQ definitions', 'name'),
      password_hash:
        passwordHash ??
        (password === undefined ? '' : hashRabbitmqPassword(textOf(password, 'RabbitMQ definitions', 'password'))),
      hashing_algorithm: 'rabbit_password_hashing_sha256',
      tags,
      limits: {},
    })),
    vhosts: vhosts.map((name) => ({ name })),
    permissions: granted.map(({ user, vhost = '/', configure = '.*', write = '.*', read = '.*' }) => ({
      user,
      vhost,
      configure,
      write,
      read,
    })),
  };
  return new Secret(`${JSON.stringify(document, null, 2)}\n`);
}

/** An Erlang cookie file: printable ASCII without white space, at most 255 characters, as an Erlang atom takes no more. */
export function renderErlangCookie(cookie: FieldValue): Secret {
  const text = textOf(cookie, 'an Erlang cookie', 'cookie');
  if (!/^[!-~]{1,255}$/.test(text))
    throw unrepresentable(
      'an Erlang cookie',
      'cookie',
      'it must be 1 to 255 printable ASCII characters without white space',
    );
  return new Secret(text);
}

/** base64(salt ‖ SHA-256(salt ‖ password)), https://www.rabbitmq.com/docs/passwords. */
function hashRabbitmqPassword(password: string): string {
  const salt = randomBytes(4);
  return Buffer.concat([salt, createHash('sha256').update(salt).update(password).digest()]).toString('base64');
}
