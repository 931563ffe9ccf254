import { connectMysql, connectPostgres } from '@devstack-core/database-connections';
import { isDevstackError } from '@devstack-core/errors';
import { connectionOptions, Unhealthy, usernameOf, type Check, type CheckContext } from '../check.ts';

/** PostgreSQL: a query as the service's own user. */
export const postgresql: Check = {
  describe: (context) => `SELECT 1 as ${nameOf(context)}`,
  run: async (context) => {
    await using connection = await connectPostgres({
      ...connectionOptions(context),
      applicationName: 'devstack-health-probe',
    });
    const [row] = await connection.query<{ one: number; version: string; recovering: boolean }>(
      `SELECT 1 AS one, current_setting('server_version') AS version, pg_is_in_recovery() AS recovering`,
    );
    return { version: row?.version, recovering: row?.recovering };
  },
};

/** PgBouncer: a query that a server behind the pool must answer. */
export const pgbouncer: Check = {
  describe: (context) => `SELECT 1 through the pool as ${nameOf(context)}`,
  run: async (context) => {
    await using connection = await connectPostgres({
      ...connectionOptions(context),
      applicationName: 'devstack-health-probe',
    });
    try {
      const [row] = await connection.query<{ version: string; backend: number }>(
        `SELECT current_setting('server_version') AS version, pg_backend_pid() AS backend`,
      );
      if (row === undefined)
        throw new Unhealthy({
          reason: 'The pool answered without a row.',
          nextStep: 'Check that the database of the probe is a pool, not the console of PgBouncer.',
        });
      return { serverVersion: row.version };
    } catch (error) {
      if (error instanceof Unhealthy || !isDevstackError(error) || error.code === 'INTERRUPTED') throw error;
      throw new Unhealthy({
        reason: 'PgBouncer accepted the login, but no PostgreSQL server answered behind it.',
        answered: error.message,
        nextStep: 'Check the PostgreSQL server that the pool leads to, then the address and the user in pgbouncer.ini.',
      });
    }
  },
};

/** MySQL or MariaDB: a query as the service's own user. */
export const mysql: Check = {
  describe: (context) => `SELECT 1 as ${nameOf(context)}`,
  run: async (context) => {
    await using connection = await connectMysql(connectionOptions(context));
    const [row] = await connection.query<{ version: string; readOnly: number }>(
      'SELECT 1 AS one, VERSION() AS version, @@read_only AS readOnly',
    );
    return { version: row?.version, readOnly: row?.readOnly === 1 };
  },
};

function nameOf(context: CheckContext): string {
  return usernameOf(context, 'unknown');
}
