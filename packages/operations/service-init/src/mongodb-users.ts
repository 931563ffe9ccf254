import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@devstack-core/command-runner';
import { connectMongo, type MongoConnection } from '@devstack-core/database-connections';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { secret, type Secret } from '@devstack-core/redaction';
import { ServiceInitErrorCode } from './errors.ts';
import { ferretArguments } from './mongodb.ts';
import type { ServiceInitContext } from './service-init.ts';

/** A user of database `admin`. */
export interface MongoUser {
  readonly username: string;
  readonly password: Secret;
}

export interface ApplyMongoUsersOptions {
  readonly context: ServiceInitContext;
  readonly server: string;
  readonly url: string;
  readonly pgpass: string;
  readonly users: readonly MongoUser[];
  /** Users that are not wanted any more. */
  readonly former: readonly string[];
}

/** How the databases of set-up users begin: a schema of PostgreSQL each. */
export const setupPrefix = 'devstack_setup_';
const port = 27018;

/**
 * Creates and updates users through a server that only this container can reach. FerretDB takes the password of its set-up user
 * from its environment alone: a random one, of a user that is gone before the real server starts, as are those that an earlier
 * try left when it was killed. Their databases are the caller's to drop. Throws `APPLY_FAILED`.
 */
export async function applyMongoUsers({
  context,
  server,
  url,
  pgpass,
  users,
  former,
}: ApplyMongoUsersOptions): Promise<void> {
  const setup = {
    database: setupPrefix + randomBytes(6).toString('hex'),
    username: 'setup',
    password: secret(randomBytes(24).toString('hex')),
  };
  const stop = new AbortController();
  const running = run([server, `--listen-addr=127.0.0.1:${String(port)}`, '--debug-addr=-', ...ferretArguments(url)], {
    env: {
      PGPASSFILE: pgpass,
      FERRETDB_SETUP_DATABASE: setup.database,
      FERRETDB_SETUP_USERNAME: setup.username,
      FERRETDB_SETUP_PASSWORD: setup.password.reveal(),
      FERRETDB_SETUP_TIMEOUT: '60s',
    },
    signal: context.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, context.signal]),
    overflow: 'keep-tail',
    maxOutputBytes: 64 * 1024,
    check: false,
  });
  const state = { ended: false };
  const end = running.then(
    (result) => {
      state.ended = true;
      return result.stderr;
    },
    () => {
      state.ended = true;
      return '';
    },
  );
  try {
    await using connection = await untilItListens(setup, () => state.ended);
    const known = await namesOf(connection);
    for (const user of users) await ensureUser(connection, user, known.has(`admin.${user.username}`));
    for (const name of former) if (known.has(`admin.${name}`)) await connection.db('admin').command({ dropUser: name });
    await removeSetups(connection, known, setup.database);
  } catch (error) {
    if (state.ended) throw failed('the throw-away server ended', lastLine(await end));
    throw isDevstackError(error) && error.code !== ServiceInitErrorCode.applyFailed ? failed(error.message) : error;
  } finally {
    stop.abort();
    await end;
  }
}

async function untilItListens(
  setup: { database: string; username: string; password: Secret },
  ended: () => boolean,
): Promise<MongoConnection> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      return await connectMongo({
        host: '127.0.0.1',
        port,
        username: setup.username,
        password: setup.password,
        database: 'admin',
        authSource: setup.database,
        connectTimeoutMs: 10_000,
      });
    } catch (error) {
      if (ended() || performance.now() > deadline || !isDevstackError(error, 'CONNECTION_REFUSED')) throw error;
      await sleep(50);
    }
  }
}

async function namesOf(connection: MongoConnection): Promise<ReadonlySet<string>> {
  const { users } = await connection.db('admin').command({ usersInfo: { forAllDBs: true } });
  return new Set(
    Array.isArray(users)
      ? users.map((user: { db?: unknown; user?: unknown }) => `${String(user.db)}.${String(user.user)}`)
      : [],
  );
}

async function ensureUser(
  connection: MongoConnection,
  { username, password }: MongoUser,
  exists: boolean,
): Promise<void> {
  const settings = { pwd: password.reveal(), roles: [], mechanisms: ['SCRAM-SHA-256'] };
  try {
    await connection
      .db('admin')
      .command(exists ? { updateUser: username, ...settings } : { createUser: username, ...settings }, [password]);
  } catch (error) {
    // The server's text names the character.
    if (isDevstackError(error) && /SASL ?prep/i.test(error.message)) throw notPreparable(username);
    throw error;
  }
}

// The connection's own user goes last.
async function removeSetups(connection: MongoConnection, known: ReadonlySet<string>, own: string): Promise<void> {
  const databases = [...known]
    .filter((name) => name.startsWith(setupPrefix))
    .map((name) => name.slice(0, name.indexOf('.')));
  for (const database of databases.toSorted((left, right) => Number(left === own) - Number(right === own))) {
    await connection.db(database).command({ dropUser: 'setup' });
  }
}

function notPreparable(username: string): DevstackError {
  return new DevstackError({
    code: ServiceInitErrorCode.applyFailed,
    message: `The password of user "${username}" has a character that SCRAM-SHA-256 does not allow (RFC 4013: among others, everything that came after Unicode 3.2, such as emoji).`,
    hint: 'Write another one to Vault: "devstack vault rotate-password mongodb".',
    details: { username },
  });
}

function failed(why: string, line = ''): DevstackError {
  return new DevstackError({
    code: ServiceInitErrorCode.applyFailed,
    message: `The users of FerretDB could not be brought up to date: ${why}${line === '' ? '' : ` (${line})`}.`,
    hint: 'Run "devstack health postgres": FerretDB keeps its users there. The next start tries again.',
  });
}

function lastLine(stderr: string): string {
  return stderr.trim().split('\n').at(-1) ?? '';
}
