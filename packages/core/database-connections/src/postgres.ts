import { isSecret } from '@devstack-core/redaction';
import type { Classify } from './failure.ts';
import { Lifetime } from './lifetime.ts';
import { passwordOf, tlsOptions, type Connection, type ConnectionOptions, type Parameter } from './options.ts';

/** A connection that answers SQL. */
export interface SqlConnection extends Connection {
  /** Runs one statement; the rows it returns, or none. Parameters are sent apart from the text. */
  query<Row extends object = Record<string, unknown>>(sql: string, parameters?: readonly Parameter[]): Promise<Row[]>;
}

/** Options of `connectPostgres`. */
export interface PostgresOptions extends ConnectionOptions {
  /** Shown in `pg_stat_activity`. */
  readonly applicationName?: string;
}

/** Connects to PostgreSQL or PgBouncer (SCRAM, MD5 or plain, as the server asks). */
export async function connectPostgres(options: PostgresOptions): Promise<SqlConnection> {
  const { host, port, username, database = username, connectTimeoutMs, commandTimeoutMs, signal } = options;
  const password = await passwordOf(options.password);
  const { default: pg } = await import('pg');
  const lifetime = await Lifetime.open({
    target: { engine: 'PostgreSQL', host, port, username, password },
    classify,
    connectTimeoutMs,
    commandTimeoutMs,
    signal,
    create: (report) => {
      const client = new pg.Client({
        host,
        port,
        user: username,
        password: password.reveal(),
        database,
        ssl: tlsOptions(options) ?? false,
        application_name: options.applicationName ?? 'devstack',
        keepAlive: true,
      });
      client.on('error', report);
      return client;
    },
    login: async (client) => client.connect(),
    leave: async (client) => client.end(),
    destroy: (client) => {
      streamOf(client)?.destroy();
    },
  });
  return {
    query: async <Row extends object>(sql: string, parameters: readonly Parameter[] = []) =>
      lifetime.run(async (client) => {
        const result = await client.query<Row & Record<string, unknown>>(sql, parameters.map(revealed));
        return result.rows;
      }, parameters),
    close: async () => lifetime.close(),
    [Symbol.asyncDispose]: async () => lifetime.close(),
  };
}

const refusals = new Set(['28P01', '28000', '28P02']);

// Class 08 (connection exception) and 57P01-57P05 (shutdown, crash, still starting, idle too long): the server says this and hangs up.
// Source: PostgreSQL, "Appendix A. PostgreSQL Error Codes".
const ended = /^(?:08|57P0[1-5])/;

const classify: Classify = ({ code, message }) => {
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && code !== 'EPIPE') {
    // PgBouncer before 1.23 reports a failed login as a protocol violation.
    const refused =
      refusals.has(code) ||
      (code === '08P01' && /password authentication failed|no such user|SASL authentication failed/i.test(message));
    if (refused) return { kind: 'authenticationFailed', serverCode: code, text: message };
    return { kind: ended.test(code) ? 'lost' : 'database', serverCode: code, text: message };
  }
  if (/does not support SSL|SSL connection/i.test(message)) return { kind: 'tlsFailed', text: message };
  if (/^SASL|SCRAM/.test(message)) return { kind: 'authenticationFailed', text: message };
  if (/terminated|not queryable|Client was closed/i.test(message)) return { kind: 'lost' };
  if (code === undefined && !message.includes('Client has')) return { kind: 'protocolMismatch' };
  return undefined;
};

function revealed(parameter: Parameter): unknown {
  return isSecret(parameter) ? parameter.reveal() : parameter;
}

function streamOf(client: object): { destroy(): void } | undefined {
  return (client as { connection?: { stream?: { destroy(): void } } }).connection?.stream;
}
