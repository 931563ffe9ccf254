import { DevstackError } from '@devstack-core/errors';
import type { MongoDocument, PostgresOptions, SqlConnection } from '@devstack-core/database-connections';

/** What the stand-ins for PostgreSQL and FerretDB hold, and what was asked of them. */
export interface FakeDatabases {
  comment: string | null;
  readonly statements: string[];
  readonly commands: { readonly database: string; readonly command: MongoDocument }[];
  /** Errors of the next connections to PostgreSQL, first to last. */
  readonly refusals: DevstackError[];
  users: { readonly db: string; readonly user: string }[];
  /** Thrown by a command of the MongoDB protocol. */
  commandError?: DevstackError;
}

export function fakeDatabases(): FakeDatabases {
  return { comment: null, statements: [], commands: [], refusals: [], users: [] };
}

export function connectFakePostgres(state: FakeDatabases, _options: PostgresOptions): Promise<SqlConnection> {
  const refusal = state.refusals.shift();
  if (refusal !== undefined) return Promise.reject(refusal);
  const query = <Row extends object>(sql: string): Promise<Row[]> => {
    state.statements.push(sql);
    if (sql.includes('shobj_description')) return Promise.resolve([{ note: state.comment }] as unknown as Row[]);
    if (sql.includes('pg_namespace')) return Promise.resolve([{ statement: 'DROP SCHEMA x' }] as unknown as Row[]);
    const comment = /COMMENT ON DATABASE ".*" IS '(.*)'$/.exec(sql)?.[1];
    if (comment !== undefined) state.comment = comment.replaceAll("''", "'");
    return Promise.resolve([]);
  };
  const close = (): Promise<void> => Promise.resolve();
  return Promise.resolve({ query, close, [Symbol.asyncDispose]: close });
}

export function connectFakeMongo(state: FakeDatabases): Promise<unknown> {
  const close = (): Promise<void> => Promise.resolve();
  const db = (database = 'test') => ({
    command: (command: MongoDocument): Promise<MongoDocument> => {
      state.commands.push({ database, command });
      if ('usersInfo' in command) return Promise.resolve({ users: state.users });
      return state.commandError === undefined ? Promise.resolve({ ok: 1 }) : Promise.reject(state.commandError);
    },
  });
  return Promise.resolve({ db, close, [Symbol.asyncDispose]: close });
}

export function failure(code: string, message = 'no', details: Record<string, unknown> = {}): DevstackError {
  return new DevstackError({ code, message, hint: 'none', details: details });
}
