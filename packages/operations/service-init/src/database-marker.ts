import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectPostgres, type SqlConnection } from '@devstack-core/database-connections';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { ServiceInitErrorCode } from './errors.ts';
import { nameField, secretField } from './secret-fields.ts';
import type { SecretVersion, ServiceInitContext } from './service-init.ts';
import { postgresTrust } from './tls.ts';

/** What a database says about the secrets that it was last brought in line with. No part of a secret. */
export interface MarkedVersions {
  readonly secrets: SecretVersion;
  readonly clients: SecretVersion;
  /** Users that were made from them. */
  readonly users: readonly string[];
}

/**
 * The PostgreSQL database that another engine keeps its data in. What was applied is noted in the database's own comment, so
 * that the note cannot outlive the data nor be lost without it.
 */
export class MarkedDatabase implements AsyncDisposable {
  readonly #connection: SqlConnection;
  readonly #database: string;

  private constructor(connection: SqlConnection, database: string) {
    this.#connection = connection;
    this.#database = database;
  }

  /** Waits for PostgreSQL, and connects with the fields `postgres_username`, `postgres_password` and `postgres_database`. Throws `APPLY_FAILED`. */
  static async open(context: ServiceInitContext, deadlineMs = 120_000): Promise<MarkedDatabase> {
    const { host, port } = postgresOf(context);
    const username = nameField(context, 'postgres_username');
    const password = secretField(context, 'postgres_password');
    const database = nameField(context, 'postgres_database');
    const trust = postgresTrust(context);
    const begin = performance.now();
    for (let said = 0; ;) {
      try {
        const connection = await connectPostgres({
          host,
          port,
          username,
          password,
          database,
          applicationName: 'container-init',
          ...(trust === undefined ? {} : { tls: { ca: await readFile(trust, 'utf8'), servername: host } }),
          ...(context.signal === undefined ? {} : { signal: context.signal }),
        });
        return new MarkedDatabase(connection, database);
      } catch (error) {
        const elapsedMs = performance.now() - begin;
        if (!comesBack(error) || elapsedMs > deadlineMs) throw unusable(context, error, `${host}:${String(port)}`);
        if (elapsedMs > said) {
          context.progress(
            `waiting: PostgreSQL does not answer at ${host}:${String(port)} (${String(Math.round(elapsedMs / 1000))} s)`,
          );
          said += 10_000;
        }
        await sleep(250, undefined, context.signal === undefined ? {} : { signal: context.signal });
      }
    }
  }

  async read(): Promise<MarkedVersions | undefined> {
    const [row] = await this.#connection.query<{ note: string | null }>(
      "SELECT shobj_description(oid, 'pg_database') AS note FROM pg_database WHERE datname = current_database()",
    );
    return parse(row?.note ?? '');
  }

  /** True when the data agrees with these versions already. */
  async isApplied(versions: ServiceInitContext['versions']): Promise<boolean> {
    const marked = await this.read();
    return marked !== undefined && same(marked.secrets, versions.secrets) && same(marked.clients, versions.clients);
  }

  async write(versions: ServiceInitContext['versions'], users: readonly string[]): Promise<void> {
    const note = JSON.stringify({ devstack: { ...versions, users } })
      .replaceAll("'", "''")
      .replaceAll('\\', '');
    await this.#connection.query(`COMMENT ON DATABASE "${this.#database}" IS '${note}'`);
  }

  /** Drops every schema of the database whose name begins like this, with all that is in it. */
  async dropSchemas(prefix: string): Promise<void> {
    const rows = await this.#connection.query<{ statement: string }>(
      "SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', nspname) AS statement FROM pg_namespace WHERE starts_with(nspname, $1)",
      [prefix],
    );
    for (const { statement } of rows) await this.#connection.query(statement);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}

/** Where the stack's PostgreSQL is, as a service inside of it sees it. */
export function postgresOf(context: Pick<ServiceInitContext, 'settings'>): {
  readonly host: string;
  readonly port: number;
} {
  const host = context.settings['DEVSTACK_POSTGRES_HOST'] ?? 'postgres';
  const port = context.settings['DEVSTACK_POSTGRES_PORT'] ?? '5432';
  if (!/^[A-Za-z0-9.-]{1,253}$/.test(host) || !/^\d{1,5}$/.test(port)) {
    throw new DevstackError({
      code: ServiceInitErrorCode.settingInvalid,
      message: `DEVSTACK_POSTGRES_HOST and DEVSTACK_POSTGRES_PORT are "${host}" and "${port}".`,
      hint: 'Write a host name and a port number, or leave both out.',
    });
  }
  return { host, port: Number(port) };
}

// 57P03: the server is starting up or shutting down. 3D000 and 28P01 on a first start: its users are made before it listens, so those are final.
function comesBack(error: unknown): boolean {
  if (!isDevstackError(error)) return false;
  if (['CONNECTION_REFUSED', 'HOST_UNKNOWN', 'CONNECTION_TIMED_OUT', 'CONNECTION_LOST'].includes(error.code))
    return true;
  return error.code === 'DATABASE_ERROR' && error.details['serverCode'] === '57P03';
}

function unusable(context: ServiceInitContext, error: unknown, address: string): unknown {
  if (!isDevstackError(error)) return error;
  return new DevstackError({
    code: ServiceInitErrorCode.applyFailed,
    message: `${context.service} cannot use its database in PostgreSQL at ${address}: ${error.message}`,
    hint:
      error.code === 'AUTHENTICATION_FAILED'
        ? 'PostgreSQL takes over a changed password when it starts: run "devstack restart postgres", then start this service again.'
        : 'Run "devstack health postgres" to see what is wrong with it.',
    details: { service: context.service, code: error.code },
  });
}

function parse(note: string): MarkedVersions | undefined {
  try {
    const value = (JSON.parse(note) as { devstack?: unknown }).devstack;
    if (typeof value !== 'object' || value === null) return undefined;
    const { secrets, clients, users } = value as Record<string, unknown>;
    if (!isVersion(secrets) || !isVersion(clients) || !Array.isArray(users)) return undefined;
    return { secrets, clients, users: users.filter((name) => typeof name === 'string') };
  } catch {
    return undefined;
  }
}

function isVersion(value: unknown): value is SecretVersion {
  if (typeof value !== 'object' || value === null) return false;
  const { version, createdTime } = value as Record<string, unknown>;
  return typeof version === 'number' && typeof createdTime === 'string';
}

function same(left: SecretVersion, right: SecretVersion): boolean {
  return left.version === right.version && left.createdTime === right.createdTime;
}
